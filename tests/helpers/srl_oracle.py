"""The Skeleton Recall Loss in plain PyTorch, straight from the formulas, and inputs for it."""

from __future__ import annotations

import numpy as np
import torch
from devices import here
from mask_shapes import make_labels
from tube_oracle import reference_tube, reference_tube_per_class


def one_hot(labels: torch.Tensor, channels: int) -> torch.Tensor:
    """(B, *S) labels as (B, channels, *S) planes of float64."""
    planes = torch.nn.functional.one_hot(labels.long(), channels)
    return planes.movedim(-1, 1).double()


def equation_1(
    logits, tube, *, classes="present", batch=True, smooth=0.0, activation="softmax"
) -> torch.Tensor:
    """Eq. 1. tube: (B, *S) for a softmax, (B, C, *S) for a sigmoid; no ignored pixels in it."""
    if activation == "softmax":
        s = torch.softmax(logits, 1)[:, 1:]
        y = one_hot(tube, logits.shape[1])[:, 1:].to(logits.dtype)
    else:
        s = torch.sigmoid(logits)
        y = tube.to(logits.dtype)
    axes = tuple(range(2, logits.ndim))
    # Not s * y: pixels off the tube take no part, whatever their logits are.
    recalled = torch.where(y > 0, s, torch.zeros_like(s)).sum(axes)  # [B, K]
    total = y.sum(axes)
    if batch:
        recalled, total = recalled.sum(0, keepdim=True), total.sum(0, keepdim=True)
    recall = (recalled + smooth) / (total + smooth).clamp(min=1e-8)
    considered = total > 0 if classes == "present" else torch.ones_like(total, dtype=torch.bool)
    sums = torch.where(considered, recall, torch.zeros_like(recall)).sum(1)
    return -(sums / considered.sum(1).clamp(min=1)).mean()


def reference_implementation(logits, tube, *, batch_dice, smooth=1e-5) -> torch.Tensor:
    """SoftSkeletonRecallLoss of MIC-DKFZ/Skeleton-Recall with do_bg=False."""
    x = torch.softmax(logits, 1)[:, 1:]
    axes = list(range(2, logits.ndim))
    y = one_hot(tube, logits.shape[1])[:, 1:].to(logits.dtype)
    sum_gt = y.sum(axes)
    inter_rec = (x * y).sum(axes)
    if batch_dice:
        inter_rec = inter_rec.sum(0)
        sum_gt = sum_gt.sum(0)
    rec = (inter_rec + smooth) / torch.clip(sum_gt + smooth, 1e-8)
    return -rec.mean()


def make_case(samples=3, channels=4, shape=(30, 70), dtype=torch.float64, seed=0):
    """Logits that need a gradient, and a target in blobs."""
    generator = torch.Generator().manual_seed(seed)
    size = (samples, channels, *shape)
    logits = 3 * torch.randn(size, generator=generator, dtype=torch.float64, device="cpu")
    targets = [make_labels(shape, channels, seed + i) for i in range(samples)]
    return here(logits.to(dtype)).requires_grad_(), here(torch.from_numpy(np.stack(targets)))


def tube_of(target, radius=2, per_class=False, ignore_index=None) -> torch.Tensor:
    """The tubes of a (B, H, W) target, by scikit-image."""
    make = reference_tube_per_class if per_class else reference_tube
    tubes = [make(image, radius, ignore_index) for image in target.cpu().numpy()]
    return torch.from_numpy(np.stack(tubes)).to(target.device)


def value_and_grad(loss, logits):
    """A loss and its gradient with respect to the logits."""
    (grad,) = torch.autograd.grad(loss, logits)
    return loss.detach(), grad
