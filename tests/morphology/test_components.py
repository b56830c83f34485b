"""Thinning in 2D keeps every 8-connected component, and their number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from mask_shapes import label_maps, make_mask, masks, mosaic
from scipy import ndimage

import tubeskel

EIGHT = np.ones((3, 3))


def assert_components_survive(mask, kept):
    labels, number = ndimage.label(mask, EIGHT)
    assert len(np.unique(labels[kept])) == number
    assert ndimage.label(kept, EIGHT)[1] == number


@pytest.mark.parametrize("function", [tubeskel.skeletonize, tubeskel.thin])
def test_none_is_lost_of_all_images_of_four_by_four(function):
    images = mosaic(1 << 16, 4)
    assert_components_survive(images, function(images))


@given(mask=masks())
def test_none_is_lost(mask):
    assert_components_survive(mask, tubeskel.skeletonize(mask))
    assert_components_survive(mask, tubeskel.thin(mask))


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 9, 64, 65])
def test_a_solid_square_is_kept(size):
    square = np.pad(np.ones((size, size), dtype=bool), 1)
    assert tubeskel.skeletonize(square).any()
    assert tubeskel.thin(square).any()


def test_every_component_has_a_tube():
    mask = make_mask("random", (200, 200), 0.3, seed=2)
    tube = tubeskel.tubed_skeleton(mask, radius=0, keep_components=True)
    assert_components_survive(mask, tube)


@given(labels=label_maps())
def test_every_component_of_every_class_has_a_tube_of_its_own(labels):
    tube = tubeskel.tubed_skeleton(labels, per_class=True, keep_components=True)
    for k in range(1, 4):
        components, number = ndimage.label(labels == k, EIGHT)
        assert len(np.unique(components[tube == k])) == number


@given(labels=label_maps())
def test_keep_components_changes_nothing_in_2d(labels):
    kept = tubeskel.tubed_skeleton(labels, keep_components=True)
    assert np.array_equal(kept, tubeskel.tubed_skeleton(labels))
