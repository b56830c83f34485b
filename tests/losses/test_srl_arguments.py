"""Arguments of `srl_loss`: what is taken, and errors that name the argument and its value."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from devices import here
from srl_oracle import make_case, tube_of

import tubeskel
from tubeskel import srl_loss

pytestmark = pytest.mark.usefixtures("device")

LABEL_DTYPES = ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]


@pytest.fixture
def case(device):
    return make_case(samples=2, channels=3, shape=(20, 30), dtype=torch.float32)


@pytest.fixture
def logits(case):
    return case[0]


@pytest.fixture
def target(case):
    return case[1]


@pytest.mark.parametrize("dtype", LABEL_DTYPES)
@pytest.mark.parametrize("tube_dtype", [None, "bool", *LABEL_DTYPES])
def test_labels_of_any_integer_type(logits, target, dtype, tube_dtype):
    expected = srl_loss(logits, target)
    tube = None
    if tube_dtype:
        tube = tube_of(target).to(getattr(torch, tube_dtype))
        expected = srl_loss(logits, target, tube=tube.long())
    typed = target.to(getattr(torch, dtype))
    for shaped in (typed, typed[:, None]):
        assert torch.equal(srl_loss(logits, shaped, tube=tube), expected)


def test_bools_are_labels_of_two_classes(logits, target):
    two = logits[:, :2]
    expected = srl_loss(two, (target > 0).long())
    assert torch.equal(srl_loss(two, target > 0), expected)


@pytest.mark.parametrize("layout", ["transposed", "expanded", "strided"])
def test_layouts_of_the_target(logits, target, layout):
    other = {
        "transposed": target.mT.contiguous().mT,
        "expanded": target[:1].expand(2, -1, -1),
        "strided": target.repeat_interleave(2, 2)[..., ::2],
    }[layout]
    assert torch.equal(srl_loss(logits, other), srl_loss(logits, other.clone()))


def test_the_input_is_left_alone(logits, target):
    before = logits.detach().clone(), target.clone()
    srl_loss(logits, target).backward()
    assert torch.equal(logits, before[0])
    assert torch.equal(target, before[1])


@pytest.mark.parametrize("bad", [3, 200, -1])
@pytest.mark.parametrize("where", ["made", "given", "in the tube"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint16"])
def test_values_out_of_range(logits, target, sync_checks, bad, where, dtype):
    if bad > torch.iinfo(getattr(torch, dtype)).max or (bad < 0 and dtype.startswith("u")):
        bad = torch.iinfo(getattr(torch, dtype)).max
    spoilt = target.clone()
    spoilt[1, 17, 29] = bad
    spoilt = here(torch.from_numpy(spoilt.cpu().numpy().astype(dtype)))
    name, arguments = {
        "made": ("target", {"target": spoilt}),
        "given": ("target", {"target": spoilt, "tube": tube_of(target)}),
        "in the tube": ("tube", {"target": target, "tube": spoilt}),
    }[where]
    with pytest.raises(ValueError, match=rf"{name} holds {bad}; allowed: 0\.\.2"):
        srl_loss(logits, **arguments)


def test_sigmoid_takes_masks_of_zero_and_one(logits, target, sync_checks):
    with pytest.raises(ValueError, match=r"target holds 2; allowed: 0\.\.1"):
        srl_loss(logits[:, :1], target, activation="sigmoid")


@pytest.mark.parametrize(
    "shape", [(2, 20), (2, 30, 20), (3, 20, 30), (2, 3, 20, 30), (2, 20, 30, 1), (1, 2, 20, 30), ()]
)
@pytest.mark.parametrize("name", ["target", "tube"])
def test_shapes_that_do_not_match(logits, target, name, shape):
    arguments = {"target": target, "tube": None} | {name: torch.zeros(shape, dtype=torch.long)}
    pattern = rf"{name} must have shape .*\(2, 20, 30\).* got {re.escape(str(shape))}"
    with pytest.raises(ValueError, match=pattern):
        srl_loss(logits, **arguments)


def test_multi_label_targets_need_a_mask_for_each_channel(logits, target):
    with pytest.raises(ValueError, match=r"target must have shape \(2, 3, 20, 30\)"):
        srl_loss(logits, target, activation="sigmoid")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64, torch.complex64])
@pytest.mark.parametrize("name", ["target", "tube"])
def test_labels_of_floats(logits, target, name, dtype):
    arguments = {"target": target, "tube": None} | {name: target.to(dtype)}
    with pytest.raises(ValueError, match=f"{name} .*{dtype}"):
        srl_loss(logits, **arguments)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_logits_with_too_few_axes(target, shape):
    with pytest.raises(ValueError, match=rf"logits .*{re.escape(str(shape))}"):
        srl_loss(torch.zeros(shape), target)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_logits_that_are_no_floats(target, dtype):
    with pytest.raises(TypeError, match=f"logits .*{dtype}"):
        srl_loss(torch.zeros(2, 3, 20, 30, dtype=dtype), target)


@pytest.mark.parametrize("name", ["logits", "target", "tube"])
@pytest.mark.parametrize("bad", [np.zeros((2, 20, 30), dtype=int), [[1]], "x"])
def test_what_is_no_tensor(logits, target, name, bad):
    arguments = {"logits": logits, "target": target} | {name: bad}
    with pytest.raises(TypeError, match=f"{name} must be a torch.Tensor, got {type(bad).__name__}"):
        srl_loss(**arguments)


def test_no_target(logits):
    with pytest.raises(TypeError, match="target"):
        srl_loss(logits, None)


@pytest.mark.parametrize("name", ["logits", "target", "tube"])
def test_other_devices(logits, target, name):
    arguments = {"logits": logits, "target": target, "tube": target}
    arguments[name] = arguments[name].to("meta")
    with pytest.raises(ValueError, match=f"{name} must be on the CPU or a CUDA device, got meta"):
        srl_loss(**arguments)


@pytest.mark.parametrize("name", ["logits", "target", "tube"])
def test_sparse_tensors(logits, target, name):
    arguments = {"logits": logits, "target": target, "tube": target}
    arguments[name] = arguments[name].detach().to_sparse()
    with pytest.raises((TypeError, ValueError), match=name):
        srl_loss(**arguments)


def test_one_channel_with_a_softmax(logits, target):
    with pytest.raises(ValueError, match=r"logits .*2 channels .*softmax.*got 1.*sigmoid"):
        srl_loss(logits[:, :1], target)


@pytest.mark.parametrize("shape", [(6,), (3, 4, 5, 6)])
def test_a_tube_is_made_for_two_and_three_spatial_axes_only(shape):
    with pytest.raises(ValueError, match=f"tube must be given .*{len(shape)} spatial"):
        srl_loss(torch.zeros(1, 2, *shape), torch.zeros(1, *shape, dtype=torch.long))


OPTIONS = [
    ("activation", "tanh", ValueError),
    ("activation", None, ValueError),
    ("activation", ["softmax"], ValueError),
    ("classes", "some", ValueError),
    ("classes", 3, ValueError),
    ("smooth", -1e-5, ValueError),
    ("smooth", float("nan"), ValueError),
    ("smooth", float("inf"), ValueError),
    ("smooth", 10**400, ValueError),
    ("smooth", "1", TypeError),
    ("smooth", True, TypeError),
    ("smooth", None, TypeError),
    ("batch", 1, TypeError),
    ("batch", None, TypeError),
    ("per_class", "no", TypeError),
    ("method", "guo_hall", ValueError),
    ("radius", -1, ValueError),
    ("radius", 1.0, TypeError),
    ("radius", True, TypeError),
    ("ignore_index", 255.0, TypeError),
    ("ignore_index", "255", TypeError),
]


@pytest.mark.parametrize(("name", "bad", "error"), OPTIONS, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("given", [False, True])
def test_options(logits, target, name, bad, error, given):
    tube = target if given else None
    shown = re.escape(str(bad)[:20])
    with pytest.raises(error, match=f"{name} .*{shown}"):
        srl_loss(logits, target, tube=tube, **{name: bad})
    with pytest.raises(error, match=f"{name} .*{shown}"):
        tubeskel.SkeletonRecallLoss(**{name: bad})


@pytest.mark.parametrize("smooth", [1, np.float64(1), np.float32(1), np.int64(1)])
def test_smooth_of_any_real_type(logits, target, smooth):
    assert torch.equal(
        srl_loss(logits, target, smooth=smooth), srl_loss(logits, target, smooth=1.0)
    )


def test_options_go_by_name_only(logits, target):
    with pytest.raises(TypeError, match="positional"):
        srl_loss(logits, target, target)
