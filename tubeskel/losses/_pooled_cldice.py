"""The sums of soft clDice by PyTorch's own pooling, on any device.

It stands in where `tubeskel._soft_cldice_ops` has no kernel. Each iteration is checkpointed: its
two images are kept, its windows' extremes are found anew in the backward pass.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from .. import _torch_ops


def soft_cldice_sums(
    logits: Tensor,
    target: Tensor,
    iterations: int,
    softmax: bool,
    first: int,
    ignore_index: int | None,
) -> Tensor:
    """Return what `_soft_cldice_ops.soft_cldice_sums` does."""
    if logits.numel() == 0:  # pooling refuses it
        zeros = logits.new_zeros((*logits.shape[:2], 4), dtype=torch.float64)[:, first:]
        return zeros + logits.sum()
    if not softmax:
        logits, target = logits[:, first:], target[:, first:]
    maps = target.flatten(2 - logits.ndim).flatten(0, -2)  # [maps, pixels]
    num_classes = logits.shape[1] if softmax else 2
    # which checks the values, also on a device
    classes = _torch_ops.srl_classes(maps, maps, ignore_index, num_classes)[0].view_as(target)
    ignored = None if ignore_index is None else target.long() == ignore_index
    if softmax:
        classes = classes.unsqueeze(1)
        ignored = None if ignored is None else ignored.unsqueeze(1)
    if ignored is not None:
        logits = logits.masked_fill(ignored, 0)  # which may be NaN
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    if softmax:
        p = logits.softmax(1, dtype=dtype)[:, first:]
        numbers = torch.arange(first, num_classes, device=p.device)
        y = classes == numbers.view(-1, *(1,) * (p.ndim - 2))
    else:
        p = logits.to(dtype).sigmoid()
        y = classes == 1
    if ignored is not None:
        p, y = p.masked_fill(ignored, 0), y & ~ignored
    y = y.to(dtype)
    of_p = soft_skeleton(p.flatten(0, 1).unsqueeze(1), iterations).view_as(p)
    with torch.no_grad():
        of_y = soft_skeleton(y.flatten(0, 1).unsqueeze(1), iterations).view_as(p)
    sums = (of_p * y, of_p, of_y * p, of_y)
    return torch.stack([s.flatten(2).sum(-1, dtype=torch.float64) for s in sums], -1)


def soft_skeleton(image: Tensor, iterations: int) -> Tensor:
    """Return the soft skeletons of (N, 1, *S) images, S being 2 or 3 axes."""
    skeleton = torch.zeros_like(image)
    for _ in range(iterations + 1):
        if torch.is_grad_enabled():
            image, skeleton = checkpoint(
                _iterate, image, skeleton, use_reentrant=False, preserve_rng_state=False
            )
        else:
            image, skeleton = _iterate(image, skeleton)
    return skeleton


def _iterate(image: Tensor, skeleton: Tensor) -> tuple[Tensor, Tensor]:
    """Return the erosion of an image, and its skeleton with what the erosion undone leaves."""
    pool = functional.max_pool2d if image.ndim == 4 else functional.max_pool3d
    eroded = _erode(image)
    found = functional.relu(image - pool(eroded, 3, 1, 1))
    return eroded, skeleton + functional.relu(found - skeleton * found)


def _erode(image: Tensor) -> Tensor:
    """Return the least of the windows of three along each axis."""
    axes = image.ndim - 2
    pool = functional.max_pool2d if axes == 2 else functional.max_pool3d
    windows = []
    for axis in range(axes):
        size = [3 if a == axis else 1 for a in range(axes)]
        windows.append(-pool(-image, size, 1, [s // 2 for s in size]))
    least = windows[0]
    for window in windows[1:]:
        least = torch.minimum(least, window)
    return least
