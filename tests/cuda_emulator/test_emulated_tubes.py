"""Tubed skeletons: labels and counts of the CPU, for every dtype, width, batch and option."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mask_shapes import make_labels

from tubeskel import _torch_ops

DTYPES = (*_torch_ops.LABEL_DTYPES, *_torch_ops.FLOAT_DTYPES)


def labels_of(shape, classes=4):
    *lead, rows, columns = shape
    maps = [make_labels((rows, columns), classes, seed) for seed in range(math.prod(lead))]
    return torch.from_numpy(np.stack(maps)).reshape(shape)


def check(emulated, labels, axes=2, **changed):
    options = {
        "method": "zhang",
        "keep_components": False,
        "radius": 2,
        "per_class": False,
        "ignore_index": None,
        "num_classes": 0,
        "as_bytes": False,
        "name": "labels",
        **changed,
    }
    found = emulated.tubed_skeleton(labels, axes, **options)
    expected = torch.ops.tubeskel.tubed_skeleton(labels, axes, **options)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("as_bytes", [False, True])
def test_tubes_of_any_dtype(emulated, dtype, as_bytes):
    for shape in ((1, 1), (3, 1, 70), (2, 33, 65), (2, 2, 16, 256)):
        check(emulated, labels_of(shape).to(dtype), as_bytes=as_bytes)


@pytest.mark.parametrize("dtype", _torch_ops.LABEL_DTYPES)
@pytest.mark.parametrize("ignore_index", [None, 2])
@pytest.mark.parametrize("per_class", [False, True])
def test_tubes_and_their_counts(emulated, dtype, ignore_index, per_class):
    classes = 2 if dtype == torch.bool else 4
    for shape in ((1, 1), (3, 1, 70), (2, 33, 65), (2, 600, 3)):
        labels = labels_of(shape, classes).to(dtype)
        check(
            emulated,
            labels,
            num_classes=classes,
            ignore_index=ignore_index,
            per_class=per_class,
            as_bytes=True,
        )


@pytest.mark.parametrize("offset", [1, 3, 8])
def test_tubes_of_arrays_that_start_anywhere(emulated, offset):
    for dtype in (torch.uint8, torch.int16, torch.float32, torch.int64):
        labels = labels_of((51, 100)).to(dtype).flatten()[offset : offset + 5000].view(50, 100)
        check(emulated, labels)


@pytest.mark.parametrize("radius", [0, 1, 5, 40, 500])
def test_tubes_of_any_radius(emulated, radius):
    labels = labels_of((400, 37))
    check(emulated, labels, radius=radius, num_classes=4)
    check(emulated, labels[:60], radius=radius, num_classes=4, per_class=True)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int8])
@pytest.mark.parametrize("ignore_index", [None, -3, 1])
def test_classes_of_a_byte_need_no_number(emulated, dtype, ignore_index):
    labels = labels_of((2, 9, 40)).to(dtype)
    if dtype != torch.bool:
        labels[labels == 2] = torch.tensor(-3).to(dtype)
    check(emulated, labels, per_class=True, ignore_index=ignore_index)


def test_classes_of_other_dtypes_need_their_number(emulated):
    with pytest.raises(ValueError, match="needs num_classes, or labels of one byte"):
        check(emulated, labels_of((9, 40)), per_class=True)


@pytest.mark.parametrize("num_classes", [3, 200, 300, 3000])
@pytest.mark.parametrize("per_class", [False, True])
def test_tubes_of_many_classes(emulated, num_classes, per_class):
    labels = labels_of((2, 20, 60), 3)
    labels[labels == 2] = num_classes - 1
    check(emulated, labels, num_classes=num_classes)
    if num_classes <= 300:
        check(emulated, labels, num_classes=num_classes, per_class=True)
        check(emulated, labels.clamp(max=2).byte(), num_classes=num_classes, per_class=True)


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("keep_components", [False, True])
def test_tubes_of_volumes(emulated, per_class, keep_components):
    labels = torch.zeros(2, 6, 20, 40, dtype=torch.uint8)
    labels[:, 1:3, 3:5, 3:5] = 1
    labels[0, 1:5, 2:9, 10:37] = 2
    labels[1, :, 10:, 5:20] = 1
    check(
        emulated,
        labels,
        3,
        method="lee",
        keep_components=keep_components,
        per_class=per_class,
        num_classes=3,
    )


@pytest.mark.parametrize("shape", [(0, 5, 5), (3, 0, 5), (3, 5, 0)])
def test_tubes_of_nothing(emulated, shape):
    for per_class in (False, True):
        check(emulated, torch.zeros(shape, dtype=torch.uint8), per_class=per_class, num_classes=2)


def test_sync_checks_name_a_label_out_of_range(emulated, monkeypatch):
    monkeypatch.setenv("TUBESKEL_SYNC_CHECKS", "1")
    labels = labels_of((2, 20, 60), 3)
    for bad in (3, -1):
        labels[1, 7, 9] = bad
        for per_class in (False, True):
            with pytest.raises(ValueError, match=rf"labels holds {bad}; allowed: 0..2 and ignore"):
                check(emulated, labels, num_classes=3, per_class=per_class)
        check(emulated, labels, num_classes=3, ignore_index=bad)


def test_a_label_out_of_range_stops_the_kernel(emulated):
    with pytest.raises(RuntimeError, match=r"tubed_skeleton on \[1, 2\]"):
        check(emulated, torch.tensor([[1, 7]]), num_classes=3)
