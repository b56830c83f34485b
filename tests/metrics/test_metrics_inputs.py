"""What the scores accept and refuse, and what they import."""

import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from tubeskel.metrics import betti_errors, betti_numbers, cldice, dice, evaluate

P, T = np.random.default_rng(0).random((2, 12, 13)) > 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16, np.float16, np.float32, float])
def test_nonzero_is_foreground_in_every_dtype(dtype):
    assert dice(P.astype(dtype) * 3, T.astype(dtype)) == dice(P, T)
    assert cldice(P.astype(dtype) * 3, T.astype(dtype)) == cldice(P, T)


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32]
)
def test_tensors_give_what_arrays_give(device, dtype):
    p, t = torch.from_numpy(P).to(device, dtype), torch.from_numpy(T).to(device, dtype)
    assert dice(p, t) == dice(P, T)
    assert cldice(p, T) == cldice(P, T)
    np.testing.assert_array_equal(betti_errors(p, t), betti_errors(P, T))


def test_tensors_with_a_graph_and_label_tensors_work(device):
    logits = torch.randn(2, 12, 13, requires_grad=True)
    assert 0 <= dice(logits.relu()[0], logits.relu()[1]) <= 1
    labels = torch.from_numpy(P.astype(np.int64)).to(device)
    assert evaluate(labels, labels, num_classes=2)[1]["dice"] == 1.0


def test_subclasses_of_tensors_work():
    class Volume(torch.Tensor):
        pass

    for dtype in (torch.bfloat16, torch.float32):
        p = torch.from_numpy(P).to(dtype).requires_grad_().as_subclass(Volume)
        assert dice(p, T) == dice(P, T)


def test_cupy_arrays_are_brought_to_the_host(monkeypatch):
    class Array:
        def __init__(self, values):
            self.values = values

        def get(self):
            return self.values

        def __array__(self, *options, **more):
            raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(ndarray=Array))
    assert cldice(Array(P), Array(T)) == cldice(P, T)


def test_views_lists_and_read_only_arrays_work():
    frozen = P.copy()
    frozen.flags.writeable = False
    assert dice(frozen.tolist(), T) == dice(P, T)
    p, t = frozen[::-1, ::2], T[::-1, ::2]
    assert cldice(p, t) == cldice(p.copy(), t.copy())


@pytest.mark.parametrize("dtype", [complex, object, "U1"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="target must be bool, integer or float, got "):
        dice(P, np.zeros(P.shape, dtype))


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_nan_is_refused(make):
    values = [[0.0, float("nan")]]
    with pytest.raises(ValueError, match="prediction holds NaN"):
        dice(make(values), [[0, 1]])
    with pytest.raises(ValueError, match="image holds NaN"):
        betti_numbers(make(values))


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"same shape, got \(12, 13\) and \(12, 12\)"):
        dice(P, T[:, :12])
    with pytest.raises(ValueError, match=r"field_of_view has shape \(3,\); allowed: \(12, 13\)"):
        dice(P, T, field_of_view=np.ones(3))
    with pytest.raises(ValueError, match=r"allowed: \(2, 12, 13\) or \(12, 13\)"):
        dice(np.stack([P, P]), np.stack([T, T]), field_of_view=np.ones(3), spatial_dims=2)
    with pytest.raises(ValueError, match=r"spatial_dims must lie in 1\.\.2 .* got 3"):
        dice(P, T, spatial_dims=3)
    with pytest.raises(TypeError, match=r"spatial_dims must be an integer, got 2\.0"):
        dice(P, T, spatial_dims=2.0)
    with pytest.raises(ValueError, match="number of axes must be 2 or 3, got 1; name a batch"):
        cldice(P[0], T[0])
    with pytest.raises(ValueError, match="spatial_dims must be 2 or 3, got 1"):
        betti_errors(P, T, spatial_dims=1)


def test_a_field_of_view_may_be_shared_by_a_batch():
    predictions, targets, region = np.stack([P, T]), np.stack([T, T]), P | T
    shared = dice(predictions, targets, field_of_view=region, spatial_dims=2)
    each = dice(predictions, targets, field_of_view=np.stack([region, region]), spatial_dims=2)
    np.testing.assert_array_equal(shared, each)


def test_scores_of_arrays_import_neither_torch_nor_scipy():
    code = (
        "import sys; from tubeskel import metrics; metrics.dice([1, 0], [1, 1]);"
        "assert not {'torch', 'scipy'} & set(sys.modules); metrics.betti_numbers([[1]]);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
