"""The ops of the compound loss: what the CPU ops give, and the formula in plain PyTorch."""

from __future__ import annotations

import itertools

import pytest
import torch
from compound_oracle import compound, sigmoid_case, softmax_case

from tubeskel._torch_ops import LABEL_DTYPES

# Sums and gradients differ from the CPU's by the order of summation and the last bits of an
# exponential: of sums relative to each, of gradients relative to the largest.
SUMS = {torch.float64: 1e-13, torch.float32: 4e-6, torch.float16: 4e-6, torch.bfloat16: 4e-6}
GRADIENTS = {torch.float64: 1e-14, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}
DTYPES = tuple(SUMS)
IGNORED = 5  # out of the range of all small cases


@pytest.fixture(scope="module")
def cpu():
    """The same ops on the CPU."""
    return torch.ops.tubeskel


def make_case(samples, channels, pixels, dtype=torch.float32, softmax=True, ignore=True, seed=0):
    """Logits, a target in runs of seven with ignored pixels, tubes that are mostly part of it."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(samples, channels, pixels, generator=generator, dtype=torch.float64)
    maps, classes = (samples, channels) if softmax else (samples * channels, 2)
    runs = torch.randint(0, classes, (maps, -(-pixels // 7)), generator=generator)
    target = runs.repeat_interleave(7, 1)[:, :pixels].contiguous()
    tube = torch.where(torch.rand(maps, pixels, generator=generator) < 0.2, target, 0)
    tube[:, ::13] = classes - 1
    if ignore:
        target[:, 3::17] = ignored_of(classes)
        tube[:, 5::19] = ignored_of(classes)
    return logits.to(dtype), target.int(), tube.to(torch.int16)


def ignored_of(classes):
    return IGNORED if classes <= IGNORED else classes + 3


def assert_same(emulated, cpu, case, softmax=True, log_recall=False, smoothing=False, ignore=None):
    """Of the sums, and of the gradient for random derivatives."""
    logits, target, tube = case
    sums_options = (softmax, ignore, log_recall, smoothing)
    found = emulated.compound_sums(logits, target, tube, *sums_options)
    expected = cpu.compound_sums(logits, target, tube, *sums_options)
    torch.testing.assert_close(found, expected, rtol=SUMS[logits.dtype], atol=1e-30)
    generator = torch.Generator().manual_seed(1)
    derivatives = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    derivatives[:, 0] = derivatives[:, -1] = 0
    arguments = (derivatives, logits, target, tube, *sums_options[:-1])
    found, expected = emulated.compound_gradient(*arguments), cpu.compound_gradient(*arguments)
    assert found.dtype == expected.dtype
    assert_close(found, expected)
    if ignore is not None:
        planes = (target == ignore)[:, None] if softmax else (target == ignore).view(logits.shape)
        assert not found.masked_fill(~planes, 0).any()


def assert_close(found, expected):
    largest = expected.double().abs().max().item() if expected.numel() else 0
    torch.testing.assert_close(found, expected, rtol=0, atol=GRADIENTS[found.dtype] * largest)


# ---- sums and gradients


@pytest.mark.parametrize("channels", [2, 3, 4, 5, 14, 16, 17, 33])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax(emulated, cpu, dtype, channels):
    for pixels in (1, 77, 4112):
        case = make_case(2, channels, pixels, dtype)
        assert_same(emulated, cpu, case, ignore=ignored_of(channels))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid(emulated, cpu, dtype, channels):
    for pixels, log_recall in itertools.product((1, 77, 4112), (False, True)):
        case = make_case(2, channels, pixels, dtype, softmax=False)
        assert_same(emulated, cpu, case, False, log_recall, ignore=IGNORED)


@pytest.mark.parametrize("channels", [2, 4, 9, 40])
def test_what_the_sums_can_hold(emulated, cpu, channels):
    case = make_case(1, channels, 520, ignore=False)
    for log_recall, smoothing in itertools.product((False, True), (False, True)):
        assert_same(emulated, cpu, case, True, log_recall, smoothing)
    assert_same(emulated, cpu, (*case[:2], None), smoothing=True)


@pytest.mark.parametrize("target_dtype", [torch.bool, torch.int8, torch.uint64])
def test_label_types_with_an_ignored_label(emulated, cpu, target_dtype):
    for tube_dtype, ignore in itertools.product(LABEL_DTYPES, (None, 0, 1, -1, 200, 2**40)):
        logits, target, tube = make_case(1, 2, 64, ignore=False)
        labels = [target.to(target_dtype), tube.to(tube_dtype)]
        for own, place in zip(labels, (5, 9), strict=True):
            if ignore is not None and own.dtype != torch.bool:
                limits = torch.iinfo(own.dtype)
                if limits.min <= ignore <= limits.max:
                    own[:, place::11] = torch.tensor(ignore).to(own.dtype)
        found, expected = (
            ops.compound_sums(logits, *labels, True, ignore, False, False)
            for ops in (emulated, cpu)
        )
        torch.testing.assert_close(found, expected, rtol=4e-6, atol=0)


@pytest.mark.parametrize("channels", [2, 3, 9])
def test_tensors_that_begin_anywhere(emulated, channels):
    case = make_case(2, channels, 64, torch.float16)
    shifted = [torch.empty(t.numel() + 1, dtype=t.dtype)[1:].view(t.shape).copy_(t) for t in case]
    options = (True, ignored_of(channels), False, False)
    expected = emulated.compound_sums(*case, *options)
    for own in itertools.product(*zip(case, shifted, strict=True)):
        found = emulated.compound_sums(*own, *options)
        torch.testing.assert_close(found, expected, rtol=4e-6, atol=0)


def test_more_channels_than_shared_memory_holds(emulated, cpu):
    assert_same(emulated, cpu, make_case(1, 300, 77), ignore=303)
    assert_same(emulated, cpu, make_case(1, 300, 2100), smoothing=True, ignore=303)
    assert_same(emulated, cpu, make_case(1, 1600, 40), ignore=1603)
    assert_same(emulated, cpu, make_case(1, 800, 40, torch.float64), ignore=803)


@pytest.mark.parametrize("shape", [(0, 3, 64), (2, 3, 0), (0, 3, 0)])
@pytest.mark.parametrize("softmax", [True, False])
def test_empty(emulated, cpu, shape, softmax):
    samples, channels, pixels = shape
    labels = torch.zeros(samples if softmax else samples * channels, pixels, dtype=torch.int64)
    assert_same(emulated, cpu, (torch.zeros(shape), labels, labels), softmax)


@pytest.mark.parametrize("channels", [2, 4, 9, 20])
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_logits(emulated, cpu, dtype, channels):
    logits, *labels = make_case(2, channels, 77, dtype)
    options = (True, ignored_of(channels), True, True)
    for size in (100.0, 1e4):
        large = logits.sign() * size
        found = emulated.compound_sums(large, *labels, *options)
        exact = cpu.compound_sums(large.double(), *labels, *options)
        torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("channels", [2, 4, 9, 20])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_ignored_logits_take_no_part(emulated, channels, value):
    logits, *labels = make_case(2, channels, 77)
    options = (True, ignored_of(channels), False, True)
    ignored = (labels[0] == ignored_of(channels))[:, None]
    broken = logits.masked_fill(ignored, value)
    sums = emulated.compound_sums(logits, *labels, *options)
    assert torch.equal(emulated.compound_sums(broken, *labels, *options), sums)
    grad = emulated.compound_gradient(sums, broken, *labels, *options[:-1])
    assert torch.equal(grad, emulated.compound_gradient(sums, logits, *labels, *options[:-1]))


@pytest.mark.parametrize("channels", [2, 4, 9, 20])
def test_nan_spreads(emulated, channels):
    logits, *labels = make_case(1, channels, 77)
    logits[0, 1, 7] = torch.nan
    options = (True, ignored_of(channels), False)
    sums = emulated.compound_sums(logits, *labels, *options, False)
    assert sums[0, :, 1].isnan().all()
    grad = emulated.compound_gradient(torch.ones_like(sums), logits, *labels, *options)
    assert grad[0, :, 7].isnan().all()
    assert grad.isnan().sum() == channels


# ---- labels out of range

BAD_LABELS = [("tube", 3, torch.uint8), ("target", -1, torch.int16), ("tube", 2**63, torch.uint64)]


def case_with(name, value, dtype):
    """A case of three classes, one label with a value that is not theirs."""
    logits, target, tube = make_case(2, 3, 2112, ignore=False)
    bad = (tube if name == "tube" else target).to(dtype)
    bad[1, 2100:] = torch.tensor(value, dtype=dtype)
    return (logits, target, bad) if name == "tube" else (logits, bad, tube)


@pytest.mark.parametrize(("name", "value", "dtype"), BAD_LABELS)
def test_a_label_out_of_range_stops_the_kernel(emulated, name, value, dtype):
    with pytest.raises(RuntimeError, match=r"compound_sums on \[2, 3, 2112\].*label out of range"):
        emulated.compound_sums(*case_with(name, value, dtype), True, None, False, False)


@pytest.mark.parametrize(("name", "value", "dtype"), BAD_LABELS)
def test_sync_checks_raise_as_on_the_cpu(emulated, cpu, monkeypatch, name, value, dtype):
    monkeypatch.setenv("TUBESKEL_SYNC_CHECKS", "1")
    bad = case_with(name, value, dtype)
    for ops in (cpu, emulated):
        with pytest.raises(ValueError, match=rf"{name} holds {value}; allowed: 0\.\.2 and ignore"):
            ops.compound_sums(*bad, True, None, False, False)
    if value < 2**63:
        assert_same(emulated, cpu, bad, ignore=value)


# ---- the loss

NUMBERS = (1e-5, 0.25, 0.125, 0.5, 0.75, 1.25, 0.5)  # smoothing, false positives, weights


@pytest.mark.parametrize("recall", ["linear", "log", "cross_entropy", "tversky"])
@pytest.mark.parametrize("softmax", [True, False])
def test_loss(emulated, cpu, softmax, recall):
    for flags in itertools.product((False, True), repeat=3):
        for shape in ((3, 5, 8), (2, 200, 8), (1, 2, 8), (0, 3, 8)):
            generator = torch.Generator().manual_seed(len(flags))
            sums = 9 * torch.rand(shape, generator=generator, dtype=torch.float64)
            sums[:, 1::3, 5:7] = 0  # no tube
            weights = torch.rand(shape[1], generator=generator, dtype=torch.float64)
            for own in (None, weights):
                arguments = (sums, own, softmax, *flags, recall, *NUMBERS, True)
                found, expected = emulated.compound_loss(*arguments), cpu.compound_loss(*arguments)
                torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
                arguments = (*arguments[:-1], False)
                found, expected = emulated.compound_loss(*arguments), cpu.compound_loss(*arguments)
                torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("recall", ["log", "tversky"])
def test_the_formula(emulated, activation, recall):
    softmax = activation == "softmax"
    logits, target, tube = (softmax_case if softmax else sigmoid_case)(shape=(33, 65))
    target[..., ::7] = -1
    options = {"recall": recall, "activation": activation, "label_smoothing": 0.1, "alpha": 2.0}
    options |= {"batch": False, "class_weights": torch.arange(1.0, logits.shape[1] + 1).double()}
    expected, terms = compound(logits, target, tube, ignore_index=-1, **options)
    (expected_grad,) = torch.autograd.grad(expected, logits)
    flat = logits.detach().flatten(2)
    maps = [labels.reshape(-1, flat.shape[2]).contiguous() for labels in (target, tube)]
    sums = emulated.compound_sums(flat, *maps, softmax, -1, False, True)
    flags = (softmax, False, False, False)
    numbers = (1e-5, 0.0, 0.1, 0.5, 1.0, 1.0, 2.0)
    loss, found_terms, derivatives = emulated.compound_loss(
        sums, options["class_weights"], *flags, recall, *numbers, True
    )
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(
        found_terms, torch.stack(list(terms.values())).detach(), rtol=1e-12, atol=0
    )
    grad = emulated.compound_gradient(derivatives, flat, *maps, softmax, -1, False)
    torch.testing.assert_close(grad.view(logits.shape), expected_grad, rtol=1e-10, atol=1e-16)


@pytest.mark.parametrize(("channels", "pixels"), [(2, 5000), (4, 4112), (9, 4112), (40, 2100)])
def test_the_same_bits_in_every_order_on_every_device(library, channels, pixels):
    case = make_case(2, channels, pixels)
    results = []
    for order in ("forward", "reversed", "shuffled:1"):
        for multiprocessors in (1, 5):
            with library.playing(order, multiprocessors=multiprocessors):
                ops = torch.ops.tubeskel_emulated
                sums = ops.compound_sums(*case, True, ignored_of(channels), False, True)
                found = ops.compound_loss(
                    sums, None, True, True, False, True, "log", *NUMBERS, False
                )
                results.append((sums, *found))
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))
