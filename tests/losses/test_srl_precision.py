"""float32, bfloat16 and float16 logits; extreme logits."""

from __future__ import annotations

import pytest
import torch
from srl_oracle import equation_1, make_case, tube_of, value_and_grad

from tubeskel import srl_loss

pytestmark = pytest.mark.usefixtures("device")

TOLERANCES = {torch.float32: 1e-6, torch.bfloat16: 2**-8, torch.float16: 2**-11}
half_types = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])


def both(dtype, scale, seed=0, **options):
    """Gradients for logits of `dtype`, and for the same values in float64."""
    logits, target = make_case(samples=2, channels=4, shape=(60, 90), dtype=dtype, seed=seed)
    double = logits.detach().double().requires_grad_()
    return tuple(
        value_and_grad(scale * srl_loss(z, target, **options), z) for z in (logits, double)
    )


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("batch", [True, False])
def test_close_to_float64(dtype, batch):
    scale = 65536 if dtype == torch.float16 else 1  # which float16 needs for its narrow range
    (loss, grad), (exact_loss, exact_grad) = both(dtype, scale, batch=batch)
    assert loss.dtype == torch.float32
    assert grad.dtype == dtype
    # The logits are the same numbers, so the loss is as good as a float32's.
    assert abs(loss.item() / exact_loss.item() - 1) < 1e-6
    assert (grad.double() - exact_grad).norm() <= 2 * TOLERANCES[dtype] * exact_grad.norm()


def test_float64_is_float64_throughout():
    logits, target = make_case()
    loss = srl_loss(logits, target)
    assert loss.dtype == torch.float64
    assert abs(loss.item() / equation_1(logits, tube_of(target)).item() - 1) < 1e-14


@half_types
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch": False},
        {"classes": "all", "smooth": 1e-5},
        {"classes": "all", "smooth": 0.0},
        {"classes": "all", "smooth": 1e-5, "batch": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("absent", [False, True])
def test_under_a_loss_scale_nothing_is_flushed_to_zero(dtype, options, absent):
    logits, target = make_case(samples=2, channels=4, shape=(200, 300), dtype=dtype)
    if absent:
        target[target == 2] = 0
    double = logits.detach().double().requires_grad_()
    _, grad = value_and_grad(65536 * srl_loss(logits, target, **options), logits)
    _, exact = value_and_grad(65536 * srl_loss(double, target, **options), double)
    assert (grad.double() - exact).norm() <= 2 * TOLERANCES[dtype] * exact.norm()
    large = exact.abs() > 1e-5 * exact.abs().max()
    assert grad[large].all()


@half_types
def test_a_class_of_one_pixel_does_not_cost_the_others_their_gradient(dtype):
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 300, 300).to(dtype).requires_grad_()
    tube = torch.ones(1, 300, 300, dtype=torch.uint8)
    tube[0, 0] = 0
    tube[0, 0, 0] = 2
    double = logits.detach().double().requires_grad_()
    _, grad = value_and_grad(65536 * srl_loss(logits, tube, tube=tube), logits)
    _, exact = value_and_grad(65536 * srl_loss(double, tube, tube=tube), double)
    many = (tube == 1)[:, None].expand_as(grad)
    difference = (grad.double() - exact)[many].norm()
    assert difference <= 4 * TOLERANCES[dtype] * exact[many].norm()


@half_types
def test_one_tube_pixel_under_a_loss_scale_does_not_overflow(dtype):
    tube = torch.zeros(1, 4, 4, dtype=torch.uint8)
    tube[0, 1, 1] = 1
    logits = torch.zeros(1, 2, 4, 4, dtype=dtype, requires_grad=True)
    _, grad = value_and_grad(65536 * srl_loss(logits, tube, tube=tube), logits)
    assert grad[0, :, 1, 1].tolist() == [16384, -16384]
    assert grad.abs().sum() == 32768


@pytest.mark.parametrize("dtype", [torch.float64, *TOLERANCES])
@pytest.mark.parametrize("size", [100.0, 1e4])
def test_large_logits_saturate(dtype, size):
    logits, target = make_case(dtype=dtype)
    tube = tube_of(target)
    large = (logits.detach().sign() * size).requires_grad_()
    value, grad = value_and_grad(srl_loss(large, target), large)
    double = large.detach().double().requires_grad_()
    exact, exact_grad = value_and_grad(equation_1(double, tube), double)
    assert value.item() == pytest.approx(exact.item(), rel=1e-6)
    torch.testing.assert_close(grad.double(), exact_grad, rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, *TOLERANCES])
@pytest.mark.parametrize("channel", [0, 1, 3])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_nan_and_infinity_spread_as_in_torch_but_from_tube_pixels_only(dtype, channel, value):
    logits, target = make_case(dtype=dtype)
    tube = tube_of(target)
    off, on = (tube == 0).nonzero()[5], (tube == 2).nonzero()[5]
    finite = value_and_grad(srl_loss(logits, target), logits)
    broken = logits.detach().clone().requires_grad_()
    with torch.no_grad():
        broken[off[0], channel, off[1], off[2]] = value
    assert torch.equal(srl_loss(broken, target).detach(), finite[0])
    assert torch.equal(value_and_grad(srl_loss(broken, target), broken)[1], finite[1])
    with torch.no_grad():
        broken[on[0], channel, on[1], on[2]] = value
    loss, grad = value_and_grad(srl_loss(broken, target), broken)
    assert loss.isnan()
    assert grad[on[0], :, on[1], on[2]].isnan().all()
    assert grad.isnan().sum() == logits.shape[1]


@pytest.mark.parametrize("dtype", [torch.float64, *TOLERANCES])
def test_minus_infinity_is_probability_zero(dtype):
    logits, target = make_case(dtype=dtype)
    with torch.no_grad():
        logits[:, 2] = -torch.inf
    value, grad = value_and_grad(srl_loss(logits, target), logits)
    double = logits.detach().double().requires_grad_()
    exact, _ = value_and_grad(equation_1(double, tube_of(target)), double)
    assert value.item() == pytest.approx(exact.item(), rel=1e-6)
    assert not grad.isnan().any()
    assert grad[:, 2].double().abs().max() < 1e-30


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 1e4, -1e4])
def test_sigmoid_of_extreme_logits(value):
    target = torch.ones(1, 8, 8, dtype=torch.uint8)
    logits = torch.zeros(1, 1, 8, 8)
    logits[0, 0, 4, 4] = value
    logits.requires_grad_()
    loss, grad = value_and_grad(srl_loss(logits, target, tube=target, activation="sigmoid"), logits)
    expected, expected_grad = value_and_grad(
        equation_1(logits, target[:, None], activation="sigmoid"), logits
    )
    torch.testing.assert_close(loss, expected, equal_nan=True)
    torch.testing.assert_close(grad, expected_grad, equal_nan=True)


def test_sums_over_many_pixels_keep_their_precision():
    target = torch.ones(1, 3000, 1000, dtype=torch.uint8)
    logits = torch.zeros(1, 2, 3000, 1000)
    logits[:, 1] = 0.1
    expected = -torch.sigmoid(torch.tensor(0.1).double()).item()
    assert srl_loss(logits, target, tube=target).item() == pytest.approx(expected, rel=2e-7)


def test_inside_autocast(device):
    logits, target = make_case(dtype=torch.float32)
    expected = srl_loss(logits.bfloat16(), target)
    with torch.autocast(device, dtype=torch.bfloat16):
        loss = srl_loss(logits.bfloat16(), target)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    loss.backward()
