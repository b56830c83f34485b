"""`DeepSupervision`: targets, tubes and weights of the levels."""

from __future__ import annotations

import sys

import pytest
import torch
from srl_oracle import make_case, tube_of
from torch import nn
from torch.nn import functional

import tubeskel
from tubeskel import DeepSupervision, DiceCESkeletonRecallLoss, SkeletonRecallLoss

pytestmark = pytest.mark.usefixtures("device")


def outputs_of(logits, factors):
    return [logits if factor == 1 else functional.avg_pool2d(logits, factor) for factor in factors]


@pytest.fixture
def case(device):
    logits, target = make_case(samples=2, channels=3, shape=(64, 48))
    return outputs_of(logits, (1, 2, 4)), target


@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 0.0], [2, 0, 1]])
@pytest.mark.parametrize("channel_axis", [False, True])
def test_thinned_at_each_level(case, weights, channel_axis):
    outputs, target = case
    loss = DiceCESkeletonRecallLoss(ignore_index=2)
    shares = weights or [4 / 7, 2 / 7, 1 / 7]
    expected = 0.0
    for output, share in zip(outputs, shares, strict=True):
        factor = target.shape[1] // output.shape[2]
        lower = target[:, factor // 2 :: factor, factor // 2 :: factor]
        expected = expected + share * loss(output, lower)
    given = target[:, None] if channel_axis else target
    ours = DeepSupervision(loss, weights)(outputs, given)
    torch.testing.assert_close(ours, expected)
    ours.backward()


def test_labels_are_sampled_as_by_nearest_exact():
    target = torch.arange(7 * 11).reshape(1, 7, 11)
    seen = []

    class Spy(nn.Module):
        def forward(self, logits, target):
            seen.append(target)
            return logits.sum()

    sizes = [(7, 11), (4, 5), (3, 11), (1, 1), (9, 12)]
    DeepSupervision(Spy())([torch.zeros(1, 2, *size) for size in sizes], target)
    for size, lower in zip(sizes, seen, strict=True):
        expected = functional.interpolate(target[None].float(), size=size, mode="nearest-exact")
        assert torch.equal(lower, expected[0].long())


@pytest.mark.parametrize("kind", [DiceCESkeletonRecallLoss, SkeletonRecallLoss])
@pytest.mark.parametrize("given", [False, True])
def test_pooled_tubes(case, kind, given):
    outputs, target = case
    loss = kind(radius=1, ignore_index=2)
    tube = tube_of(target, radius=1, ignore_index=2)
    shares = [4 / 7, 2 / 7, 1 / 7]
    expected = shares[0] * loss(outputs[0], target, tube)
    for output, share in zip(outputs[1:], shares[1:], strict=True):
        factor = target.shape[1] // output.shape[2]
        lower = target[:, factor // 2 :: factor, factor // 2 :: factor]
        touched = functional.max_pool2d((tube != 0).double(), factor) > 0
        expected = expected + share * loss(output, lower, torch.where(touched, lower, 0))
    supervised = DeepSupervision(loss, lower_tubes="max_pool")
    ours = supervised(outputs, target, tube) if given else supervised(outputs, target)
    torch.testing.assert_close(ours, expected)


def test_pooled_tubes_in_3d_and_at_sizes_that_do_not_divide():
    target = torch.zeros(1, 9, 10, 11, dtype=torch.uint8)
    target[:, 2:7, 3:8, 1:10] = 1
    outputs = [torch.randn(1, 2, *size) for size in [(9, 10, 11), (4, 5, 5)]]
    loss = DeepSupervision(DiceCESkeletonRecallLoss(), lower_tubes="max_pool")(outputs, target)
    assert loss.isfinite()


@pytest.mark.parametrize("lower_tubes", ["skeletonize", "max_pool", "none"])
@pytest.mark.parametrize("shape", [(6, 8), (4, 6, 8)])
def test_no_samples(lower_tubes, shape):
    halves = tuple(size // 2 for size in shape)
    outputs = [torch.zeros(0, 2, *size, requires_grad=True) for size in (shape, halves)]
    target = torch.zeros(0, *shape, dtype=torch.uint8)
    loss = DeepSupervision(DiceCESkeletonRecallLoss(), lower_tubes=lower_tubes)(outputs, target)
    loss.backward()
    assert loss == 0
    assert [output.grad.shape for output in outputs] == [output.shape for output in outputs]


def test_recall_at_full_resolution_only(case):
    outputs, target = case
    loss = DiceCESkeletonRecallLoss()
    expected = 4 / 7 * loss(outputs[0], target)
    for output, share, factor in zip(outputs[1:], (2 / 7, 1 / 7), (2, 4), strict=True):
        lower = target[:, factor // 2 :: factor, factor // 2 :: factor]
        expected = expected + share * tubeskel.dice_ce_srl_loss(output, lower, alpha=0.0)
    torch.testing.assert_close(DeepSupervision(loss, lower_tubes="none")(outputs, target), expected)


def test_sigmoid_regions():
    logits, target = make_case(samples=2, channels=3, shape=(32, 32))
    masks = torch.stack([target == c for c in range(3)], 1)
    loss = DiceCESkeletonRecallLoss(activation="sigmoid")
    for lower_tubes in ("skeletonize", "max_pool", "none"):
        supervised = DeepSupervision(loss, lower_tubes=lower_tubes)
        assert supervised(outputs_of(logits, (1, 2)), masks).isfinite()


def test_progress_reaches_the_loss(case):
    loss = DiceCESkeletonRecallLoss(alpha=lambda progress: progress)
    DeepSupervision(loss).set_progress(0.5)
    assert loss.current_alpha() == 0.5


def test_refusals(case):
    outputs, target = case
    with pytest.raises(TypeError, match=r"loss must be a torch.nn.Module, got function"):
        DeepSupervision(tubeskel.srl_loss)
    with pytest.raises(ValueError, match=r"lower_tubes .*'avg'"):
        DeepSupervision(SkeletonRecallLoss(), lower_tubes="avg")
    with pytest.raises(TypeError, match=r"loss must be a DiceCESkeletonRecallLoss .*'none'"):
        DeepSupervision(SkeletonRecallLoss(), lower_tubes="none")
    with pytest.raises(TypeError, match=r"loss must be .*'max_pool', got CrossEntropyLoss"):
        DeepSupervision(nn.CrossEntropyLoss(), lower_tubes="max_pool")
    with pytest.raises(ValueError, match=r"weights\[1\] .*-1"):
        DeepSupervision(SkeletonRecallLoss(), [1, -1])
    with pytest.raises(ValueError, match="outputs must be as many as the weights, 2, got 3"):
        DeepSupervision(SkeletonRecallLoss(), [1, 1])(outputs, target)
    with pytest.raises(TypeError, match="outputs must be a sequence"):
        DeepSupervision(SkeletonRecallLoss())(outputs[0], target)
    for lower_tubes in ("skeletonize", "max_pool"):
        supervised = DeepSupervision(SkeletonRecallLoss(), lower_tubes=lower_tubes)
        with pytest.raises(TypeError, match=r"logits must be a .*Tensor, got list"):
            supervised([[1.0]], target)
        with pytest.raises(ValueError, match="target must hold integers or bools"):
            supervised(outputs, target.float())
    with pytest.raises(ValueError, match="weights must not all be 0"):
        DeepSupervision(SkeletonRecallLoss(), [0, 0, 0])


@pytest.mark.parametrize("lower_tubes", ["skeletonize", "max_pool"])
def test_a_label_out_of_range_is_called_the_targets(lower_tubes):
    with torch.device("cpu"):
        outputs, target = [torch.zeros(1, 2, 8, 8)], torch.full((1, 8, 8), 7)
    with pytest.raises(ValueError, match="target holds 7"):
        DeepSupervision(SkeletonRecallLoss(), lower_tubes=lower_tubes)(outputs, target)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_pooled_tubes_with_or_without_an_axis_of_channels(case, axes):
    outputs, target = case
    tube = tube_of(target)
    criterion = DeepSupervision(DiceCESkeletonRecallLoss(), lower_tubes="max_pool")
    shaped = [x.unsqueeze(1) if axis else x for x, axis in zip((target, tube), axes, strict=True)]
    assert torch.equal(criterion(outputs, *shaped), criterion(outputs, target, tube))


def test_lower_levels_without_a_tube_make_none(case, monkeypatch):
    outputs, target = case
    criterion = DeepSupervision(DiceCESkeletonRecallLoss(), lower_tubes="none")
    made = []
    module = sys.modules["tubeskel.losses.dice_ce_srl"]
    make = module.make_tube
    monkeypatch.setattr(module, "make_tube", lambda *a: made.append(1) or make(*a))
    loss, _ = criterion(outputs, target, return_terms=True)
    assert len(made) == 1
    assert torch.equal(loss, criterion(outputs, target))
