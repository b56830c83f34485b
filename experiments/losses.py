"""The losses of the arms: sums of terms, with deep supervision for every term alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

Term = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Takes logits (B, C, H, W), target (B, H, W) int64 and tube (B, H, W) int64; gives a scalar."""

LOSSES: dict[str, tuple[str, ...]] = {
    "dice_ce": ("dice", "ce"),
    "dice_ce_srl": ("dice", "ce", "srl"),
    "ce_srl": ("ce", "srl"),
}
"""Terms of each loss."""

TOPOLOGY_TERMS = ("srl",)
"""Terms that an arm's ``alpha`` weighs; the other terms have weight 1."""


def dice_term(logits: Tensor, target: Tensor, tube: Tensor) -> Tensor:
    """1 - soft Dice over the foreground classes, pooled over the batch as nnU-Net does."""
    from monai.losses import DiceLoss

    loss = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    return loss(logits, target[:, None])


def cross_entropy_term(logits: Tensor, target: Tensor, tube: Tensor) -> Tensor:
    """Mean cross-entropy over all pixels."""
    return functional.cross_entropy(logits, target)


def skeleton_recall_term(logits: Tensor, target: Tensor, tube: Tensor) -> Tensor:
    """Skeleton Recall, -1 (every tube pixel found) to 0."""
    from tubeskel import srl_loss

    return srl_loss(logits, target, tube=tube)


TERMS: dict[str, Term] = {
    "dice": dice_term,
    "ce": cross_entropy_term,
    "srl": skeleton_recall_term,
}


class DeepSupervisedLoss:
    """Weighted sum of terms, each averaged over the heads with the same weights.

    Parameters
    ----------
    loss : str
        A name in `LOSSES`.
    alpha : float
        Weight of the topology terms.
    radius : int
        Radius of the tube, in pixels.
    """

    def __init__(self, loss: str, alpha: float = 1.0, radius: int = 2) -> None:
        self.weights = {name: alpha if name in TOPOLOGY_TERMS else 1.0 for name in LOSSES[loss]}
        self.radius = radius

    def __call__(
        self, heads: Sequence[Tensor], target: Tensor, monitor: bool = False
    ) -> tuple[Tensor, dict[str, float]]:
        """Compute the loss, and the value of each term.

        Parameters
        ----------
        heads : sequence of Tensor
            (B, C, H, W) logits at full size, the network's output first; head i has the weight
            2^-i, and the weights sum to 1.
        target : Tensor
            (B, H, W) int64.
        monitor : bool, optional
            Also give the values of the terms that this loss lacks, without a gradient.

        Returns
        -------
        loss : Tensor
            Scalar.
        terms : dict of str to float
            Unweighted value of each term, averaged over the heads; empty without `monitor`.
        """
        tube = self._tube(target) if monitor or "srl" in self.weights else target
        share = [2.0**-i for i in range(len(heads))]
        share = [weight / sum(share) for weight in share]

        def over_heads(term: Term) -> Tensor:
            values = [w * term(h.float(), target, tube) for w, h in zip(share, heads, strict=True)]
            return torch.stack(values).sum()

        values = {name: over_heads(TERMS[name]) for name in self.weights}
        total = torch.stack([self.weights[name] * value for name, value in values.items()]).sum()
        if not monitor:
            return total, {}
        with torch.no_grad():
            values |= {name: over_heads(t) for name, t in TERMS.items() if name not in values}
        return total, {name: float(values[name].detach()) for name in TERMS}

    def _tube(self, target: Tensor) -> Tensor:
        from tubeskel import tubed_skeleton

        return tubed_skeleton(target, radius=self.radius, spatial_dims=2)
