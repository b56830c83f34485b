"""A loss on the outputs of several resolutions, with targets and tubes made from the full one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .._arguments import as_choice, as_flag, as_number
from .._torch_ops import as_integers
from ..morphology import _tube
from ._inputs import as_labels, check_logits
from .dice_ce_soft_cldice import DiceCESoftClDiceLoss
from .dice_ce_srl import DiceCESkeletonRecallLoss
from .skeleton_recall import SkeletonRecallLoss

LOWER_TUBES = ("skeletonize", "max_pool", "none")


class DeepSupervision(nn.Module):
    r"""Weighted sum of a loss over outputs of several resolutions.

    Only the labels at full resolution are given. Each lower output is compared with the labels at
    the centres of its pixels (nearest neighbour, as PyTorch's "nearest-exact"), and `lower_tubes`
    says how its tube is made; sampling the tube in the same way would break it into pieces.

    Parameters
    ----------
    loss : Module
        Called as ``loss(logits, target, tube)``, or ``loss(logits, target)`` where it shall make
        the tube, if it takes one at all.
    weights : sequence of float, optional
        One for each output, at least 0; outputs of weight 0 are not looked at. By default 1, 1/2,
        1/4, ..., divided by their sum. (nnU-Net does so too, but gives the last output 0.)
    lower_tubes : {"skeletonize", "max_pool", "none"}
        - "skeletonize": thin the labels at the lower resolution. The tube is connected where the
          labels are, and as wide in pixels as at full resolution: relatively wider.
        - "max_pool": a pixel whose cell of the full resolution holds any pixel of the tube, with
          the label that the pixel has at the lower resolution, so nothing if that is background.
          The tube keeps its relative width, and breaks where the labels do.
        - "none": recall, or clDice, at full resolution only; Dice and cross-entropy at all of them.

        In ``experiments/results/study_lower_tubes`` (generated tubes, 5 seeds) "max_pool" had a
        clDice lower by 1 point on thin tubes; no other difference between the three was found.

        For "max_pool" the loss must be a `SkeletonRecallLoss` or a `DiceCESkeletonRecallLoss`, for
        "none" the latter or a `DiceCESoftClDiceLoss`. A loss without a tube, as any of soft clDice,
        gets the labels alone with "skeletonize".

    Examples
    --------
    >>> import torch, tubeskel
    >>> criterion = tubeskel.DeepSupervision(tubeskel.DiceCESkeletonRecallLoss())
    >>> target = torch.ones(1, 1, 16, 16, dtype=torch.uint8)
    >>> outputs = [torch.zeros(1, 2, size, size) for size in (16, 8, 4)]
    >>> round(criterion(outputs, target).item(), 4)
    -0.4735
    """

    def __init__(
        self,
        loss: nn.Module,
        weights: Sequence[float] | None = None,
        *,
        lower_tubes: str = "skeletonize",
    ) -> None:
        super().__init__()
        if not isinstance(loss, nn.Module):
            raise TypeError(f"loss must be a torch.nn.Module, got {type(loss).__name__}")
        as_choice("lower_tubes", lower_tubes, LOWER_TUBES)
        needed = {
            "skeletonize": (nn.Module,),
            "max_pool": (SkeletonRecallLoss, DiceCESkeletonRecallLoss),
            "none": (DiceCESkeletonRecallLoss, DiceCESoftClDiceLoss),
        }[lower_tubes]
        if not isinstance(loss, needed):
            raise TypeError(
                f"loss must be a {' or '.join(kind.__name__ for kind in needed)} for "
                f"lower_tubes={lower_tubes!r}, got {type(loss).__name__}"
            )
        self.loss = loss
        self.lower_tubes = lower_tubes
        self.weights = None if weights is None else _check_weights(weights)

    def set_progress(self, progress: float) -> None:
        """Tell the loss how much of the training is done, 0 to 1."""
        self.loss.set_progress(progress)  # type: ignore[operator]

    def forward(
        self,
        outputs: Sequence[Tensor],
        target: Tensor,
        tube: Tensor | None = None,
        *,
        return_terms: bool = False,
    ) -> Any:
        """Return the weighted sum of the losses.

        Parameters
        ----------
        outputs : sequence of (B, C, *S) Tensor
            Logits, the first at the resolution of the target, all of as many axes.
        target, tube : Tensor
            As the loss takes them with the first output.
        return_terms : bool
            Also return the terms; the loss must have an argument of that name.

        Returns
        -------
        loss : () Tensor
        terms : dict of str to () Tensor
            If `return_terms`: the weighted sum of each term of the losses.
        """
        as_flag("return_terms", return_terms)
        if isinstance(outputs, Tensor) or len(outputs) == 0:
            raise TypeError("outputs must be a sequence of tensors, the full resolution first")
        weights = self.weights
        if weights is None:
            weights = [0.5**level for level in range(len(outputs))]
            weights = [weight / sum(weights) for weight in weights]
        if len(weights) != len(outputs):
            raise ValueError(
                f"outputs must be as many as the weights, {len(weights)}, got {len(outputs)}"
            )
        if self.lower_tubes == "max_pool" and tube is None:
            target, tube = self._with_tube(outputs[0], target)
        options = {"return_terms": True} if return_terms else {}
        losses = []
        sums: dict[str, Tensor] = {}
        for level, (weight, output) in enumerate(zip(weights, outputs, strict=True)):
            if weight == 0:
                continue
            loss = self._at_level(level, output, target, tube, options)
            if return_terms:
                loss, terms = loss
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0) + weight * term
            losses.append(weight * loss)
        total = torch.stack(losses).sum()
        return (total, sums) if return_terms else total

    def _at_level(
        self,
        level: int,
        output: Tensor,
        target: Tensor,
        tube: Tensor | None,
        options: dict[str, Any],
    ) -> Any:
        if level > 0:
            size = output.shape[2:]
            target, full_tube, tube = _at_centres(target, size), tube, None
            if self.lower_tubes == "none":
                loss, terms = self.loss.without_topology(output, target)  # type: ignore[operator]
                return (loss, terms) if options else loss
            if self.lower_tubes == "max_pool":
                assert full_tube is not None
                off_tube = _pooled(full_tube, size).logical_not().reshape(target.shape)
                tube = as_integers(target).masked_fill(off_tube, 0).view(target.dtype)
        given = () if tube is None else (tube,)
        return self.loss(output, target, *given, **options)

    def _with_tube(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the checked target, and the tube that the loss makes of it."""
        loss = self.loss
        options = loss.options if isinstance(loss, DiceCESkeletonRecallLoss) else vars(loss)
        check_logits(logits, options["activation"])
        softmax = options["activation"] == "softmax"
        target = as_labels("target", target, logits, softmax)
        tube, _ = _tube(
            target,
            keep_components=True,  # no object leaves the loss
            spatial_dims=logits.ndim - 2,
            num_classes=logits.shape[1] if softmax else 2,  # told, they need not be looked up
            name="target",
            **{name: options[name] for name in ("radius", "method", "per_class", "ignore_index")},
        )
        return target, tube


def _check_weights(weights: Sequence[float]) -> list[float]:
    checked = [as_number(f"weights[{i}]", weight, minimum=0) for i, weight in enumerate(weights)]
    if not any(checked):
        raise ValueError(f"weights must not all be 0, got {checked}")
    return checked


def _at_centres(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Sample the last axes at the centres of the cells of a lower resolution."""
    first = labels.ndim - len(size)
    for axis, n in enumerate(size, first):
        at = (torch.arange(n, device=labels.device) * 2 + 1) * labels.shape[axis] // (2 * n)
        labels = labels.index_select(axis, at)
    return labels


def _pooled(tube: Tensor, size: Sequence[int]) -> Tensor:
    """Return for each cell of a lower resolution whether it holds a pixel of the tube."""
    batch, spatial = tube.shape[: tube.ndim - len(size)], tube.shape[tube.ndim - len(size) :]
    pool = functional.adaptive_max_pool3d if len(size) == 3 else functional.adaptive_max_pool2d
    masks = (tube != 0).float().reshape(math.prod(batch), 1, *spatial)
    return pool(masks, list(size)).bool().reshape(*batch, *size)
