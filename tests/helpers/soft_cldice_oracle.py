"""Soft clDice in plain PyTorch, as its authors write the soft skeleton."""

from __future__ import annotations

import torch
from torch.nn import functional


def soft_erode(image):
    if image.ndim == 4:
        p1 = -functional.max_pool2d(-image, (3, 1), 1, (1, 0))
        p2 = -functional.max_pool2d(-image, (1, 3), 1, (0, 1))
        return torch.min(p1, p2)
    p1 = -functional.max_pool3d(-image, (3, 1, 1), 1, (1, 0, 0))
    p2 = -functional.max_pool3d(-image, (1, 3, 1), 1, (0, 1, 0))
    p3 = -functional.max_pool3d(-image, (1, 1, 3), 1, (0, 0, 1))
    return torch.min(torch.min(p1, p2), p3)


def soft_open(image):
    pool = functional.max_pool2d if image.ndim == 4 else functional.max_pool3d
    return pool(soft_erode(image), 3, 1, 1)


def soft_skeleton(image, iterations):
    """(B, C, *S) to the same."""
    skeleton = functional.relu(image - soft_open(image))
    for _ in range(iterations):
        image = soft_erode(image)
        delta = functional.relu(image - soft_open(image))
        skeleton = skeleton + functional.relu(delta - skeleton * delta)
    return skeleton


def soft_cldice(
    logits,
    target,
    *,
    iterations=10,
    activation="softmax",
    include_background=False,
    batch=True,
    smooth=1.0,
    ignore_index=None,
):
    """The loss. target: (B, *S) for a softmax, (B, C, *S) for a sigmoid."""
    channels = logits.shape[1]
    kept = torch.ones_like(target, dtype=torch.bool)
    if ignore_index is not None:
        kept = target != ignore_index
    if activation == "softmax":
        labels = torch.where(kept, target.long(), 0)
        y = functional.one_hot(labels, channels).movedim(-1, 1)
        p, kept = torch.softmax(logits, 1), kept[:, None]
        if not include_background:
            p, y = p[:, 1:], y[:, 1:]
    else:
        p, y = torch.sigmoid(logits), target.long()
    p = torch.where(kept, p, torch.zeros_like(p))
    y = torch.where(kept, y, torch.zeros_like(y)).to(p.dtype)
    of_p, of_y = soft_skeleton(p, iterations), soft_skeleton(y, iterations)
    axes = ((0,) if batch else ()) + tuple(range(2, p.ndim))

    def ratio(part, whole):
        return (part.sum(axes) + smooth) / (whole.sum(axes) + smooth)

    precision, recall = ratio(of_p * y, of_p), ratio(of_y * p, of_y)
    return (1 - 2 * precision * recall / (precision + recall)).mean()
