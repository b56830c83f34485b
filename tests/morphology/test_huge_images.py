"""More than 2^31 pixels: indices are 64-bit throughout."""

from __future__ import annotations

import numpy as np
import pytest

import tubeskel


@pytest.mark.slow
def test_an_image_of_more_than_two_to_the_31_pixels():
    side = 46400
    image = np.zeros((side, side), dtype=bool)  # pages that are never written cost nothing
    image[-40:-2, -9:-2] = True  # beyond pixel 2^31
    image[100:103, 50:90] = True
    assert image.size > 2**31
    skeleton = tubeskel.skeletonize(image)
    for part in (np.s_[-60:, -60:], np.s_[:300, :300]):
        assert np.array_equal(skeleton[part], tubeskel.skeletonize(image[part]))
    assert skeleton[-60:, -60:].any()
