"""What each term of an arm's loss asks of the network at one moment of its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from experiments.losses import IGNORE, MONITORED, ArmLoss
from experiments.networks import UNet

VANISHING = 0.01
"""Share of the largest gradient that a softmax lets a tube pixel have, below which it vanishes."""


def analyse(network: UNet, loss: ArmLoss, image: Tensor, target: Tensor) -> dict[str, Any]:
    """Take the gradients of all terms at the network's output, each term with weight 1.

    Parameters
    ----------
    network : UNet
    loss : ArmLoss
        Its tube and its form of recall are used, and of the heads the output alone.
    image : Tensor
        (B, C, *S).
    target : Tensor
        (B, *S).

    Returns
    -------
    dict
        - ``terms``: for each term the norms of its gradient on and off the tube with respect to
          the probabilities and the logits, and its norm with respect to the last layer.
        - ``cosine_srl_dice_ce``: between the recall and Dice + cross-entropy, with respect to the
          ``logits`` and the ``parameters`` of the last layer.
        - ``missed_share``: tube pixels that are predicted as another class, of all tube pixels.
        - ``vanishing_share``: of the missed ones, those where the gradient of the recall by the
          logit of their class is below `VANISHING` times the largest that the Skeleton Recall Loss
          can have, a quarter of its gradient by the probability.

        None stands for what is not defined: no tube, no missed pixel, a gradient of zero.
    """
    from tubeskel.gradients import recall_gradient, term_gradients

    of_output = ArmLoss(replace(loss.arm, deep_supervision=False), terms=loss.terms)
    with torch.no_grad():
        features = network.skip_layers(image)
    with torch.enable_grad():
        logits = network.output_block(features)
    names = tuple(dict.fromkeys((*MONITORED, *loss.names)))

    def term(name: str, z: Tensor, labels: Tensor) -> Tensor:
        return of_output.weighted([z], labels, {name: 1.0})

    terms: dict[str, Callable[[Tensor, Tensor], Tensor]] = {n: partial(term, n) for n in names}
    tube = of_output.tube(target)
    report = term_gradients(terms, logits, target, tube=tube, ignore_index=IGNORE)
    by_logits = {name: found.logits for name, found in report.terms.items()}
    last_layer = list(network.output_block.parameters())

    def by_parameters(gradient: Tensor) -> Tensor:
        parts = torch.autograd.grad(logits, last_layer, gradient.to(logits), retain_graph=True)
        return torch.cat([part.flatten() for part in parts])

    norms = {space: report.norms(space) for space in ("probabilities", "logits")}
    dice_ce = by_logits["dice"] + by_logits["ce"]
    by_probability = recall_gradient(tube, logits.shape[1], batch=of_output.terms.batch)
    missed, vanishing = _missed(by_probability.abs(), by_logits["srl"][:, 1:].abs(), logits)
    return {
        "terms": {
            name: {
                **{f"{space}_on": found[name].on_tube for space, found in norms.items()},
                **{f"{space}_off": found[name].off_tube for space, found in norms.items()},
                "parameters": by_parameters(by_logits[name]).norm().item(),
            }
            for name in names
        },
        "cosine_srl_dice_ce": {
            "logits": _cosine(by_logits["srl"], dice_ce),
            "parameters": _cosine(by_parameters(by_logits["srl"]), by_parameters(dice_ce)),
        },
        "missed_share": missed,
        "vanishing_share": vanishing,
    }


def _missed(
    by_probability: Tensor, by_logit: Tensor, logits: Tensor
) -> tuple[float | None, float | None]:
    """Return the missed share of the tube, and of that the share with a vanishing gradient.

    `by_probability` is that of the Skeleton Recall Loss, [B, K, *S], 0 but on the tube of each
    class; `by_logit` is that of the arm's recall.
    """
    tube = by_probability > 0
    predicted = logits.argmax(1, keepdim=True)
    classes = torch.arange(1, logits.shape[1], device=logits.device)
    missed = tube & (predicted != classes.view(1, -1, *[1] * (logits.ndim - 2)))
    vanishing = missed & (by_logit < VANISHING / 4 * by_probability)
    counts = [int(pixels.sum()) for pixels in (tube, missed, vanishing)]
    return _share(counts[1], counts[0]), _share(counts[2], counts[1])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _cosine(one: Tensor, other: Tensor) -> float | None:
    norms = (one.norm() * other.norm()).item()
    return torch.dot(one.flatten(), other.flatten()).item() / norms if norms else None
