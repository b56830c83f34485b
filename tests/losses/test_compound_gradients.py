"""The gradient of `dice_ce_srl_loss`: gradcheck, scaling, repeated use, its closed forms."""

from __future__ import annotations

import pytest
import torch
from compound_oracle import sigmoid_case, softmax_case
from srl_oracle import value_and_grad

from tubeskel import dice_ce_srl_loss

pytestmark = pytest.mark.usefixtures("device")

RECALLS = ["linear", "log", "cross_entropy", "tversky"]


@pytest.mark.parametrize("recall", RECALLS)
@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_gradcheck(recall, batch, activation):
    make = softmax_case if activation == "softmax" else sigmoid_case
    logits, target, tube = make(samples=2, channels=3, shape=(4, 5))
    target[0, ..., 1] = 7
    options = {
        "recall": recall,
        "batch": batch,
        "activation": activation,
        "label_smoothing": 0.1,
        "class_weights": [1.0, 2.0, 0.5],
        "ignore_index": 7,
        "include_background": True,
    }
    assert torch.autograd.gradcheck(
        lambda z: dice_ce_srl_loss(z, target, tube=tube, **options), logits
    )


@pytest.fixture
def case(device):
    return softmax_case()


@pytest.mark.parametrize("factor", [2.0, -0.5, 0.0, 65536.0])
def test_a_scaled_loss_has_a_scaled_gradient(case, factor):
    logits, target, tube = case
    _, plain = value_and_grad(dice_ce_srl_loss(logits, target, tube=tube), logits)
    _, scaled = value_and_grad(factor * dice_ce_srl_loss(logits, target, tube=tube), logits)
    torch.testing.assert_close(scaled, factor * plain, rtol=1e-13, atol=0)


def test_backward_twice_through_one_graph(case):
    logits, target, tube = case
    loss = dice_ce_srl_loss(logits, target, tube=tube)
    loss.backward(retain_graph=True)
    once = logits.grad.clone()
    loss.backward()
    assert torch.equal(logits.grad, 2 * once)


@pytest.mark.parametrize("through", ["loss", "its square"])
def test_a_second_derivative_is_refused(case, through):
    logits, target, tube = case
    loss = dice_ce_srl_loss(logits, target, tube=tube)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(loss if through == "loss" else loss**2, logits, create_graph=True)


def test_no_graph_without_need(case):
    logits, target, tube = case
    with torch.no_grad():
        loss = dice_ce_srl_loss(logits, target, tube=tube)
    assert not loss.requires_grad
    assert torch.equal(loss, dice_ce_srl_loss(logits, target, tube=tube).detach())


@pytest.mark.parametrize("recall", RECALLS)
def test_on_the_tube_it_is_as_documented(recall):
    """The derivatives that the docstring gives, for one foreground class."""
    logits, target, tube = softmax_case(samples=1, channels=2)
    options = {"weight_dice": 0.0, "weight_ce": 0.0, "recall": recall, "fp_weight": 0.7}
    _, grad = value_and_grad(dice_ce_srl_loss(logits, target, tube=tube, **options), logits)
    s, y = torch.softmax(logits.detach(), 1)[:, 1], (tube == 1).double()
    outside = 0.7 * (s * (target != 1)).sum()
    recalled, size = (s * y).sum(), y.sum()
    slope = {
        "linear": -y / size,
        "log": -y / recalled,
        "cross_entropy": -y / (s * size),
        "tversky": -y / (size + outside)
        + 0.7 * recalled / (size + outside) ** 2 * (target != 1).double(),
    }[recall]
    torch.testing.assert_close(grad[:, 1], slope * s * (1 - s))
    torch.testing.assert_close(grad[:, 0], -grad[:, 1])


def test_only_cross_entropy_reaches_confidently_missed_pixels():
    target = torch.ones(1, 8, 8, dtype=torch.uint8)
    logits = torch.zeros(1, 2, 8, 8, dtype=torch.float64)
    logits[:, 0, 4] = 30.0  # one row is missed
    logits.requires_grad_()
    sizes = {}
    for recall in RECALLS:
        loss = dice_ce_srl_loss(
            logits, target, tube=target, recall=recall, weight_dice=0.0, weight_ce=0.0
        )
        sizes[recall] = value_and_grad(loss, logits)[1][0, 1, 4].abs().max().item()
    assert sizes.pop("cross_entropy") == pytest.approx(1 / 64)
    assert max(sizes.values()) < 1e-12
