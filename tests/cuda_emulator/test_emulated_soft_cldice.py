"""The ops of soft clDice: what the CPU ops give, and the formula in plain PyTorch."""

from __future__ import annotations

import pytest
import torch
from soft_cldice_oracle import soft_skeleton

from tubeskel._torch_ops import LABEL_DTYPES

# From the CPU's: the order of summation and the last bits of exponentials; relative to the largest.
TOLERANCES = {torch.float64: 1e-13, torch.float32: 2e-6}
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
SHAPES = [(1, 1), (1, 9), (35, 1), (17, 40), (1, 1, 1), (2, 1, 35), (5, 9, 7)]
IGNORED = 99  # of no class


@pytest.fixture(scope="module")
def cpu():
    """The same ops on the CPU."""
    return torch.ops.tubeskel


def make_case(shape, *, samples=2, channels=3, softmax=True, levels=0, ignore=True, seed=0):
    """Probabilities of float64, of so many different values if `levels`, and labels in stripes."""
    generator = torch.Generator().manual_seed(seed)
    p = torch.rand(samples, channels, *shape, generator=generator, dtype=torch.float64)
    p = (p * levels).round() / levels if levels else p
    maps = (samples,) if softmax else (samples, channels)
    target = torch.randint(0, channels if softmax else 2, (*maps, *shape), generator=generator)
    smooth = torch.rand(target.shape, generator=generator) < 0.8
    target[..., 1:] = torch.where(smooth[..., 1:], target[..., :-1], target[..., 1:])
    if ignore:
        target[..., ::11] = IGNORED
        ignored = target == IGNORED
        p = p.masked_fill(ignored.unsqueeze(1) if softmax else ignored, 0)
    return p, target.to(torch.int16)


def assert_close(found, expected, tolerance=None):
    largest = expected.abs().max().item() if expected.numel() else 0
    tolerance = tolerance or TOLERANCES[found.dtype]
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * largest)


def assert_same(emulated, cpu, case, iterations, softmax=True, first=1):
    """Of the sums, and of the gradient for random derivatives."""
    p, target = case
    options = (target, iterations, softmax, first, IGNORED)
    expected = cpu.soft_cldice_sums(p, *options)
    found = emulated.soft_cldice_sums(p, *options)
    assert_close(found, expected, TOLERANCES[p.dtype])
    generator = torch.Generator().manual_seed(1)
    derivatives = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    expected = cpu.soft_cldice_gradient(derivatives, p, *options)
    assert_close(emulated.soft_cldice_gradient(derivatives, p, *options), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("iterations", [0, 3, 10])
def test_sums_and_gradients(emulated, cpu, shape, iterations):
    p, target = make_case(shape)
    assert_same(emulated, cpu, (p.float(), target), iterations, first=0)


@pytest.mark.parametrize("shape", [(17, 40), (1, 30), (5, 9, 7), (4, 1, 8)])
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_ties(emulated, cpu, shape, levels):
    assert_same(emulated, cpu, make_case(shape, levels=levels, samples=1), 3)


@pytest.mark.parametrize("shape", [(9, 34), (3, 4, 5)])
def test_sigmoid(emulated, cpu, shape):
    assert_same(emulated, cpu, make_case(shape, softmax=False), 4, False, 0)
    assert_same(emulated, cpu, make_case(shape, softmax=False), 4, False, 1)


def test_wide_structures_last_for_many_iterations(emulated, cpu):
    p, target = make_case((40, 36), samples=1, channels=2, ignore=False)
    p = torch.nn.functional.avg_pool2d(p, 9, 1, 4)
    for iterations in (7, 15):
        assert_same(emulated, cpu, (p, target), iterations)


def test_maps_in_several_goes(emulated, cpu, device):
    device(multiprocessors=1)  # 16384 voxels at once
    assert_same(emulated, cpu, make_case((60, 64), channels=4, ignore=False), 1)


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 3, 0, 5), (2, 1, 4, 5)])
def test_empty(emulated, cpu, shape):
    target = torch.zeros(shape[0], *shape[2:], dtype=torch.uint8)
    assert_same(emulated, cpu, (torch.zeros(shape), target), 2)


@pytest.mark.parametrize("target_dtype", LABEL_DTYPES)
def test_label_types(emulated, cpu, target_dtype):
    p, target = make_case((6, 35), channels=2, ignore=False)
    for ignore in (None, 0, 1, -1, 2**40):
        options = (target.to(target_dtype), 2, True, 0, ignore)
        found, expected = (ops.soft_cldice_sums(p, *options) for ops in (emulated, cpu))
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-11)


def test_more_voxels_than_a_slot(emulated, cpu):
    assert_same(emulated, cpu, make_case((1, 8193), samples=1, channels=2), 0)


def test_the_formula(emulated):
    p, target = make_case((8, 9, 10), ignore=False)
    y = torch.stack([target == c for c in (1, 2)], 1).double()
    p.requires_grad_()
    of_p, of_y = soft_skeleton(p[:, 1:], 4), soft_skeleton(y, 4)
    parts = (of_p * y, of_p, of_y * p[:, 1:], of_y)
    expected = torch.stack([part.flatten(2).sum(-1) for part in parts], -1)
    options = (target, 4, True, 1, None)
    found = emulated.soft_cldice_sums(p.detach(), *options)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-12, atol=1e-12)
    derivatives = torch.randn(found.shape, dtype=torch.float64)
    (expected,) = torch.autograd.grad((expected * derivatives).sum(), p)
    found = emulated.soft_cldice_gradient(derivatives, p.detach(), *options)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_same_bits_in_every_order_on_every_device(library):
    p, target = make_case((60, 64), channels=4)
    results = []
    for order in ("forward", "reversed", "shuffled:1"):
        for multiprocessors in (1, 5):
            with library.playing(order, multiprocessors=multiprocessors):
                ops = torch.ops.tubeskel_emulated
                options = (p.float(), target, 1, True, 1, IGNORED)
                sums = ops.soft_cldice_sums(*options)
                results.append((sums, ops.soft_cldice_gradient(sums, *options)))
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


# ---- probabilities


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("softmax", [True, False])
def test_probabilities(emulated, cpu, dtype, softmax):
    for channels, shape in ((1, (5, 7)), (3, (40, 33)), (17, (3, 4, 5))):
        p, target = make_case(shape, channels=channels, softmax=softmax)
        ignored = (target == IGNORED).unsqueeze(1) if softmax else target == IGNORED
        for scale in (4.0, 1e4):
            logits = (scale * (p - 0.5)).masked_fill(ignored, torch.nan).to(dtype)
            options = (logits, target, softmax, IGNORED)
            assert_close(emulated.probabilities(*options), cpu.probabilities(*options))


def test_no_pixels(emulated):
    target = torch.zeros(0, 4, 5, dtype=torch.bool)
    assert emulated.probabilities(torch.zeros(0, 2, 4, 5), target, True, None).shape[0] == 0


@pytest.mark.parametrize(("value", "dtype"), [(3, torch.uint8), (-1, torch.int64)])
def test_a_label_out_of_range(emulated, cpu, monkeypatch, value, dtype):
    p, target = make_case((9, 8), ignore=False)
    target = target.to(dtype)
    target[1, 2:, 3] = value
    with pytest.raises(RuntimeError, match=r"probabilities on \[2, 3, 72\].*label out of range"):
        emulated.probabilities(p, target, True, None)
    monkeypatch.setenv("TUBESKEL_SYNC_CHECKS", "1")
    for ops in (cpu, emulated):
        with pytest.raises(ValueError, match=rf"target holds {value}; allowed: 0\.\.2 and ignore"):
            ops.probabilities(p, target, True, None)
