"""Tensors of every layout are taken, with or without gradient; other devices are refused."""

from __future__ import annotations

import pytest
import torch
from devices import same
from mask_shapes import make_labels

import tubeskel
from tubeskel import _torch_ops

LABELS = make_labels((40, 150), 4, seed=2)
pytestmark = pytest.mark.usefixtures("device")
FUNCTIONS = (tubeskel.skeletonize, tubeskel.thin, tubeskel.dilate, tubeskel.tubed_skeleton)
function = pytest.mark.parametrize("function", FUNCTIONS)


@pytest.fixture
def labels(device):
    return torch.from_numpy(LABELS).to(device)


LAYOUTS = {
    "transposed": lambda x: x.T.contiguous().T,
    "every other column": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "offset into its storage": lambda x: torch.cat([x, x])[x.shape[0] :],
    "parameter": lambda x: torch.nn.Parameter(x.float()),
    "with gradient": lambda x: x.double().requires_grad_() * 1,
    "negated lazily": lambda x: torch._neg_view(-x),
    "lazily negated imaginary part": lambda x: torch.complex(x.float(), -x.float()).conj().imag,
    "shared memory": lambda x: x.clone().share_memory_(),
    "unaligned": lambda x: torch.cat([x.new_zeros(1), x.flatten()]).byte()[1:].view(x.shape),
}


@function
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_do_not_matter(function, labels, layout):
    tensor = layout(labels)
    result = function(tensor)
    assert type(result) is torch.Tensor
    assert result.is_contiguous()
    assert not result.requires_grad
    assert result.dtype == (tensor.dtype if function is tubeskel.tubed_skeleton else torch.bool)
    assert same(result, function(LABELS))


@function
def test_expanded_and_channels_last_batches(function, labels):
    batch = labels.expand(2, 3, 40, 150)
    expected = function(labels)
    for tensor in (batch, batch.contiguous(memory_format=torch.channels_last)):
        result = function(tensor, spatial_dims=2)
        assert result.is_contiguous()
        assert (result == expected).all()


@function
def test_inside_inference_mode_and_no_grad(function, labels):
    expected = function(labels)
    with torch.inference_mode():
        assert torch.equal(function(labels), expected)
    with torch.no_grad():
        assert torch.equal(function(labels.float().requires_grad_()).to(expected.dtype), expected)


@function
def test_subclasses_of_tensors_are_tensors(function, labels):
    class Mask(torch.Tensor):
        pass

    result = function(labels.as_subclass(Mask))
    assert isinstance(result, torch.Tensor)
    assert torch.equal(result.as_subclass(torch.Tensor), function(labels))


@function
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr", "to_mkldnn"])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_refuses_tensors_that_are_not_dense(function, device, layout):
    name = "labels" if function is tubeskel.tubed_skeleton else "image"
    dense = torch.eye(3, device="cpu" if layout == "to_mkldnn" else device)
    with pytest.raises((TypeError, ValueError), match=name):
        function(getattr(dense, layout)())


@function
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged], ids=str)
def test_refuses_nested_tensors(function, layout):
    name = "labels" if function is tubeskel.tubed_skeleton else "image"
    nested = torch.nested.nested_tensor([torch.eye(3), torch.eye(4)[:, :3]], layout=layout)
    with pytest.raises(TypeError, match=f"{name} must be a dense tensor, got a nested one"):
        function(nested)


@function
def test_refuses_other_devices(function):
    name = "labels" if function is tubeskel.tubed_skeleton else "image"
    with pytest.raises(ValueError, match=f"{name} must be on the CPU or a CUDA device, got meta"):
        function(torch.zeros(3, 3, device="meta"))


@function
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128, torch.float8_e4m3fn])
def test_refuses_dtypes_that_are_no_number_line(function, dtype):
    with pytest.raises(TypeError, match=str(dtype)):
        function(torch.zeros(3, 3).to(dtype))


def test_what_an_error_says_where_memory_is_short(device):
    image = torch.zeros(1, 1, dtype=torch.bool, device=device).expand(2**25, 2**25)
    with pytest.raises(RuntimeError, match=r"cannot allocate a tensor of shape \[33554432, 3355"):
        _torch_ops.thin(image, 2, "zhang", 1, False)
