"""`skeletonize` and `thin` against scikit-image, bit for bit, on generated masks."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.morphology
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mask_shapes import AWKWARD_WIDTHS, KINDS, make_mask, masks, mosaic

import tubeskel

small_masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(mask=masks() | small_masks)
def test_skeletonize_equals_scikit_image(instruction_set, mask):
    assert np.array_equal(tubeskel.skeletonize(mask), skimage.morphology.skeletonize(mask))


@given(mask=masks() | small_masks)
def test_thin_equals_scikit_image(instruction_set, mask):
    assert np.array_equal(tubeskel.thin(mask), skimage.morphology.thin(mask))


@given(mask=masks(), iterations=st.integers(1, 4))
def test_thin_stops_where_scikit_image_does(mask, iterations):
    expected = skimage.morphology.thin(mask, max_num_iter=iterations)
    assert np.array_equal(tubeskel.thin(mask, max_num_iter=iterations), expected)


@given(mask=masks())
def test_tensors_give_what_arrays_give(mask):
    tensor = torch.from_numpy(mask)
    for function in (tubeskel.skeletonize, tubeskel.thin):
        assert np.array_equal(function(tensor).numpy(), function(mask))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", AWKWARD_WIDTHS)
def test_widths_around_the_borders_of_words(kind, width):
    for height in (1, 8, 33):
        for shape in ((height, width), (width, height)):
            mask = make_mask(kind, shape, 0.8, seed=width)
            assert np.array_equal(tubeskel.skeletonize(mask), skimage.morphology.skeletonize(mask))
            assert np.array_equal(tubeskel.thin(mask), skimage.morphology.thin(mask))


def test_every_image_of_four_by_four(instruction_set):
    images = mosaic(1 << 16, 4)
    assert np.array_equal(tubeskel.skeletonize(images), skimage.morphology.skeletonize(images))
    assert np.array_equal(tubeskel.thin(images), skimage.morphology.thin(images))


@given(mask=masks())
@settings(max_examples=25)
def test_a_skeleton_is_its_own_skeleton(mask):
    for function in (tubeskel.skeletonize, tubeskel.thin):
        once = function(mask)
        assert np.array_equal(function(once), once)
        assert not (once & ~mask).any()


@pytest.mark.parametrize("shape", [(3000, 70), (70, 3000), (513, 1030)])
def test_solid_shapes_that_take_many_iterations(instruction_set, shape):
    solid = np.ones(shape, dtype=bool)
    assert np.array_equal(tubeskel.skeletonize(solid), skimage.morphology.skeletonize(solid))


def test_horse():
    from skimage.data import horse

    mask = ~horse().astype(bool)
    assert np.array_equal(tubeskel.skeletonize(mask), skimage.morphology.skeletonize(mask))
    assert np.array_equal(tubeskel.thin(mask), skimage.morphology.thin(mask))
