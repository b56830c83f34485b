"""Classes that are numbered before a tube is made of each, as for CUDA tensors."""

from __future__ import annotations

import pytest
import torch
from devices import same

import tubeskel
from tubeskel import _torch_ops

pytestmark = pytest.mark.usefixtures("device")


@pytest.mark.parametrize("ignore_index", [None, 7, -2])
@pytest.mark.parametrize("dtype", [d for d in _torch_ops.LABEL_DTYPES if d.itemsize > 1])
def test_numbered_classes_have_the_same_tubes(dtype, ignore_index):
    labels = torch.tensor([0, 7, 9, -2])[torch.randint(0, 4, (2, 10, 1)).expand(2, 10, 40)]
    labels = labels.to(dtype)
    classes, number = _torch_ops.number_classes("labels", labels, ignore_index)
    assert number == int(classes.max()) + 1
    options = {"per_class": True, "spatial_dims": 2}
    tube = tubeskel.tubed_skeleton(classes, **options)
    expected = tubeskel.tubed_skeleton(labels, ignore_index=ignore_index, **options)
    integers = _torch_ops.as_integers(labels).masked_fill(tube == 0, 0)
    assert same(integers.view(dtype), expected)


@pytest.mark.parametrize("dtype", _torch_ops.FLOAT_DTYPES)
def test_classes_of_floats(dtype):
    labels = torch.tensor([[0.0, -0.0, 1.5, -1.5, torch.inf, 1.5]], dtype=dtype)
    classes, number = _torch_ops.number_classes("labels", labels, None)
    assert number == 4
    assert (classes != 0).tolist() == [[False, False, True, True, True, True]]
    assert classes[0, 2] == classes[0, 5] != classes[0, 3]
    labels[0, 0] = torch.nan
    with pytest.raises(ValueError, match="labels holds nan; allowed: every value but NaN"):
        _torch_ops.number_classes("labels", labels, None)


@pytest.mark.parametrize("shape", [(0, 4), (3, 4)])
def test_no_classes_at_all(shape):
    classes, number = _torch_ops.number_classes("labels", torch.zeros(shape).long(), None)
    assert number == 2
    assert not classes.any()
