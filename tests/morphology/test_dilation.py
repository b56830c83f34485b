"""`dilate` against scikit-image's `dilation` with the footprint of the same radius."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.morphology
from devices import same
from hypothesis import given
from hypothesis import strategies as st
from mask_shapes import AWKWARD_WIDTHS, make_mask, masks
from skimage.morphology import diamond, disk, footprint_rectangle

import tubeskel

FOOTPRINTS = {
    "diamond": diamond,
    "box": lambda radius: footprint_rectangle((2 * radius + 1, 2 * radius + 1)),
    "ball": disk,
}


def expected(mask, footprint, radius):
    return skimage.morphology.dilation(mask, FOOTPRINTS[footprint](radius)).astype(bool)


@given(
    mask=masks(),
    sparse=st.booleans(),
    footprint=st.sampled_from(list(FOOTPRINTS)),
    radius=st.integers(0, 7),
)
def test_equals_scikit_image(kernels, mask, sparse, footprint, radius):
    if sparse:
        mask = mask & (np.random.default_rng(mask.size).random(mask.shape) < 0.03)
    dilated = tubeskel.dilate(kernels(mask), radius=radius, footprint=footprint)
    assert same(dilated, expected(mask, footprint, radius))


@pytest.mark.parametrize("footprint", FOOTPRINTS)
@pytest.mark.parametrize("radius", range(13))
def test_a_single_pixel_becomes_the_footprint(kind, footprint, radius):
    dot = np.zeros((2 * radius + 1, 2 * radius + 1), dtype=bool)
    dot[radius, radius] = True
    shape = FOOTPRINTS[footprint](radius).astype(bool)
    assert same(tubeskel.dilate(kind(dot), radius=radius, footprint=footprint), shape)


@pytest.mark.parametrize("footprint", FOOTPRINTS)
@pytest.mark.parametrize("width", AWKWARD_WIDTHS)
def test_a_radius_larger_than_the_image(kind, footprint, width):
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        mask = np.zeros((5, width), dtype=bool)
        mask[corner] = True
        for radius in (width // 2 + 1, width + 2):
            dilated = tubeskel.dilate(kind(mask), radius=radius, footprint=footprint)
            # scikit-image is slow with large footprints: distances to one pixel say the same.
            y = np.abs(np.arange(5) - corner[0] % 5)[:, None]
            x = np.abs(np.arange(width) - corner[1] % width)
            distance = {
                "diamond": x + y <= radius,
                "box": np.maximum(x, y) <= radius,
                "ball": x * x + y * y <= radius * radius,
            }
            assert same(dilated, distance[footprint])


@pytest.mark.parametrize("footprint", FOOTPRINTS)
@pytest.mark.parametrize("radius", [1000, 10**9, 2**63, 2**70])
def test_a_huge_radius_covers_everything(kind, footprint, radius):
    mask = np.zeros((20, 130), dtype=bool)
    assert not tubeskel.dilate(kind(mask), radius=radius, footprint=footprint).any()
    mask[19, 129] = True
    assert tubeskel.dilate(kind(mask), radius=radius, footprint=footprint).all()


def test_bands_of_a_tall_image_meet(threads):
    mask = make_mask("random", (700, 300), 0.002, seed=1)
    for number in (1, 2):
        threads(number)
        for radius, footprint in ((2, "diamond"), (20, "box")):
            dilated = tubeskel.dilate(mask, radius=radius, footprint=footprint)
            assert np.array_equal(dilated, expected(mask, footprint, radius))


def test_radius_two_of_the_diamond_is_two_passes_of_the_default(kind):
    mask = make_mask("random", (60, 80), 0.02, seed=1)
    twice = skimage.morphology.dilation(skimage.morphology.dilation(mask))
    assert same(tubeskel.dilate(kind(mask), radius=2), twice)


def test_defaults_are_a_diamond_of_radius_one(kind):
    mask = make_mask("random", (30, 30), 0.1, seed=1)
    assert same(tubeskel.dilate(kind(mask)), skimage.morphology.dilation(mask))
