"""`skeletonize` and `thin` against scikit-image, bit for bit, on generated masks."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.morphology
from devices import as_array, same
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mask_shapes import AWKWARD_WIDTHS, KINDS, make_mask, masks, mosaic

import tubeskel

small_masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(mask=masks() | small_masks)
def test_skeletonize_equals_scikit_image(kernels, mask):
    assert same(tubeskel.skeletonize(kernels(mask)), skimage.morphology.skeletonize(mask))


@given(mask=masks() | small_masks)
def test_thin_equals_scikit_image(kernels, mask):
    assert same(tubeskel.thin(kernels(mask)), skimage.morphology.thin(mask))


@given(mask=masks(), iterations=st.integers(1, 4))
def test_thin_stops_where_scikit_image_does(kind, mask, iterations):
    expected = skimage.morphology.thin(mask, max_num_iter=iterations)
    assert same(tubeskel.thin(kind(mask), max_num_iter=iterations), expected)


@pytest.mark.parametrize("shapes", KINDS)
@pytest.mark.parametrize("width", AWKWARD_WIDTHS)
def test_widths_around_the_borders_of_words(shapes, width, kind):
    for height in (1, 8, 33):
        for shape in ((height, width), (width, height)):
            mask = make_mask(shapes, shape, 0.8, seed=width)
            found = tubeskel.skeletonize(kind(mask)), tubeskel.thin(kind(mask))
            assert same(found[0], skimage.morphology.skeletonize(mask))
            assert same(found[1], skimage.morphology.thin(mask))


@pytest.fixture(scope="module")
def four_by_four():
    """All images of four by four in one, its skeleton and how it is thinned."""
    images = mosaic(1 << 16, 4)
    return images, skimage.morphology.skeletonize(images), skimage.morphology.thin(images)


def test_every_image_of_four_by_four(kernels, four_by_four):
    images, skeletons, thinned = four_by_four
    assert same(tubeskel.skeletonize(kernels(images)), skeletons)
    assert same(tubeskel.thin(kernels(images)), thinned)


@given(mask=masks())
@settings(max_examples=25)
def test_a_skeleton_is_its_own_skeleton(kind, mask):
    for function in (tubeskel.skeletonize, tubeskel.thin):
        once = function(kind(mask))
        assert same(function(once), once)
        assert not (as_array(once) & ~mask).any()


@pytest.mark.parametrize("shape", [(3000, 70), (70, 3000), (513, 1030)])
def test_solid_shapes_that_take_many_iterations(kernels, shape):
    solid = np.ones(shape, dtype=bool)
    assert same(tubeskel.skeletonize(kernels(solid)), skimage.morphology.skeletonize(solid))


def test_horse(kind):
    from skimage.data import horse

    mask = ~horse().astype(bool)
    assert same(tubeskel.skeletonize(kind(mask)), skimage.morphology.skeletonize(mask))
    assert same(tubeskel.thin(kind(mask)), skimage.morphology.thin(mask))
