"""`dice_ce_srl_loss` in every dtype and at extreme logits."""

from __future__ import annotations

import pytest
import torch
from compound_oracle import compound, sigmoid_case, softmax_case
from srl_oracle import value_and_grad

from tubeskel import dice_ce_srl_loss

pytestmark = pytest.mark.usefixtures("device")

TOLERANCES = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}
RECALLS = ["linear", "log", "cross_entropy", "tversky"]
CASES = {"softmax": softmax_case, "sigmoid": sigmoid_case}


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("activation", CASES)
@pytest.mark.parametrize("scale", [1.0, 65536.0])
def test_close_to_double_precision(dtype, activation, scale):
    logits, target, tube = CASES[activation](shape=(200, 301), dtype=dtype)
    double = logits.detach().double().requires_grad_()
    loss = dice_ce_srl_loss(logits, target, tube=tube, activation=activation)
    value, grad = value_and_grad(scale * loss, logits)
    expected, _ = compound(double, target, tube, activation=activation)
    exact, exact_grad = value_and_grad(scale * expected, double)
    assert loss.dtype == torch.float32
    assert grad.dtype == dtype
    assert value.item() == pytest.approx(exact.item(), rel=2e-6)
    error = (grad.double() - exact_grad).norm() / exact_grad.norm()
    assert error <= (TOLERANCES[dtype] if scale > 1 else 0.3)


def test_under_a_loss_scale_nothing_is_flushed_to_zero():
    logits, target, tube = softmax_case(shape=(200, 300), dtype=torch.float16)
    double = logits.detach().double().requires_grad_()
    _, grad = value_and_grad(65536 * dice_ce_srl_loss(logits, target, tube=tube), logits)
    _, exact = value_and_grad(65536 * compound(double, target, tube)[0], double)
    assert grad[exact.abs() > 1e-4 * exact.abs().max()].all()


@pytest.mark.parametrize("dtype", [torch.float64, *TOLERANCES], ids=str)
@pytest.mark.parametrize("activation", CASES)
@pytest.mark.parametrize("recall", RECALLS)
@pytest.mark.parametrize("right", [True, False])
def test_finite_at_extreme_logits(dtype, activation, recall, right):
    logits, target, tube = CASES[activation](dtype=torch.float64)
    if activation == "softmax":
        sure = torch.nn.functional.one_hot(target, logits.shape[1]).movedim(-1, 1) * 2 - 1
    else:
        sure = target * 2 - 1
    extreme = (sure * (1e4 if right else -1e4)).to(dtype).requires_grad_()
    options = {"activation": activation, "recall": recall, "label_smoothing": 0.1}
    loss, terms = dice_ce_srl_loss(extreme, target, tube=tube, return_terms=True, **options)
    value, grad = value_and_grad(loss, extreme)
    assert value.isfinite()
    assert grad.isfinite().all()
    assert all(term.isfinite() for term in terms.values())
    if right:
        assert terms["dice"].item() == pytest.approx(-1, abs=1e-6)
    if recall != "log":  # whose floor is reached
        _, expected = compound(extreme.detach().double(), target, tube, **options)
        for name, term in terms.items():
            assert term.item() == pytest.approx(expected[name].item(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, *TOLERANCES], ids=str)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_nan_and_infinity_are_not_hidden(dtype, value):
    logits, target, tube = softmax_case(dtype=dtype)
    with torch.no_grad():
        logits[1, 2, 3, 4] = value
    loss = dice_ce_srl_loss(logits, target, tube=tube)
    assert loss.isnan()


def test_sums_over_many_pixels_keep_their_precision():
    target = torch.ones(1, 2000, 3000, dtype=torch.uint8)
    logits = torch.zeros(1, 2, 2000, 3000)
    logits[:, 1] = 0.1
    s = torch.sigmoid(torch.tensor(0.1).double()).item()
    _, terms = dice_ce_srl_loss(logits, target, tube=target, return_terms=True)
    # each pixel has the same few roundings of float32; 6 million of them add nothing
    assert terms["recall"].item() == pytest.approx(-s, rel=6e-7)
    assert terms["dice"].item() == pytest.approx(-2 * s / (1 + s), rel=6e-7)
    assert terms["ce"].item() == pytest.approx(-torch.log(torch.tensor(s)).item(), rel=6e-7)


def test_inside_autocast(device):
    logits, target, tube = softmax_case(dtype=torch.bfloat16)
    expected = dice_ce_srl_loss(logits, target, tube=tube)
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = dice_ce_srl_loss(logits, target, tube=tube)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    loss.backward()


@pytest.mark.parametrize("recall", ["linear", "log", "cross_entropy", "tversky"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_nan_is_not_hidden(recall, activation, device):
    logits = torch.zeros(1, 2, 8, 8, device=device)
    logits[0, :, 4] = float("nan")
    target = torch.zeros(1, 8, 8, dtype=torch.uint8, device=device)
    target[0, 4] = 1
    if activation == "sigmoid":
        target = torch.stack([target, target], 1)
    _, terms = dice_ce_srl_loss(
        logits, target, tube=target, recall=recall, activation=activation, return_terms=True
    )
    assert all(term.isnan() for term in terms.values())
