"""The losses as nnU-Net's trainers call them: outputs and targets of all resolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..losses import DeepSupervision, DiceCESkeletonRecallLoss, DiceCESoftClDiceLoss
from .settings import Settings

IGNORED = 2  # label of ignored pixels in a mask of 0 and 1


class TrainerLoss(nn.Module):
    """A loss on what a step of nnU-Net has: ``loss(output, target)``.

    nnU-Net's data loader gives the labels at each resolution. Only those at the full one are used:
    `DeepSupervision` samples them as nnU-Net does, and makes the tubes where the labels are.

    Parameters
    ----------
    loss : Module
        Called as ``loss(logits, target, return_terms=True)``; for regions with a sigmoid, and
        `IGNORED` as its ``ignore_index``.
    weights : sequence of float, optional
        Of the resolutions. None: there is no deep supervision, output and target are tensors.
    lower_tubes : str
        As in `DeepSupervision`.
    ignore_channel : bool
        Whether the last channel of the target is the mask of the ignored pixels, as nnU-Net gives
        it for regions.
    """

    def __init__(
        self,
        loss: nn.Module,
        weights: Sequence[float] | None,
        *,
        lower_tubes: str = "skeletonize",
        ignore_channel: bool = False,
    ) -> None:
        super().__init__()
        self.single = weights is None
        weights = [1.0] if weights is None else [float(weight) for weight in weights]
        self.supervised = DeepSupervision(loss, weights, lower_tubes=lower_tubes)
        self.ignore_channel = ignore_channel
        self.forget_terms()

    def forward(self, output: Tensor | Sequence[Tensor], target: Tensor | list[Tensor]) -> Tensor:
        """Return the loss, and add its terms to those remembered.

        Parameters
        ----------
        output : (B, C, *S) Tensor, or list of them
            Logits, the full resolution first.
        target : (B, 1, *S) or (B, R, *S) Tensor, or list of them
            Labels, or masks of the regions and of what is ignored.

        Returns
        -------
        () Tensor
        """
        outputs = [output] if self.single else output
        labels = target[0] if isinstance(target, list) else target
        if self.ignore_channel:
            labels, ignored = labels[:, :-1].to(torch.uint8), labels[:, -1:].bool()
            labels = labels.masked_fill(ignored, IGNORED)
        loss, terms = self.supervised(outputs, labels, return_terms=True)
        for name, term in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + term
        self._calls += 1
        return loss

    def forget_terms(self) -> None:
        """Begin a new mean of the terms."""
        self._sums: dict[str, Tensor | float] = {}
        self._calls = 0

    def mean_terms(self) -> dict[str, float]:
        """Return the mean of each term over the calls since `forget_terms`.

        Their sum, weighted as the terms of the loss are, is the mean of the loss.
        """
        return {name: float(term) / self._calls for name, term in self._sums.items()}


def dice_ce_recall(settings: Settings, *, alpha: float, **options: Any) -> DiceCESkeletonRecallLoss:
    """Return Dice + cross-entropy + recall; with an `alpha` of 0 the recall is looked at only.

    `options` are those of `nnunet_dice_ce`.
    """
    return DiceCESkeletonRecallLoss(
        alpha=alpha,
        recall=settings.recall,
        classes=settings.classes,
        recall_smooth=1e-5 if settings.classes == "all" else 0.0,
        radius=settings.radius,
        per_class=settings.per_class,
        **nnunet_dice_ce(**options),
    )


def dice_ce_cldice(settings: Settings, **options: Any) -> DiceCESoftClDiceLoss:
    """Return Dice + cross-entropy + soft clDice; `options` are those of `nnunet_dice_ce`."""
    return DiceCESoftClDiceLoss(
        alpha=settings.alpha, iterations=settings.iterations, **nnunet_dice_ce(**options)
    )


def nnunet_dice_ce(
    *, batch: bool, regions: int, ignore_label: int | None, distributed: bool
) -> dict[str, Any]:
    """Return the options with which Dice and cross-entropy are those of nnU-Net's trainer.

    Parameters
    ----------
    batch : bool
        nnU-Net's ``batch_dice``.
    regions : int
        Number of regions, 0 for labels.
    ignore_label : int, optional
    distributed : bool
        Whether `batch` is the joined batch of all processes.
    """
    ignored_regions = bool(regions) and ignore_label is not None
    return {
        # With an ignore label nnU-Net adds up the cross-entropies of the regions.
        "weight_ce": float(regions) if ignored_regions else 1.0,
        "activation": "sigmoid" if regions else "softmax",
        "batch": batch,
        "ignore_index": IGNORED if ignored_regions else ignore_label,
        "distributed": distributed,
    }
