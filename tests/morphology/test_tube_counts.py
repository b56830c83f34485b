"""The pixel counts of `tubed_skeleton_and_counts`."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from devices import as_array, same
from hypothesis import given
from hypothesis import strategies as st
from mask_shapes import label_maps, make_labels

import tubeskel


def counted(tube: np.ndarray, num_classes: int) -> np.ndarray:
    counts = np.bincount(tube.ravel().astype(np.int64), minlength=num_classes)
    counts[0] = 0
    return counts


@given(
    labels=label_maps(5),
    per_class=st.booleans(),
    ignore_index=st.sampled_from([None, 0, 2, 4, 255, -1]),
    spare=st.integers(0, 300),
)
def test_counts_are_those_of_the_tube(kernels, labels, per_class, ignore_index, spare):
    options = {"per_class": per_class, "ignore_index": ignore_index}
    tube, counts = tubeskel.tubed_skeleton_and_counts(kernels(labels), 5 + spare, **options)
    assert same(tube, tubeskel.tubed_skeleton(labels, **options))
    assert as_array(counts).dtype == np.int64
    assert same(counts, counted(as_array(tube), 5 + spare))


def test_one_row_of_counts_for_each_image(kind):
    batch = np.stack([make_labels((30, 70), 4, seed) for seed in range(6)]).reshape(3, 2, 30, 70)
    tube, counts = tubeskel.tubed_skeleton_and_counts(kind(batch), 4, spatial_dims=2)
    assert tuple(counts.shape) == (3, 2, 4)
    assert type(counts) is type(tube)
    for index in np.ndindex(3, 2):
        assert same(counts[index], counted(as_array(tube[index]), 4))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_counts_of_nothing_are_zero(kind, shape):
    empty = kind(np.zeros(shape, dtype=np.uint8))
    _, counts = tubeskel.tubed_skeleton_and_counts(empty, 3, spatial_dims=2)
    assert tuple(counts.shape) == (shape[0], 3)
    assert not counts.any()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("bad", [3, 100, -1])
def test_a_label_out_of_range_is_named(kind, sync_checks, dtype, bad):
    if bad < 0 and dtype.startswith("u"):
        bad = int(np.iinfo(dtype).max)
    labels = np.zeros((40, 40), dtype=dtype)
    labels[:, 3:9] = 1
    labels[17, 30] = bad
    with pytest.raises(ValueError, match=rf"labels holds {bad}; allowed: 0\.\.2"):
        tubeskel.tubed_skeleton_and_counts(kind(labels), 3)


def test_a_label_out_of_range_may_be_the_ignored_one(kind):
    labels = np.zeros((40, 40), dtype=np.int16)
    labels[:, 3:9] = 1
    labels[20:] = -100
    tube, counts = tubeskel.tubed_skeleton_and_counts(kind(labels), 2, ignore_index=-100)
    assert same(counts, counted(as_array(tube), 2))


@pytest.mark.parametrize("num_classes", [2, 129, 256, 300, 70000])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8"])
def test_more_classes_than_the_dtype_can_hold(kind, num_classes, dtype):
    mask = kind(np.eye(70, dtype=dtype))
    _, counts = tubeskel.tubed_skeleton_and_counts(mask, num_classes)
    assert tuple(counts.shape) == (num_classes,)
    assert counts[1] == counts.sum() == 70


@pytest.mark.parametrize("bad", [1, 0, -3])
def test_refuses_fewer_than_two_classes(bad):
    with pytest.raises(ValueError, match=f"num_classes .*{bad}"):
        tubeskel.tubed_skeleton_and_counts(np.eye(5, dtype=int), bad)


@pytest.mark.parametrize("bad", [2.0, "2", None, True])
def test_refuses_a_number_of_classes_that_is_no_integer(bad):
    with pytest.raises(TypeError, match="num_classes"):
        tubeskel.tubed_skeleton_and_counts(np.eye(5, dtype=int), bad)


@pytest.mark.parametrize(
    "eye", ["numpy.eye(6, dtype=name)", "torch.eye(6, dtype=getattr(torch, name))"]
)
def test_labels_of_floats_are_counted_or_refused(eye):
    # In a process of its own: the value of a float must not become a place in memory.
    code = f"""
import {eye.split(".")[0]}, tubeskel
for name in ("float16", "float32", "float64"):
    labels = {eye}
    try:
        _, counts = tubeskel.tubed_skeleton_and_counts(labels, 2)
        assert counts.tolist() == [0, 6], counts
    except TypeError as error:
        assert "labels" in str(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
