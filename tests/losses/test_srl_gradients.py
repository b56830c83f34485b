"""The gradient of `srl_loss`: gradcheck, scaling, repeated use, and eq. 2 of the paper."""

from __future__ import annotations

import gc
import time

import pytest
import torch
from srl_oracle import equation_1, make_case, tube_of
from torch.utils.checkpoint import checkpoint

from tubeskel import srl_loss

pytestmark = pytest.mark.usefixtures("device")


@pytest.fixture
def case(device):
    return make_case(samples=2, channels=3, shape=(20, 30))


def gradient(loss, logits, **options):
    (grad,) = torch.autograd.grad(loss, logits, **options)
    return grad


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_gradcheck(batch, activation):
    logits, target = make_case(samples=2, channels=3, shape=(7, 8))
    if activation == "sigmoid":
        target = torch.stack([target == c for c in range(3)], 1)
    options = {"activation": activation, "batch": batch, "smooth": 0.1}
    assert torch.autograd.gradcheck(lambda z: srl_loss(z, target, **options), logits)


@pytest.mark.parametrize("factor", [2.0, -0.5, 0.0, 65536.0])
def test_a_scaled_loss_has_a_scaled_gradient(case, factor):
    logits, target = case
    plain = gradient(srl_loss(logits, target), logits)
    assert torch.equal(gradient(factor * srl_loss(logits, target), logits), factor * plain)


def test_the_sum_of_two_uses(case):
    logits, target = case
    plain = gradient(srl_loss(logits, target), logits)
    loss = srl_loss(logits, target)
    assert torch.equal(gradient(loss + loss, logits, retain_graph=True), 2 * plain)
    assert torch.allclose(gradient(loss * loss, logits), 2 * loss.item() * plain, rtol=1e-12)


def test_part_of_a_larger_loss(case):
    logits, target = case
    both = srl_loss(logits, target) + torch.nn.functional.cross_entropy(logits, target)
    grad = gradient(both, logits)
    expected = equation_1(logits, tube_of(target))
    expected = expected + torch.nn.functional.cross_entropy(logits, target)
    torch.testing.assert_close(grad, gradient(expected, logits))


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_backward_three_times_through_one_graph(case, factor):
    logits, target = case
    loss = factor * srl_loss(logits, target)
    plain = gradient(loss, logits, retain_graph=True)
    plain = plain.clone()
    for _ in range(2):
        loss.backward(retain_graph=True)
    loss.backward()
    torch.testing.assert_close(logits.grad, 3 * plain)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_a_result_may_be_changed_in_place(case, factor):
    logits, target = case
    loss = factor * srl_loss(logits, target)
    first = gradient(loss, logits, retain_graph=True)
    expected = first.clone()
    first.zero_()
    second = gradient(loss, logits, retain_graph=True)
    assert torch.equal(second, expected)
    third = gradient(loss, logits)
    third.mul_(2)
    assert torch.equal(second, expected)


def test_clipping_between_two_backward_passes(case):
    logits, target = case
    loss = srl_loss(logits, target)
    expected = gradient(srl_loss(logits, target), logits)
    loss.backward(retain_graph=True)
    torch.nn.utils.clip_grad_norm_([logits], 1e-3)
    logits.grad.zero_()
    loss.backward()
    assert torch.equal(logits.grad, expected)


def test_the_second_derivative_is_right_or_refused(case):
    logits, target = case
    expected_grad = gradient(equation_1(logits, tube_of(target)) ** 2, logits, create_graph=True)
    expected = gradient(expected_grad.pow(2).sum(), logits)
    try:
        grad = gradient(srl_loss(logits, target) ** 2, logits, create_graph=True)
        second = gradient(grad.pow(2).sum(), logits)
    except RuntimeError:
        return
    torch.testing.assert_close(second, expected)


def test_no_graph_without_need(case):
    logits, target = case
    expected = srl_loss(logits, target).detach()
    with torch.no_grad():
        loss = srl_loss(logits, target)
    assert not loss.requires_grad
    assert torch.equal(loss, expected)
    assert not srl_loss(logits.detach(), target).requires_grad
    with torch.inference_mode():
        assert torch.equal(srl_loss(logits, target), expected)


@pytest.mark.parametrize("backward", [True, False])
def test_nothing_is_left_when_the_loss_is_gone(case, backward):
    logits, target = case

    def tensors():
        return {id(o) for o in gc.get_objects() if isinstance(o, torch.Tensor)}

    gc.collect()
    gc.disable()  # no cycles that only the collector would find
    try:
        before = tensors()
        loss = srl_loss(logits, target)
        if backward:
            gradient(loss, logits)
        del loss
        for _ in range(100):
            left = tensors() - before
            if not left:
                break
            time.sleep(0.02)  # the thread of a device lets go of gradients after they are returned
        assert not left
    finally:
        gc.enable()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_retained_graph_gives_the_same_gradient_again(case, dtype):
    logits, target = case
    logits = logits.detach().to(dtype).requires_grad_()
    loss = srl_loss(logits, target, ignore_index=1) * 1024
    first, second = (gradient(loss, logits, retain_graph=True) for _ in range(2))
    torch.testing.assert_close(first, second)
    assert first.any()


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing(case, reentrant):
    logits, target = case
    expected = gradient(srl_loss(2 * logits, target), logits)
    loss = checkpoint(lambda z: srl_loss(2 * z, target), logits, use_reentrant=reentrant)
    loss.backward()
    assert torch.equal(logits.grad, expected)


def test_the_gradient_is_that_of_the_forward_pass(case):
    logits, target = case
    expected = gradient(srl_loss(logits, target), logits)
    inner = logits.detach().clone().requires_grad_()
    loss = srl_loss(inner, target)
    with torch.no_grad():
        inner.add_(1000)  # as an optimiser's step would
    try:
        grad = gradient(loss, inner)
    except RuntimeError:
        return
    assert torch.equal(grad, expected)


def test_with_respect_to_the_probabilities_it_is_constant(case):
    """Eq. 2: dL/ds is -y / (|K| sum y), whatever the prediction."""
    logits, target = case
    tube = tube_of(target)
    for scale in (0.0, 0.1, 1.0):
        z = (scale * logits).detach().requires_grad_()
        grad = gradient(srl_loss(z, target, tube=tube), z)
        # The softmax's Jacobian applied to the constant of eq. 2.
        s = torch.softmax(z.detach(), 1)
        constant = torch.zeros_like(s)
        for k in (1, 2):
            constant[:, k] = -(tube == k).double() / (2 * (tube == k).sum())
        expected = s * (constant - (s * constant).sum(1, keepdim=True))
        torch.testing.assert_close(grad, expected, rtol=1e-10, atol=1e-16)


def test_confidently_missed_pixels_have_a_vanishing_gradient():
    target = torch.ones(1, 8, 8, dtype=torch.uint8)
    sizes = []
    for z in (0.0, 5.0, 10.0, 20.0):
        logits = torch.tensor([z, 0.0]).view(1, 2, 1, 1).repeat(1, 1, 8, 8).double()
        logits.requires_grad_()
        sizes.append(gradient(srl_loss(logits, target), logits).abs().max().item())
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 1e-8 * sizes[0]


def test_off_the_tube_it_is_zero(case):
    logits, target = case
    grad = gradient(srl_loss(logits, target), logits)
    tube = tube_of(target)
    assert not grad.movedim(1, -1)[tube == 0].any()
    assert grad.movedim(1, -1)[tube != 0].all()
    torch.testing.assert_close(grad.sum(1), torch.zeros_like(grad.sum(1)), atol=1e-15, rtol=0)
