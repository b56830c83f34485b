"""`tubed_skeleton` against the reference recipe and against a loop over the classes."""

from __future__ import annotations

import numpy as np
import pytest
from devices import as_array, same
from hypothesis import given
from hypothesis import strategies as st
from mask_shapes import label_maps, make_labels, masks
from tube_oracle import reference_tube, reference_tube_per_class

import tubeskel

ignored = st.sampled_from([None, 0, 1, 3, 17, -1, 255, 2**40])


@given(mask=masks(), radius=st.integers(0, 4))
def test_a_mask_equals_the_reference(kernels, mask, radius):
    tube = tubeskel.tubed_skeleton(kernels(mask), radius=radius)
    assert same(tube, reference_tube(mask, radius))


@given(labels=label_maps(), radius=st.integers(0, 4), ignore_index=ignored)
def test_several_classes_equal_the_reference(kernels, labels, radius, ignore_index):
    tube = tubeskel.tubed_skeleton(kernels(labels), radius=radius, ignore_index=ignore_index)
    assert same(tube, reference_tube(labels, radius, ignore_index))


@given(labels=label_maps(), radius=st.integers(0, 4), ignore_index=ignored)
def test_per_class_equals_a_loop(kernels, labels, radius, ignore_index):
    options = {"radius": radius, "ignore_index": ignore_index}
    tube = tubeskel.tubed_skeleton(kernels(labels), per_class=True, **options)
    assert same(tube, reference_tube_per_class(labels, radius, ignore_index))


def test_the_default_radius_is_two(kind):
    labels = make_labels((80, 90), 3, seed=4)
    assert same(tubeskel.tubed_skeleton(kind(labels)), reference_tube(labels, 2))


@pytest.mark.parametrize("radius", [50, 10**6, 2**63, 2**70])
@pytest.mark.parametrize("per_class", [False, True])
def test_a_huge_radius_gives_the_labels_back(radius, per_class, kind):
    labels = make_labels((20, 25), 3, seed=4)
    tube = tubeskel.tubed_skeleton(kind(labels), radius=radius, per_class=per_class)
    assert same(tube, labels)


def test_the_union_loses_a_ring_around_a_disc_and_per_class_does_not(kind):
    y, x = np.ogrid[-20:21, -20:21]
    distance = np.hypot(x, y)
    labels = kind(np.where(distance < 10, 2, np.where(distance < 18, 1, 0)))
    assert not (tubeskel.tubed_skeleton(labels) == 1).any()
    tube = tubeskel.tubed_skeleton(labels, per_class=True)
    assert (tube == 1).any()
    assert (tube == 2).any()


def test_ignored_pixels_do_not_join_what_they_separate(kind):
    labels = np.ones((9, 60), dtype=np.uint8)
    labels[:, 28:32] = 255
    tube = as_array(tubeskel.tubed_skeleton(kind(labels), ignore_index=255))
    assert not tube[:, 28:32].any()
    assert np.array_equal(tube[:, :28], tubeskel.tubed_skeleton(labels[:, :28]))
    assert np.array_equal(tube[:, 32:], tubeskel.tubed_skeleton(labels[:, 32:]))


def test_a_batch_is_treated_image_by_image(kind):
    batch = np.stack([make_labels((40, 70), 4, seed) for seed in range(6)]).reshape(2, 3, 40, 70)
    for per_class in (False, True):
        tubes = tubeskel.tubed_skeleton(kind(batch), per_class=per_class, spatial_dims=2)
        for index in np.ndindex(2, 3):
            one = tubeskel.tubed_skeleton(batch[index], per_class=per_class)
            assert same(tubes[index], one)
