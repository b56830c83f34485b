"""The trainers' loss against formulas in plain PyTorch; nnU-Net is not needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from tube_oracle import reference_tube

from tubeskel import tubed_skeleton
from tubeskel.nnunet import Settings
from tubeskel.nnunet.loss import TrainerLoss, dice_ce_cldice, dice_ce_recall

WEIGHTS = (4 / 7, 2 / 7, 1 / 7, 0.0)  # of nnU-Net: nothing of the lowest resolution
SHAPES = {2: (48, 32), 3: (24, 24, 16)}


def make_target(dims, classes, ignore=None):
    generator = torch.Generator().manual_seed(dims)
    shape = SHAPES[dims]
    target = torch.zeros(2, 1, *shape, dtype=torch.int16)
    for label in range(1, classes):
        across = slice(14 * label - 8, 14 * label - 4)
        target[(slice(None), slice(None), *[across] * (dims - 1), slice(3, -3))] = label
    if ignore is not None:
        target[torch.rand(target.shape, generator=generator) < 0.05] = ignore
    return target


def levels_of(target):
    """What nnU-Net's data loader makes of the labels: each resolution by nearest-exact."""
    sizes = [[n // 2**level for n in target.shape[2:]] for level in range(len(WEIGHTS))]
    return [
        functional.interpolate(target.float(), size=size, mode="nearest-exact").to(target.dtype)
        for size in sizes
    ]


def make_outputs(levels, channels):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, channels, *level.shape[2:], generator=generator, requires_grad=True)
        for level in levels
    ]


def per_class(planes, batch):
    """Sums over the pixels (and the batch) of (B, C, *S)."""
    sums = planes.flatten(2).sum(2)
    return sums.sum(0) if batch else sums


def published(logits, target, tube, *, alpha, batch, ignore=None):
    """Dice + cross-entropy + recall on the tubes, as the Skeleton Recall Loss was published.

    Dice and recall are means over the foreground classes with 1e-5 in numerator and denominator.
    """
    valid = (target != ignore) if ignore is not None else torch.ones_like(target, dtype=torch.bool)
    p = logits.softmax(1)[:, 1:] * valid

    def planes(labels):
        labels = torch.where(valid, labels, 0)[:, 0].long()
        return functional.one_hot(labels, logits.shape[1]).movedim(-1, 1)[:, 1:].float()

    y, t = planes(target), planes(tube)
    overlap, whole = per_class(p * y, batch), per_class(p + y, batch)
    dice = ((2 * overlap + 1e-5) / (whole + 1e-5)).mean()
    recall = ((per_class(p * t, batch) + 1e-5) / (per_class(t, batch) + 1e-5)).mean()
    ce = functional.cross_entropy(
        logits, target[:, 0].long(), ignore_index=-100 if ignore is None else ignore
    )
    return ce - dice - alpha * recall, {"dice": -dice, "ce": ce, "recall": -recall}


def tubes_of(labels, ignore=None):
    if labels.ndim == 5:  # of a straight or small solid scikit-image leaves nothing at times
        options = {"spatial_dims": 3, "keep_components": True, "ignore_index": ignore}
        return tubed_skeleton(labels, **options)
    tubes = [reference_tube(of_one[0].numpy(), ignore_index=ignore) for of_one in labels]
    return torch.from_numpy(np.stack(tubes)[:, None])


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("ignore", [None, 3])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 0.3])
def test_published_formula_at_all_resolutions(dims, batch, ignore, alpha):
    levels = levels_of(make_target(dims, 3, ignore))
    outputs = make_outputs(levels, 3)
    base = dice_ce_recall(
        Settings(), alpha=alpha, batch=batch, regions=0, ignore_label=ignore, distributed=False
    )
    criterion = TrainerLoss(base, WEIGHTS)
    loss = criterion(outputs, levels)
    total, sums = 0.0, {"dice": 0.0, "ce": 0.0, "recall": 0.0}
    for weight, output, labels in zip(WEIGHTS, outputs, levels, strict=True):
        tube = tubes_of(labels, ignore)
        expected, terms = published(output, labels, tube, alpha=alpha, batch=batch, ignore=ignore)
        total = total + weight * expected
        sums = {name: sums[name] + weight * term for name, term in terms.items()}
    torch.testing.assert_close(loss, total)
    for name, mean in criterion.mean_terms().items():
        assert mean == pytest.approx(sums[name].item(), rel=1e-5)
    ours = torch.autograd.grad(loss, outputs[:-1])
    for gradient, theirs in zip(ours, torch.autograd.grad(total, outputs[:-1]), strict=True):
        torch.testing.assert_close(gradient, theirs, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("ignored", [False, True])
def test_regions(ignored):
    """Dice and cross-entropy are nnU-Net's for regions, whose last channel is the ignore mask."""
    labels = make_target(2, 3, 3 if ignored else None)
    channels = [labels > 0, labels == 2] if not ignored else [labels % 3 > 0, labels == 2]
    target = torch.cat([*channels, labels == 3] if ignored else channels, 1)
    levels = [level.bool() for level in levels_of(target.to(torch.int16))]
    outputs = make_outputs(levels, 2)
    base = dice_ce_recall(
        Settings(),
        alpha=0.0,
        batch=True,
        regions=2,
        ignore_label=3 if ignored else None,
        distributed=False,
    )
    loss = TrainerLoss(base, WEIGHTS, ignore_channel=ignored)(outputs, levels)
    total = 0.0
    for weight, output, level in zip(WEIGHTS, outputs, levels, strict=True):
        valid = ~level[:, 2:] if ignored else torch.ones_like(level[:, :1])
        y = level[:, :2].float()
        p = output.sigmoid() * valid
        dice = (2 * per_class(p * y, True) + 1e-5) / (
            per_class(p, True) + per_class(y * valid, True) + 1e-5
        )
        ce = functional.binary_cross_entropy_with_logits(output, y, reduction="none") * valid
        ce = ce.sum() / valid.sum() if ignored else ce.mean()
        total = total + weight * (ce - dice.mean())
    torch.testing.assert_close(loss, total)


def test_ignored_pixels_of_regions_change_nothing():
    labels = make_target(2, 3, 3)
    target = torch.cat([labels % 3 > 0, labels == 2, labels == 3], 1)
    base = dice_ce_recall(
        Settings(), alpha=1.0, batch=True, regions=2, ignore_label=3, distributed=False
    )
    criterion = TrainerLoss(base, None, ignore_channel=True)
    (output,) = make_outputs([target], 2)
    changed = output.detach() + 50 * (labels == 3)
    torch.testing.assert_close(criterion(output, target).detach(), criterion(changed, target))


@pytest.mark.parametrize("lower_tubes", ["skeletonize", "max_pool", "none"])
@pytest.mark.parametrize("recall", ["linear", "log", "cross_entropy", "tversky"])
def test_the_terms_add_up_to_the_loss(lower_tubes, recall):
    settings = Settings(alpha=0.7, recall=recall, classes="present", lower_tubes=lower_tubes)
    levels = levels_of(make_target(2, 3))
    base = dice_ce_recall(
        settings, alpha=0.7, batch=True, regions=0, ignore_label=None, distributed=False
    )
    criterion = TrainerLoss(base, WEIGHTS, lower_tubes=lower_tubes)
    losses = []
    for _ in range(2):
        outputs = [output + len(losses) for output in make_outputs(levels, 3)]
        losses.append(criterion(outputs, levels).item())
    terms = criterion.mean_terms()
    total = terms["dice"] + terms["ce"] + 0.7 * terms["recall"]
    assert total == pytest.approx(np.mean(losses), rel=1e-5)
    criterion.forget_terms()
    assert criterion.mean_terms() == {}


@pytest.mark.parametrize("lower_tubes", ["skeletonize", "none"])
def test_the_terms_of_soft_cldice_add_up(lower_tubes):
    settings = Settings(alpha=0.7, iterations=3, lower_tubes=lower_tubes)
    levels = levels_of(make_target(2, 3, ignore=3))
    base = dice_ce_cldice(settings, batch=True, regions=0, ignore_label=3, distributed=False)
    criterion = TrainerLoss(base, WEIGHTS, lower_tubes=lower_tubes)
    loss = criterion(make_outputs(levels, 3), levels).item()
    terms = criterion.mean_terms()
    assert terms["dice"] + terms["ce"] + 0.7 * terms["cldice"] == pytest.approx(loss, rel=1e-5)


def test_without_deep_supervision():
    target = make_target(2, 2)
    base = dice_ce_recall(
        Settings(), alpha=1.0, batch=True, regions=0, ignore_label=None, distributed=False
    )
    (output,) = make_outputs([target], 2)
    expected, _ = published(output, target, tubes_of(target), alpha=1.0, batch=True)
    torch.testing.assert_close(TrainerLoss(base, None)(output, target), expected)


def test_trains_a_compiled_network():
    network = nn.Conv2d(1, 2, 3, padding=1)
    target = make_target(2, 2)
    base = dice_ce_recall(
        Settings(), alpha=1.0, batch=True, regions=0, ignore_label=None, distributed=False
    )
    criterion = TrainerLoss(base, None)
    image = target.float()
    gradients = []
    for run in (network, torch.compile(network, backend="aot_eager")):
        network.zero_grad()
        criterion(run(image), target).backward()
        gradients.append(network.weight.grad.clone())
    torch.testing.assert_close(*gradients)
