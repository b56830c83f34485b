"""The losses of the arms: sums of terms, with deep supervision for every term alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor

from experiments.validation import Range

if TYPE_CHECKING:
    from torch import nn

    from experiments.config import ArmConfig
    from tubeskel.losses import DeepSupervision, DiceCESkeletonRecallLoss

LOSSES: dict[str, tuple[str, ...]] = {
    "ce": ("ce",),
    "dice_ce": ("dice", "ce"),
    "dice_ce_srl": ("dice", "ce", "srl"),
    "ce_srl": ("ce", "srl"),
    "dice_ce_cldice": ("dice", "ce", "cldice"),
    "dice_cldice": ("dice", "cldice"),
}
"""Terms of each loss."""

TOPOLOGY_TERMS = ("srl", "cldice")
"""Terms that an arm's ``alpha`` weighs; the other terms have weight 1."""

MONITORED = ("dice", "ce", "srl")
"""Terms whose values are logged for every arm."""

IGNORE = 255
"""Label of pixels that no term sees."""


@dataclass(frozen=True)
class TermsConfig:
    """How each term is taken, for all arms alike."""

    batch: bool = True
    """Dice and recall over the batch as a whole; otherwise the means of those of each image"""
    background: bool = False
    """whether Dice counts the background as a class"""
    cldice_iterations: Annotated[int, Range(0)] = 10
    """erosions of soft clDice, the radius of the thickest tube that it thins"""


class ArmLoss:
    """The loss of one arm, over the network's output and its heads.

    An arm without deep supervision sees the output alone, with the sum of all weights: so the
    loss, and with it the step, is as large as with the heads.

    Parameters
    ----------
    arm : ArmConfig
    head_weights : sequence of float, optional
        Weights of the output and each head; by default 1, 1/2, 1/4, ..., divided by their sum.
    terms : TermsConfig, optional
        How each term is taken.
    """

    def __init__(
        self,
        arm: ArmConfig,
        head_weights: Sequence[float] = (),
        terms: TermsConfig | None = None,
    ) -> None:
        self.arm = arm
        self.terms = terms or TermsConfig()
        self.names = LOSSES[arm.loss]
        self.head_weights = head_weights or None
        if head_weights and not arm.deep_supervision:
            self.head_weights = (sum(head_weights),)

    def alpha(self, progress: float) -> float:
        """Return the weight of the topology term after a share of the training, 0 to 1."""
        acts = any(name in TOPOLOGY_TERMS for name in self.names) and progress >= self.arm.start
        return self.arm.alpha if acts else 0.0

    def __call__(self, outputs: Sequence[Tensor], target: Tensor, progress: float = 1.0) -> Tensor:
        """Compute the loss.

        Parameters
        ----------
        outputs : sequence of Tensor
            (B, C, *S) logits: the network's output, at the target's size, and its heads.
        target : Tensor
            (B, *S) integers, `IGNORE` where there is no label.
        progress : float, optional
            Share of the training that is done, 0 to 1.

        Returns
        -------
        Tensor
            Scalar.
        """
        alpha = self.alpha(progress)
        weights = {name: alpha if name in TOPOLOGY_TERMS else 1.0 for name in self.names}
        return self.arm.scale * self.weighted(outputs, target, weights)

    @torch.no_grad()
    def monitor(self, outputs: Sequence[Tensor], target: Tensor) -> dict[str, float]:
        """Return the value of each term by itself, also of those that this loss lacks."""
        names = dict.fromkeys((*MONITORED, *self.names))
        return {name: self.weighted(outputs, target, {name: 1.0}).item() for name in names}

    def tube(self, target: Tensor) -> Tensor:
        """Return what this arm's recall term wants recalled at full resolution, (B, *S)."""
        from tubeskel import tubed_skeleton

        if self.arm.tube_from == "mask":
            return target
        return tubed_skeleton(
            target,
            radius=self.arm.radius,
            per_class=self.arm.per_class,
            ignore_index=IGNORE,
            keep_components=True,
            spatial_dims=target.ndim - 1,
        )

    def weighted(
        self, outputs: Sequence[Tensor], target: Tensor, weights: dict[str, float]
    ) -> Tensor:
        """Return the sum of the terms named, with these weights, over all heads."""
        from tubeskel.losses import DiceCESkeletonRecallLoss

        if not self.arm.deep_supervision:
            outputs = outputs[:1]
        parts = []
        if weights.keys() & set(MONITORED):
            compound = DiceCESkeletonRecallLoss(
                weight_dice=weights.get("dice", 0.0),
                weight_ce=weights.get("ce", 0.0),
                alpha=weights.get("srl", 0.0),
                recall=self.arm.recall,
                radius=self.arm.radius,
                per_class=self.arm.per_class,
                batch=self.terms.batch,
                include_background=self.terms.background,
                ignore_index=IGNORE,
            )
            parts.append(self._over_heads(compound, outputs, target))
        if weights.get("cldice"):
            from tubeskel.losses import SoftClDiceLoss

            soft = SoftClDiceLoss(iterations=self.terms.cldice_iterations, ignore_index=IGNORE)
            parts.append(weights["cldice"] * self._supervised(soft)(outputs, target))
        return torch.stack(parts).sum()

    def _over_heads(
        self, compound: DiceCESkeletonRecallLoss, outputs: Sequence[Tensor], target: Tensor
    ) -> Tensor:
        """Return the compound loss over all heads, with the tubes that the arm asks for."""
        arm = self.arm
        if compound.alpha == 0:  # "none" makes no tube
            return self._supervised(compound, "none")(outputs, target)
        one_size = all(output.shape == outputs[0].shape for output in outputs)
        # The tube of heads at full size is made once: pooled to its own size it is itself.
        lower = "max_pool" if one_size else arm.lower_tubes
        if arm.tube_from == "skeleton":
            return self._supervised(compound, lower)(outputs, target)
        lower = "max_pool" if lower == "skeletonize" else lower  # which gives the lower mask
        return self._supervised(compound, lower)(outputs, target, target)

    def _supervised(self, loss: nn.Module, lower_tubes: str = "skeletonize") -> DeepSupervision:
        from tubeskel.losses import DeepSupervision

        return DeepSupervision(loss, self.head_weights, lower_tubes=lower_tubes)
