"""Thinning in 2D keeps every 8-connected component, and their number."""

from __future__ import annotations

import numpy as np
import pytest
from devices import as_array, same
from hypothesis import given
from mask_shapes import label_maps, make_mask, masks, mosaic
from scipy import ndimage

import tubeskel

EIGHT = np.ones((3, 3))


def assert_components_survive(mask, kept):
    kept = as_array(kept)
    labels, number = ndimage.label(mask, EIGHT)
    assert len(np.unique(labels[kept])) == number
    assert ndimage.label(kept, EIGHT)[1] == number


@pytest.mark.parametrize("function", [tubeskel.skeletonize, tubeskel.thin])
def test_none_is_lost_of_all_images_of_four_by_four(kind, function):
    images = mosaic(1 << 16, 4)
    assert_components_survive(images, function(kind(images)))


@given(mask=masks())
def test_none_is_lost(kind, mask):
    assert_components_survive(mask, tubeskel.skeletonize(kind(mask)))
    assert_components_survive(mask, tubeskel.thin(kind(mask)))


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 9, 64, 65])
def test_a_solid_square_is_kept(kind, size):
    square = kind(np.pad(np.ones((size, size), dtype=bool), 1))
    assert tubeskel.skeletonize(square).any()
    assert tubeskel.thin(square).any()


def test_every_component_has_a_tube(kind):
    mask = make_mask("random", (200, 200), 0.3, seed=2)
    tube = tubeskel.tubed_skeleton(kind(mask), radius=0, keep_components=True)
    assert_components_survive(mask, tube)


@given(labels=label_maps())
def test_every_component_of_every_class_has_a_tube_of_its_own(kind, labels):
    tube = as_array(tubeskel.tubed_skeleton(kind(labels), per_class=True, keep_components=True))
    for k in range(1, 4):
        components, number = ndimage.label(labels == k, EIGHT)
        assert len(np.unique(components[tube == k])) == number


@given(labels=label_maps())
def test_keep_components_changes_nothing_in_2d(kind, labels):
    kept = tubeskel.tubed_skeleton(kind(labels), keep_components=True)
    assert same(kept, tubeskel.tubed_skeleton(labels))
