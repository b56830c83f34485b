"""Values and gradients of `srl_loss` against the formulas in plain PyTorch."""

from __future__ import annotations

import pytest
import torch
from srl_oracle import equation_1, make_case, reference_implementation, tube_of, value_and_grad

import tubeskel
from tubeskel import srl_loss

pytestmark = pytest.mark.usefixtures("device")


def assert_same(loss, expected, logits, tolerance=1e-12):
    value, grad = value_and_grad(loss, logits)
    expected_value, expected_grad = value_and_grad(expected, logits)
    torch.testing.assert_close(value, expected_value.to(value.dtype), rtol=tolerance, atol=1e-14)
    scale = expected_grad.abs().max().item()
    torch.testing.assert_close(grad, expected_grad, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("classes", ["present", "all"])
@pytest.mark.parametrize("smooth", [0.0, 1e-5, 1, 100.0])
def test_softmax(batch, classes, smooth):
    logits, target = make_case()
    target[0][target[0] == 3] = 0  # absent from one sample
    target[1] = 0  # a sample without any
    options = {"batch": batch, "classes": classes, "smooth": smooth}
    expected = equation_1(logits, tube_of(target), **options)
    assert_same(srl_loss(logits, target, **options), expected, logits)


@pytest.mark.parametrize("radius", [0, 1, 2, 5])
@pytest.mark.parametrize("per_class", [True, False])
def test_tubes_made_in_the_call(radius, per_class):
    logits, target = make_case()
    expected = equation_1(logits, tube_of(target, radius, per_class))
    loss = srl_loss(logits, target, radius=radius, per_class=per_class)
    assert_same(loss, expected, logits)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_numbers_of_the_reference_implementation(batch, absent, dtype):
    logits, target = make_case(samples=2, channels=5, shape=(64, 130), dtype=dtype)
    if absent:
        target[target == 2] = 0
    double = logits.detach().double().requires_grad_()
    expected = reference_implementation(double, tube_of(target), batch_dice=batch)
    loss = srl_loss(logits, target, classes="all", smooth=1e-5, batch=batch)
    assert abs(loss.item() / expected.item() - 1) < 1e-6
    (grad,) = torch.autograd.grad(loss, logits)
    (expected_grad,) = torch.autograd.grad(expected, double)
    assert (grad - expected_grad).norm() <= 1e-6 * expected_grad.norm()


def test_sigmoid_of_one_channel():
    logits, target = make_case(channels=2)
    logits = logits.detach()[:, :1].requires_grad_()
    tube = tube_of(target)[:, None]
    for shaped in (target, target[:, None]):
        expected = equation_1(logits, tube, activation="sigmoid")
        assert_same(srl_loss(logits, shaped, activation="sigmoid"), expected, logits)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("classes", ["present", "all"])
@pytest.mark.parametrize("smooth", [0.0, 0.5])
def test_sigmoid_of_several_labels(batch, classes, smooth):
    logits, labels = make_case(channels=3)
    target = torch.stack([labels > 0, labels == 1, labels > 1], 1)  # they overlap
    target[1, 2] = False
    tube = torch.stack([tube_of(target[:, c].long()) for c in range(3)], 1)
    options = {"batch": batch, "classes": classes, "smooth": smooth, "activation": "sigmoid"}
    assert_same(srl_loss(logits, target, **options), equation_1(logits, tube, **options), logits)
    assert_same(
        srl_loss(logits, target, tube=tube, **options),
        equation_1(logits, tube, **options),
        logits,
    )


@pytest.mark.parametrize("shape", [(1,), (63,), (1000,), (17, 65), (5, 9, 13), (8, 16, 32)])
def test_a_given_tube_with_any_number_of_spatial_axes(shape):
    torch.manual_seed(1)
    logits = torch.randn(2, 4, *shape, dtype=torch.float64).requires_grad_()
    target = torch.randint(0, 4, (2, *shape))
    tube = target * (torch.rand(2, *shape) < 0.3)
    for shaped in (tube, tube[:, None]):
        loss = srl_loss(logits, target, tube=shaped)
        assert_same(loss, equation_1(logits, tube), logits)


@pytest.mark.parametrize("channels", [2, 3, 14, 130, 300])
def test_numbers_of_channels(channels):
    torch.manual_seed(1)
    logits = torch.randn(1, channels, 20, 33, dtype=torch.float64)
    logits.requires_grad_()
    tube = torch.randint(0, channels, (1, 20, 33))
    assert_same(srl_loss(logits, tube, tube=tube), equation_1(logits, tube), logits)


def test_a_given_tube_is_what_a_made_one_is():
    logits, target = make_case()
    made = srl_loss(logits, target, radius=3)
    given = srl_loss(logits, target, tube=tubeskel.tubed_skeleton(target, radius=3, spatial_dims=2))
    assert torch.equal(made, given)


@pytest.mark.parametrize(
    "layout", ["channels_last", "transposed", "strided", "negated", "expanded"]
)
def test_layouts_of_the_logits(layout):
    logits, target = make_case()
    expected = srl_loss(logits, target)
    plain = logits.detach()
    other = {
        "channels_last": plain.contiguous(memory_format=torch.channels_last),
        "transposed": plain.transpose(2, 3).contiguous().transpose(2, 3),
        "strided": plain.repeat_interleave(2, 3)[..., ::2],
        "negated": torch._neg_view(-plain),
        "expanded": plain[:1].expand(3, -1, -1, -1),
    }[layout].requires_grad_()
    if layout == "expanded":
        expected = srl_loss(plain[:1].repeat(3, 1, 1, 1).requires_grad_(), target)
    loss = srl_loss(other, target)
    assert torch.equal(loss, expected)
    loss.backward()
    assert other.grad.shape == logits.shape


def test_bounds():
    _, target = make_case(channels=2)
    right = 50 * torch.nn.functional.one_hot((target > 0).long()).movedim(-1, 1).double()
    assert srl_loss(right, target).item() == pytest.approx(-1, abs=1e-12)
    assert srl_loss(-right, target).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("channels", [256, 257, 300])
@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_many_classes_with_a_made_tube(channels, dtype):
    target = torch.zeros(2, 24, 30, dtype=dtype)
    target[:, 4:9, 3:27] = channels - 1
    target[:, 15:20, 3:27] = 7
    logits = torch.randn(2, channels, 24, 30)
    tube = tubeskel.tubed_skeleton(target, spatial_dims=2)
    probability = torch.softmax(logits, 1)
    recalls = [probability[:, k][tube == k].double().mean() for k in (7, channels - 1)]
    expected = -sum(recalls) / 2
    for given in (None, tube):
        assert srl_loss(logits, target, tube=given).item() == pytest.approx(
            float(expected), rel=1e-5
        )
