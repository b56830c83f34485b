"""Dice + cross-entropy + skeleton recall in plain PyTorch, each term straight from its formula."""

from __future__ import annotations

import torch
from devices import here
from srl_oracle import one_hot
from torch.nn import functional


def planes_of(logits, labels, activation, ignore_index) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, C, *S) planes of 0 and 1 of labels, and which elements are not ignored."""
    if activation == "sigmoid":
        planes = labels.reshape(logits.shape)
        valid = planes != ignore_index if ignore_index is not None else planes == planes
        return torch.where(valid, planes, 0).to(logits.dtype), valid
    labels = labels.reshape(logits.shape[0], *logits.shape[2:])
    valid = labels != ignore_index if ignore_index is not None else labels == labels
    planes = one_hot(torch.where(valid, labels, 0), logits.shape[1]).to(logits.dtype)
    valid = valid[:, None].expand_as(planes)
    return torch.where(valid, planes, 0), valid


def summed(planes, batch) -> torch.Tensor:
    """Sums over the pixels, and over the samples if `batch`: (groups, C)."""
    sums = planes.flatten(2).sum(2)
    return sums.sum(0, keepdim=True) if batch else sums


def soft_dice(s, y, valid, *, batch, smooth) -> torch.Tensor:
    """nnU-Net's MemoryEfficientSoftDiceLoss after the activation, with a loss mask."""
    s = torch.where(valid, s, 0)
    intersect, sum_pred, sum_gt = (summed(x, batch) for x in (s * y, s, y))
    dice = (2 * intersect + smooth) / torch.clip(sum_gt + sum_pred + smooth, 1e-8)
    return -dice.mean()


def recall_loss(log_s, y_tube, y, valid, *, recall, fp_weight, batch, classes, smooth):
    """The recall term of any form, of foreground planes."""
    s = log_s.exp()
    zero = torch.zeros_like(s)
    total = summed(y_tube, batch)
    denominator = torch.clip(total + smooth, 1e-8)
    recalled = summed(torch.where(y_tube > 0, s, zero), batch) + smooth
    if recall == "linear":
        values = -recalled / denominator
    elif recall == "log":
        values = -torch.log(torch.clip(recalled / denominator, 1e-30))
    elif recall == "cross_entropy":
        values = -summed(torch.where(y_tube > 0, log_s, zero), batch) / denominator
    else:
        outside = summed(torch.where(valid & (y == 0), s, zero), batch)
        values = -recalled / torch.clip(total + fp_weight * outside + smooth, 1e-8)
    considered = torch.ones_like(total) if classes == "all" else (total > 0).to(total.dtype)
    values = torch.where(considered > 0, values, 0)
    return (values.sum(1) / considered.sum(1).clamp(min=1)).mean()


def compound(
    logits,
    target,
    tube,
    *,
    alpha=1.0,
    weight_dice=1.0,
    weight_ce=1.0,
    recall="linear",
    fp_weight=0.5,
    activation="softmax",
    batch=True,
    include_background=False,
    classes="present",
    dice_smooth=1e-5,
    recall_smooth=0.0,
    class_weights=None,
    label_smoothing=0.0,
    ignore_index=None,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss and its terms; tube: labels of the shape of the target."""
    y, valid = planes_of(logits, target, activation, ignore_index)
    y_tube, _ = planes_of(logits, tube, activation, ignore_index)
    y_tube = torch.where(valid, y_tube, 0)
    z = torch.where(valid, logits, 0)
    weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=z.dtype)
    if activation == "softmax":
        first = 1
        log_s = torch.log_softmax(z, 1)
        labels = torch.where(valid[:, 0], y.argmax(1), -100)
        ce = functional.cross_entropy(z, labels, weight=weights, label_smoothing=label_smoothing)
        ce = torch.where(valid.any(), ce, 0)
    else:
        first = 0
        log_s = functional.logsigmoid(z)
        soft = y * (1 - label_smoothing) + label_smoothing / 2
        ce = functional.binary_cross_entropy_with_logits(z, soft, reduction="none")
        if weights is not None:
            ce = ce * weights.reshape(-1, *[1] * (z.ndim - 2))
        ce = torch.where(valid, ce, 0).sum() / valid.sum().clamp(min=1)
    counted = slice(0 if include_background else first, None)
    terms = {
        "dice": soft_dice(
            log_s.exp()[:, counted],
            y[:, counted],
            valid[:, counted],
            batch=batch,
            smooth=dice_smooth,
        ),
        "ce": ce,
        "recall": recall_loss(
            log_s[:, first:],
            y_tube[:, first:],
            y[:, first:],
            valid[:, first:],
            recall=recall,
            fp_weight=fp_weight,
            batch=batch,
            classes=classes,
            smooth=recall_smooth,
        ),
    }
    loss = sum(
        weight * term
        for weight, term in zip((weight_dice, weight_ce, alpha), terms.values(), strict=True)
        if weight != 0
    )
    return loss, terms


def softmax_case(samples=2, channels=4, shape=(13, 21), dtype=torch.float64, seed=0):
    """Logits that need a gradient, a target of random labels, a part of it as the tube."""
    generator = torch.Generator().manual_seed(seed)
    logits = random_logits((samples, channels, *shape), generator)
    size = (samples, *shape)
    target = torch.randint(0, channels, size, generator=generator, device="cpu")
    return here(logits.to(dtype)).requires_grad_(), *with_tube(target, generator)


def sigmoid_case(samples=2, channels=3, shape=(13, 21), dtype=torch.float64, seed=0):
    """The same with masks of 0 and 1 for each channel."""
    generator = torch.Generator().manual_seed(seed)
    size = (samples, channels, *shape)
    logits = random_logits(size, generator)
    target = (torch.rand(size, generator=generator, device="cpu") < 0.4).long()
    return here(logits.to(dtype)).requires_grad_(), *with_tube(target, generator)


def random_logits(size, generator):
    return 3 * torch.randn(size, generator=generator, dtype=torch.float64, device="cpu")


def with_tube(target, generator):
    share = torch.rand(target.shape, generator=generator, device="cpu")
    return here(target), here(torch.where(share < 0.3, target, 0))
