"""Every dtype: bools, integers and floats, as arrays and as tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from devices import as_array, same
from mask_shapes import make_labels
from tube_oracle import reference_tube, reference_tube_per_class

import tubeskel

LABELS = make_labels((70, 130), 4, seed=8)
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]


def to_array(labels, dtype):
    return labels.astype(dtype)


def to_tensor(labels, dtype):
    return torch.from_numpy(labels).to(getattr(torch, dtype))


def to_gpu(labels, dtype):
    return to_tensor(labels, dtype).cuda()


MAKERS = [to_array, to_tensor, pytest.param(to_gpu, marks=pytest.mark.cuda)]


def kinds(*dtypes):
    """Each maker with each dtype that it can make."""
    tensors = (*dtypes, "bfloat16")
    return [
        *((to_array, dtype) for dtype in dtypes),
        *((to_tensor, dtype) for dtype in tensors),
        *(pytest.param(to_gpu, dtype, marks=pytest.mark.cuda) for dtype in tensors),
    ]


@pytest.mark.parametrize(("kind", "dtype"), kinds("bool", *INTEGERS, *FLOATS))
def test_skeletons_are_bool_and_of_the_same_kind(kind, dtype):
    image = kind(LABELS, dtype)
    for function in (tubeskel.skeletonize, tubeskel.thin, tubeskel.dilate):
        result = function(image)
        assert type(result) is type(image)
        assert result.dtype == (torch.bool if isinstance(image, torch.Tensor) else np.bool_)
        assert same(result, function(LABELS != 0))


@pytest.mark.parametrize(("kind", "dtype"), kinds("bool", *INTEGERS, *FLOATS))
def test_tubes_are_of_the_same_kind_and_dtype(kind, dtype):
    labels = kind(LABELS, dtype)
    tube = tubeskel.tubed_skeleton(labels)
    assert type(tube) is type(labels)
    assert tube.dtype == labels.dtype
    assert same(tube, reference_tube(as_array(labels)))
    tube = tubeskel.tubed_skeleton(labels, per_class=True)
    assert same(tube, reference_tube_per_class(as_array(labels)))


@pytest.mark.parametrize(("kind", "dtype"), kinds(*INTEGERS, *FLOATS))
@pytest.mark.parametrize("ignore_index", [1, 3, 0, 255, -1, 1000, 2**31, -(2**63), 2**63 - 1])
def test_ignore_index_whether_the_dtype_can_hold_it_or_not(kind, dtype, ignore_index):
    labels = kind(LABELS, dtype)
    tube = tubeskel.tubed_skeleton(labels, ignore_index=ignore_index)
    assert same(tube, reference_tube(LABELS, ignore_index=ignore_index))


@pytest.mark.parametrize("ignore_index", [2**63, 2**64 - 1, 2**64, -(2**70)])
def test_ignore_index_beyond_the_signed_64_bits_is_refused(kind, ignore_index):
    with pytest.raises(ValueError, match=rf"ignore_index .*got {ignore_index}"):
        tubeskel.tubed_skeleton(kind(LABELS.astype(np.uint64)), ignore_index=ignore_index)


def test_ignored_minus_one_is_not_the_largest_unsigned_label(kind):
    labels = np.full((9, 40), 255, dtype=np.uint8)
    tube = tubeskel.tubed_skeleton(kind(labels), ignore_index=-1)
    assert same(tube, reference_tube(labels))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", MAKERS)
def test_any_nonzero_float_is_foreground(kind, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    values = [0.0, -0.0, np.inf, -np.inf, -1.5, tiny, -tiny, 0.3]
    image = np.zeros((3, len(values) * 3), dtype=dtype)
    image[1, 1::3] = values
    expected = tubeskel.skeletonize(image != 0)
    assert expected.sum() == 6
    image = kind(image, dtype)
    assert same(tubeskel.skeletonize(image), expected)
    tube = as_array(tubeskel.tubed_skeleton(image))
    assert np.array_equal(tube[1, 1::3], np.asarray(values, dtype=dtype).astype(tube.dtype))


@pytest.mark.parametrize("kind", MAKERS)
def test_negative_labels_are_foreground(kind):
    labels = kind(-LABELS, "int8")
    assert same(tubeskel.tubed_skeleton(labels), -reference_tube(LABELS))


def test_bools_that_are_neither_0_nor_1_in_memory_are_true():
    image = np.array([[2, 0, 128]], dtype=np.uint8).view(bool)
    assert tubeskel.skeletonize(image).tolist() == [[True, False, True]]
