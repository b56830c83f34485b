"""`ignore_index` of `srl_loss`, and targets without any foreground."""

from __future__ import annotations

import pytest
import torch
from devices import here
from srl_oracle import equation_1, make_case, tube_of, value_and_grad

from tubeskel import srl_loss

pytestmark = pytest.mark.usefixtures("device")


def with_ignored(label, dtype=torch.int64):
    logits, target = make_case()
    target = target.to(dtype)
    target[:, :, 20:31] = label
    return logits, target


@pytest.mark.parametrize("label", [-1, -100, 255, 4, 2**40])
@pytest.mark.parametrize("per_class", [False, True])
def test_of_a_made_tube(label, per_class):
    logits, target = with_ignored(label)
    tube = tube_of(target, per_class=per_class, ignore_index=label)
    value, grad = value_and_grad(equation_1(logits, tube), logits)
    loss = srl_loss(logits, target, ignore_index=label, per_class=per_class)
    torch.testing.assert_close(value_and_grad(loss, logits), (value, grad))


@pytest.mark.parametrize("label", [1, 3])
def test_a_class_may_be_ignored(label):
    logits, target = make_case()
    tube = tube_of(target, ignore_index=label)
    loss = srl_loss(logits, target, ignore_index=label)
    expected = equation_1(logits, tube)
    torch.testing.assert_close(value_and_grad(loss, logits), value_and_grad(expected, logits))


@pytest.mark.parametrize("label", [-1, 255, 4, 2])
def test_of_a_given_tube_by_the_target(label):
    logits, whole = make_case()
    tube = tube_of(whole)
    target = whole.clone()
    target[:, :, 20:31] = label
    kept = torch.where(target == label, torch.zeros_like(tube), tube)
    loss = srl_loss(logits, target, tube=tube, ignore_index=label)
    expected = equation_1(logits, kept)
    torch.testing.assert_close(value_and_grad(loss, logits), value_and_grad(expected, logits))


def test_a_given_tube_may_hold_the_ignored_label_itself():
    logits, target = with_ignored(255)
    tube = tube_of(target, ignore_index=255)
    marked = torch.where(target == 255, target, tube)
    loss = srl_loss(logits, target, tube=marked, ignore_index=255)
    assert torch.equal(loss, srl_loss(logits, target, tube=tube, ignore_index=255))


def test_of_a_sigmoid():
    logits, labels = make_case(channels=2)
    target = torch.stack([labels, labels.flip(1)], 1)
    target[:, 1, :, :9] = 255
    cleaned = torch.where(target == 255, 0, target)
    tube = torch.stack([tube_of(cleaned[:, c]) for c in range(2)], 1)
    expected = value_and_grad(equation_1(logits, tube, activation="sigmoid"), logits)
    loss = srl_loss(logits, target, activation="sigmoid", ignore_index=255)
    torch.testing.assert_close(value_and_grad(loss, logits), expected)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16])
@pytest.mark.parametrize("label", [1000000, -1000000, 2**63 - 1])
def test_a_label_that_the_dtype_cannot_hold_ignores_nothing(dtype, label):
    logits, target = make_case()
    expected = srl_loss(logits, target)
    assert torch.equal(srl_loss(logits, target.to(dtype), ignore_index=label), expected)
    tube = tube_of(target)
    loss = srl_loss(logits, target.to(dtype), tube=tube.to(dtype), ignore_index=label)
    assert torch.equal(loss, expected)


@pytest.mark.parametrize("label", [2**63, 2**64, -(2**70)])
def test_an_ignored_label_beyond_64_bits_is_refused(label):
    logits, target = make_case()
    for tube in (None, tube_of(target)):
        with pytest.raises(ValueError, match=rf"ignore_index .*got {label}"):
            srl_loss(logits, target, tube=tube, ignore_index=label)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64])
@pytest.mark.parametrize("given", [False, True])
def test_ignored_minus_one_is_not_the_largest_unsigned_label(sync_checks, dtype, given):
    logits, target = make_case()
    tube = tube_of(target) if given else None
    largest = torch.iinfo(dtype).max
    array = target.cpu().numpy().astype(str(dtype).removeprefix("torch."))
    array[0, 3, 3] = largest
    with pytest.raises(ValueError, match=f"target holds {largest}"):
        srl_loss(logits, here(torch.from_numpy(array)), tube=tube, ignore_index=-1)


NOTHING = {
    "background only": (0, {}),
    "ignored only": (255, {"ignore_index": 255}),
    "ignored class only": (1, {"ignore_index": 1}),
}


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize(("label", "options"), NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_without_foreground_loss_and_gradient_are_zero(label, options, batch, given, dtype):
    logits, target = make_case(dtype=dtype)
    target.fill_(label)
    tube = torch.zeros_like(target) if given else None
    loss = srl_loss(logits, target, tube=tube, batch=batch, **options)
    value, grad = value_and_grad(loss * 65536, logits)
    assert value == 0
    assert not grad.any()


def test_an_absent_class_counts_only_with_all_classes():
    logits, target = make_case(channels=3)
    target[target == 2] = 0
    present, every = (srl_loss(logits, target, classes=c).item() for c in ("present", "all"))
    assert every == pytest.approx(present / 2)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 3, 0, 8), (2, 3, 8, 0)])
@pytest.mark.parametrize("batch", [True, False])
def test_empty_logits_have_loss_zero(shape, batch):
    logits = torch.zeros(shape, requires_grad=True)
    target = torch.zeros(shape[0], *shape[2:], dtype=torch.int64)
    loss = srl_loss(logits, target, batch=batch)
    assert loss.item() == 0
    assert value_and_grad(loss, logits)[1].shape == shape
