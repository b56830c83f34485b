"""What the losses with Dice and cross-entropy share: options, and the loss of checked inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import _compound_ops
from .._arguments import as_choice, as_flag, as_label, as_number
from ._distributed import sum_over_processes
from ._inputs import Flat, as_labels, check_logits

TERMS = ("dice", "ce", "recall")
NO_RECALL = {"recall": "linear", "classes": "present", "recall_smooth": 0.0, "fp_weight": 0.0}


def check_dice_ce_options(**options: Any) -> dict[str, Any]:
    """Return options, those of Dice and cross-entropy among them checked, as their types."""
    for name in ("weight_dice", "weight_ce", "dice_smooth", "label_smoothing"):
        options[name] = as_number(name, options[name], minimum=0)
    if options["label_smoothing"] > 1:
        raise ValueError(f"label_smoothing must be at most 1, got {options['label_smoothing']}")
    as_choice("activation", options["activation"], ("softmax", "sigmoid"))
    for name in ("batch", "include_background", "distributed"):
        as_flag(name, options[name])
    options["ignore_index"] = as_label("ignore_index", options["ignore_index"])
    if options["class_weights"] is not None:
        options["class_weights"] = _as_class_weights(options["class_weights"])
    return options


def _as_class_weights(weights: Any) -> Tensor:
    # Numbers are looked at here, and then go where new tensors are made.
    device = (weights if isinstance(weights, Tensor) else torch.empty(0)).device
    if not isinstance(weights, Tensor):
        try:
            weights = torch.as_tensor(weights, dtype=torch.float64, device="cpu")
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"class_weights must be numbers, got {weights!r}") from None
    weights = weights.detach().to(torch.float64).contiguous()
    if weights.ndim != 1:
        raise ValueError(
            f"class_weights must have shape (C,), one for each channel, got {tuple(weights.shape)}"
        )
    # Values of a tensor on a device, or in a graph, are not looked at.
    if weights.device.type == "cpu" and not torch.compiler.is_compiling():
        bad = weights[~(weights.isfinite() & (weights >= 0))].tolist()
        if bad:
            raise ValueError(f"class_weights must be finite and at least 0, got {bad[0]}")
    return weights.to(device)


def dice_ce(
    logits: Tensor, target: Tensor, options: dict[str, Any]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return Dice + cross-entropy with checked options, and both terms."""
    check_logits(logits, options["activation"])
    softmax = options["activation"] == "softmax"
    target = as_labels("target", target, logits, softmax)
    loss, terms = compound(logits, Flat(logits, softmax), target, None, 0.0, NO_RECALL | options)
    del terms["recall"]
    return loss, terms


def compound(
    logits: Tensor,
    flat: Flat,
    target: Tensor,
    tube: Tensor | None,
    alpha: float,
    options: dict[str, Any],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of checked inputs, and its terms; without a tube the recall means nothing."""
    softmax = options["activation"] == "softmax"
    weights = options["class_weights"]
    if weights is not None:
        if weights.numel() != logits.shape[1]:
            raise ValueError(
                f"class_weights must have one weight for each of the {logits.shape[1]} channels, "
                f"got {weights.numel()}"
            )
        weights = weights.to(logits.device)
    sums = _compound_ops.compound_sums(
        flat.logits,
        flat.maps(target),
        tube,
        softmax,
        options["ignore_index"],
        options["recall"] == "cross_entropy",
        options["label_smoothing"] > 0,
    )
    if options["batch"] and options["distributed"]:
        sums = sum_over_processes(sums)

    real = torch.float64 if logits.dtype == torch.float64 else torch.float32

    def weighted(
        dice: float, ce: float, recall: float, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        return _compound_ops.compound_loss(
            sums,
            weights,
            softmax,
            options["batch"],
            options["include_background"],
            options["classes"] == "all",
            options["recall"],
            options["dice_smooth"],
            options["recall_smooth"],
            options["label_smoothing"],
            options["fp_weight"],
            dice,
            ce,
            recall,
            dtype == torch.float64,
        )

    if torch.compiler.is_compiling() and alpha != 0:
        # What an op is given is constant in its graph, and alpha may change at each step.
        double = torch.float64
        loss, terms = weighted(options["weight_dice"], options["weight_ce"], 0.0, double)
        loss = (loss + alpha * weighted(0.0, 0.0, 1.0, double)[0]).to(real)
        terms = terms.to(real)
    else:
        loss, terms = weighted(options["weight_dice"], options["weight_ce"], alpha, real)
    return loss, dict(zip(TERMS, terms, strict=True))
