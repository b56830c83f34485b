"""`max_num_iter` of `thin`."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.morphology
import torch
from devices import same
from mask_shapes import make_mask

import tubeskel

MASK = make_mask("blobs", (90, 150), 0.7, seed=3)


@pytest.mark.parametrize("iterations", [0, 1, 2, 3, 7, 10**6, None, np.inf, float("inf")])
def test_equals_scikit_image(iterations, kind):
    expected = skimage.morphology.thin(MASK, max_num_iter=iterations)
    assert same(tubeskel.thin(kind(MASK), iterations), expected)


@pytest.mark.parametrize("iterations", [np.int8(2), np.uint64(2), torch.tensor(2)])
def test_takes_any_integer_type(iterations):
    assert np.array_equal(tubeskel.thin(MASK, iterations), tubeskel.thin(MASK, 2))


def test_a_limit_beyond_64_bits_is_no_limit(kind):
    assert same(tubeskel.thin(kind(MASK), 2**70), tubeskel.thin(MASK))


@pytest.mark.parametrize("iterations", [1.0, 2.5, "2", True, [1, 2], float("nan"), -np.inf])
def test_refuses_what_is_no_integer(iterations):
    with pytest.raises(TypeError, match="max_num_iter"):
        tubeskel.thin(MASK, iterations)


def test_refuses_negative_numbers():
    with pytest.raises(ValueError, match=r"max_num_iter .*-1"):
        tubeskel.thin(MASK, -1)
