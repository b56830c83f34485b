"""The loss ops: what the CPU ops give, and the formula in plain PyTorch."""

from __future__ import annotations

import pytest
import torch
from srl_oracle import equation_1

from tubeskel._torch_ops import LABEL_DTYPES

PIXELS = (1, 15, 64, 4112, 9001)  # a tile has 4096; vectors need multiples of 16
# of the gradient, relative to the largest weight of a class
TOLERANCES = {
    torch.float64: 1e-14,
    torch.float32: 1e-6,
    torch.float16: 2**-10,
    torch.bfloat16: 2**-7,
}


@pytest.fixture(scope="module")
def cpu():
    """The same ops on the CPU."""
    return torch.ops.tubeskel


def make_labels(maps, pixels, num_classes, dtype=torch.int64, seed=0, share=0.3):
    """Runs of tube pixels, as a tube has them, and some single ones."""
    generator = torch.Generator().manual_seed(seed)
    length = -(-pixels // 5)
    runs = torch.randint(0, num_classes, (maps, length), generator=generator)
    runs[torch.rand(maps, length, generator=generator) > share] = 0
    labels = runs.repeat_interleave(5, 1)[:, :pixels].contiguous()
    labels[:, ::97] = num_classes - 1
    return labels.to(dtype)


def make_logits(samples, channels, pixels, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(samples, channels, pixels, generator=generator, dtype=torch.float64)
    return logits.to(dtype)


def make_case(cpu, samples, channels, pixels, dtype=torch.float32, softmax=True, **options):
    """Logits, classes and counts."""
    maps, classes = (samples, channels) if softmax else (samples * channels, 2)
    labels = make_labels(maps, pixels, classes, **options)
    return make_logits(samples, channels, pixels, dtype), *cpu.srl_classes(
        labels, labels, None, classes
    )


def assert_same_loss(found, expected):
    """Of (loss, gradient, weights): equal but for the rounding of sums and exponentials."""
    loss, grad, weights = found
    assert loss.dtype == expected[0].dtype
    assert grad.dtype == expected[1].dtype
    assert grad.shape == expected[1].shape
    assert torch.equal(weights, expected[2])
    tolerance = TOLERANCES[grad.dtype]
    torch.testing.assert_close(loss, expected[0], rtol=min(tolerance, 1e-6), atol=1e-30)
    assert_close(grad, expected[1], weights)


def assert_close(grad, expected, weights):
    largest = weights.abs().max().item() if weights.numel() else 0
    torch.testing.assert_close(grad, expected, rtol=0, atol=TOLERANCES[grad.dtype] * largest)


# ---- labels to classes


@pytest.mark.parametrize("pixels", PIXELS)
@pytest.mark.parametrize("num_classes", [2, 14, 256, 257, 2000])
def test_classes_and_counts(emulated, cpu, pixels, num_classes):
    tube = make_labels(3, pixels, num_classes)
    target = make_labels(3, pixels, num_classes, torch.int16, seed=1)
    for found, expected in zip(
        emulated.srl_classes(tube, target, None, num_classes),
        cpu.srl_classes(tube, target, None, num_classes),
        strict=True,
    ):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


@pytest.mark.parametrize("target_dtype", [torch.bool, torch.int8, torch.uint64])
@pytest.mark.parametrize("tube_dtype", LABEL_DTYPES)
def test_label_types_with_an_ignored_label(emulated, cpu, tube_dtype, target_dtype):
    for ignore_index in (None, 0, 1, -1, 200, 2**40):
        tube = make_labels(2, 200, 2, tube_dtype)
        target = make_labels(2, 200, 2, target_dtype, seed=1)
        for labels in (tube, target):
            place = 5 if labels is tube else 9
            if ignore_index is not None and labels.dtype != torch.bool:
                information = torch.iinfo(labels.dtype)
                if information.min <= ignore_index <= information.max:
                    labels[:, place::11] = torch.tensor(ignore_index).to(labels.dtype)
        found = emulated.srl_classes(tube, target, ignore_index, 2)
        expected = cpu.srl_classes(tube, target, ignore_index, 2)
        assert all(map(torch.equal, found, expected))


def test_labels_that_begin_anywhere(emulated, cpu):
    for shift in range(1, 5):
        tube = make_labels(1, 4096 + shift, 3, torch.int16)[:, shift:]
        target = make_labels(1, 4096 + shift, 3, torch.int64, seed=1)[:, shift:]
        found = emulated.srl_classes(tube, target, None, 3)
        assert all(map(torch.equal, found, cpu.srl_classes(tube, target, None, 3)))


@pytest.mark.parametrize("shape", [(0, 16), (3, 0)])
def test_no_labels(emulated, shape):
    labels = torch.zeros(shape, dtype=torch.int64)
    classes, counts = emulated.srl_classes(labels, labels, None, 5)
    assert classes.shape == shape
    assert torch.equal(counts, torch.zeros(shape[0], 5, dtype=torch.int64))


BAD_LABELS = [("tube", 3, torch.uint8), ("target", -1, torch.int16), ("tube", 2**63, torch.uint64)]


def labels_with(name, value, dtype):
    """(tube, target) of three classes, one of them with a value that is not theirs."""
    tube, target = make_labels(2, 4112, 3), make_labels(2, 4112, 3)
    bad = (tube if name == "tube" else target).to(dtype)
    bad[1, 4100:] = torch.tensor(value, dtype=dtype)
    return (bad, target) if name == "tube" else (tube, bad)


@pytest.mark.parametrize(("name", "value", "dtype"), BAD_LABELS)
def test_a_label_out_of_range_stops_the_kernel(emulated, name, value, dtype):
    with pytest.raises(RuntimeError, match=r"srl_classes on \[2, 4112, 3\]"):
        emulated.srl_classes(*labels_with(name, value, dtype), None, 3)


@pytest.mark.parametrize(("name", "value", "dtype"), BAD_LABELS)
def test_sync_checks_raise_as_on_the_cpu(emulated, cpu, monkeypatch, name, value, dtype):
    monkeypatch.setenv("TUBESKEL_SYNC_CHECKS", "1")
    bad = labels_with(name, value, dtype)
    for op in (cpu.srl_classes, emulated.srl_classes):
        with pytest.raises(ValueError, match=rf"{name} holds {value}; allowed: 0\.\.2 and ignore"):
            op(*bad, None, 3)
    found = emulated.srl_classes(*bad, value, 3) if value < 2**63 else None
    assert found is None or all(map(torch.equal, found, cpu.srl_classes(*bad, value, 3)))


# ---- loss and gradient


@pytest.mark.parametrize("pixels", PIXELS)
@pytest.mark.parametrize("channels", [2, 3, 14])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_softmax(emulated, cpu, dtype, channels, pixels):
    case = make_case(cpu, 2, channels, pixels, dtype)
    found = emulated.srl_loss(*case, True, False, True, 0.0, True)
    assert_same_loss(found, cpu.srl_loss(*case, True, False, True, 0.0, True))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("channels", [256, 300])
def test_many_channels(emulated, cpu, dtype, channels):
    case = make_case(cpu, 1, channels, 176, dtype)
    found = emulated.srl_loss(*case, True, False, True, 0.0, True)
    assert_same_loss(found, cpu.srl_loss(*case, True, False, True, 0.0, True))


@pytest.mark.parametrize("pixels", [15, 4112])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_sigmoid(emulated, cpu, dtype, channels, pixels):
    case = make_case(cpu, 2, channels, pixels, dtype, softmax=False)
    found = emulated.srl_loss(*case, False, False, True, 0.0, True)
    assert_same_loss(found, cpu.srl_loss(*case, False, False, True, 0.0, True))


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("all_classes", [True, False])
@pytest.mark.parametrize("smooth", [0.0, 1e-5, 3.0])
@pytest.mark.parametrize("softmax", [True, False])
def test_reductions_with_absent_classes(emulated, cpu, softmax, smooth, all_classes, batch):
    maps, classes = (4, 3) if softmax else (12, 2)
    labels = make_labels(maps, 160, classes)
    labels[0] = 0
    labels[1][labels[1] == 1] = 0
    case = make_logits(4, 3, 160), *cpu.srl_classes(labels, labels, None, classes)
    options = (softmax, all_classes, batch, smooth, True)
    assert_same_loss(emulated.srl_loss(*case, *options), cpu.srl_loss(*case, *options))


@pytest.mark.parametrize("shape", [(0, 3, 64), (2, 3, 0), (0, 3, 0)])
@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("all_classes", [True, False])
@pytest.mark.parametrize("batch", [True, False])
def test_empty(emulated, cpu, shape, softmax, all_classes, batch):
    samples, channels, pixels = shape
    maps, classes = (samples, channels) if softmax else (samples * channels, 2)
    labels = torch.zeros(maps, pixels, dtype=torch.int64)
    case = torch.zeros(shape), *cpu.srl_classes(labels, labels, None, classes)
    options = (softmax, all_classes, batch, 0.5, True)
    found, expected = emulated.srl_loss(*case, *options), cpu.srl_loss(*case, *options)
    assert all(map(torch.equal, found, expected))
    one = torch.ones((), dtype=torch.float64)
    grad = emulated.srl_gradient(one, case[0], case[1], found[2], softmax)
    assert grad.shape == shape


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("channels", [2, 5])
def test_the_formula(emulated, cpu, softmax, channels):
    case = make_case(cpu, 3, channels, 4096 + 160, torch.float64, softmax)
    logits, classes, _ = case
    loss, grad, _ = emulated.srl_loss(*case, softmax, False, True, 0.1, True)
    logits.requires_grad_()
    tube = classes if softmax else classes.reshape(logits.shape)
    activation = "softmax" if softmax else "sigmoid"
    expected = equation_1(logits, tube.long(), smooth=0.1, activation=activation)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-13, atol=0)
    (expected_grad,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(grad, expected_grad, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("channels", "pixels"), [(2, 4112), (3, 4112), (3, 77), (300, 77)])
def test_the_loss_alone_has_the_same_bits(emulated, cpu, dtype, channels, pixels):
    case = make_case(cpu, 1, channels, pixels, dtype)
    both = emulated.srl_loss(*case, True, False, True, 0.0, True)
    alone = emulated.srl_loss(*case, True, False, True, 0.0, False)
    assert torch.equal(alone[0], both[0])
    assert torch.equal(alone[2], both[2])
    assert alone[1].numel() == 0


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("scale", [1.0, 65536.0, -0.5, 0.0])
def test_gradient_scaled_before_it_is_rounded(emulated, cpu, dtype, channels, scale):
    case = make_case(cpu, 2, channels, 4112, dtype)
    weights = cpu.srl_loss(*case, True, False, True, 0.0, False)[2]
    for factor in (torch.tensor(scale, dtype=torch.float64), torch.tensor(scale)):
        arguments = (factor, *case[:2], weights, True)
        found, expected = emulated.srl_gradient(*arguments), cpu.srl_gradient(*arguments)
        assert_close(found, expected, weights * scale)


def test_logits_that_begin_anywhere(emulated, cpu):
    logits, classes, counts = make_case(cpu, 2, 3, 64)
    shifted = torch.empty(logits.numel() + 1)[1:].view(logits.shape).copy_(logits)
    found = emulated.srl_loss(shifted, classes, counts, True, False, True, 0.0, True)
    assert_same_loss(
        found, emulated.srl_loss(logits, classes, counts, True, False, True, 0.0, True)
    )


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("size", [100.0, 1e4])
def test_large_logits_saturate(emulated, cpu, dtype, channels, size):
    logits, classes, counts = make_case(cpu, 2, channels, 160, dtype)
    logits = logits.sign() * size
    loss, grad, _ = emulated.srl_loss(logits, classes, counts, True, False, True, 0.0, True)
    exact = cpu.srl_loss(logits.double(), classes, counts, True, False, True, 0.0, True)
    assert loss.item() == pytest.approx(exact[0].item(), rel=1e-6)
    torch.testing.assert_close(grad.double(), exact[1], rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_logits_off_the_tube_take_no_part(emulated, cpu, channels, value):
    logits, classes, counts = make_case(cpu, 2, channels, 160)
    options = (classes, counts, True, False, True, 0.0, True)
    expected = emulated.srl_loss(logits, *options)
    broken = torch.where((classes == 0)[:, None], torch.full_like(logits, value), logits)
    assert all(map(torch.equal, emulated.srl_loss(broken, *options), expected))


@pytest.mark.parametrize("channel", [0, 1, 3])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_nan_and_infinity_on_the_tube_spread_as_in_torch(emulated, cpu, channel, value):
    logits, classes, counts = make_case(cpu, 2, 4, 160)
    sample, pixel = (classes > 0).nonzero()[7]
    logits[sample, channel, pixel] = value
    loss, grad, _ = emulated.srl_loss(logits, classes, counts, True, False, True, 0.0, True)
    assert loss.isnan()
    assert grad[sample, :, pixel].isnan().all()
    assert grad.isnan().sum() == 4


def test_minus_infinity_is_probability_zero(emulated, cpu):
    logits, classes, counts = make_case(cpu, 2, 4, 160)
    logits[:, :2] = -torch.inf
    loss, grad, _ = emulated.srl_loss(logits, classes, counts, True, False, True, 0.0, True)
    exact = cpu.srl_loss(logits.double(), classes, counts, True, False, True, 0.0, True)
    assert loss.item() == pytest.approx(exact[0].item(), rel=1e-6)
    assert not grad[:, :2].any()
    assert not grad.isnan().any()


def test_the_same_bits_in_every_order_on_every_device(library, cpu):
    case = make_case(cpu, 3, 3, 9008)
    results = []
    for order in ("forward", "reversed", "shuffled:1", "shuffled:2"):
        for multiprocessors in (1, 5):
            with library.playing(order, multiprocessors=multiprocessors):
                results.append(
                    torch.ops.tubeskel_emulated.srl_loss(*case, True, False, True, 1e-5, True)
                )
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))
