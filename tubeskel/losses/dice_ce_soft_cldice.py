"""Dice + cross-entropy + soft clDice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from .._arguments import as_flag, as_integer, as_number
from ._dice_ce import check_dice_ce_options, dice_ce
from ._inputs import as_labels, check_logits
from ._scheduled import ScheduledLoss
from .soft_cldice import soft_cldice_loss

SHARED = ("activation", "batch", "include_background", "ignore_index", "distributed")


def dice_ce_soft_cldice_loss(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float = 1.0,
    weight_dice: float = 1.0,
    weight_ce: float = 1.0,
    iterations: int = 10,
    activation: str = "softmax",
    batch: bool = True,
    include_background: bool = False,
    dice_smooth: float = 1e-5,
    cldice_smooth: float = 1.0,
    class_weights: Tensor | Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    distributed: bool = True,
    return_terms: bool = False,
) -> Any:
    r"""Dice + cross-entropy + soft clDice.

    .. math:: L = w_{dice} L_{dice} + w_{ce} L_{ce} + \alpha L_{clDice}

    Dice and cross-entropy are those of `dice_ce_srl_loss`, made in one pass and on the devices that
    it takes, clDice is that of `soft_cldice_loss`.

    Parameters
    ----------
    logits : (B, C, *S) Tensor of float32, float64, float16 or bfloat16
        Predictions before the activation, S being the 2 or 3 spatial axes.
    target : (B, *S) or (B, 1, *S) Tensor of bool or int
        Labels 0 .. C-1 and `ignore_index`. For "sigmoid": 0 and 1, or, with more than one channel,
        a mask of 0 and 1 for each, (B, C, *S).
    alpha, weight_dice, weight_ce : float
        Weights of the terms, at least 0. A term without weight leaves the loss alone, and with
        ``alpha=0`` no skeleton is made, unless for `return_terms`.
    iterations : int
        How often soft skeletons erode, at least 0.
    activation : {"softmax", "sigmoid"}
        With "softmax" the first channel is the background. With "sigmoid" each channel is a class
        of its own, and the cross-entropy the binary one.
    batch : bool
        Dice and clDice over the batch as a whole, else their mean over the samples.
    include_background : bool
        Whether Dice and clDice count the background of a softmax.
    dice_smooth, cldice_smooth : float
        Added to numerators and denominators; at least 0.
    class_weights, label_smoothing
        Of the cross-entropy, as in `dice_ce_srl_loss`.
    ignore_index : int, optional
        Pixels of `target` with this label take no part in any term.
    distributed : bool
        With ``batch=True`` in a process group, take the loss of the joined batch, as
        `dice_ce_srl_loss` does.
    return_terms : bool
        Also return the terms.

    Returns
    -------
    loss : () Tensor
        float64 for float64 logits, else float32.
    terms : dict of str to () Tensor
        If `return_terms`: "dice", -1 (best) to 0, "ce" and "cldice", 0 (best) to 1, without their
        weights and without gradient.

    Raises
    ------
    TypeError, ValueError
        As `dice_ce_srl_loss` and `soft_cldice_loss` do.

    Examples
    --------
    >>> import torch, tubeskel
    >>> target = torch.zeros(1, 16, 16, dtype=torch.long)
    >>> target[:, 6:9, 2:14] = 1
    >>> logits = torch.zeros(1, 2, 16, 16, requires_grad=True)
    >>> loss, terms = tubeskel.dice_ce_soft_cldice_loss(
    ...     logits, target, iterations=3, return_terms=True
    ... )
    >>> {name: round(term.item(), 4) for name, term in terms.items()}
    {'dice': -0.2195, 'ce': 0.6931, 'cldice': 0.2941}
    >>> loss.backward()
    """
    options = _check_options(
        weight_dice=weight_dice,
        weight_ce=weight_ce,
        iterations=iterations,
        activation=activation,
        batch=batch,
        include_background=include_background,
        dice_smooth=dice_smooth,
        cldice_smooth=cldice_smooth,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        distributed=distributed,
    )
    alpha = as_number("alpha", alpha, minimum=0)
    as_flag("return_terms", return_terms)
    # Of other strides, both are copied once for all terms.
    check_logits(logits, activation)
    logits = logits.contiguous()
    target = as_labels("target", target, logits, activation == "softmax")
    loss, terms = dice_ce(logits, target, options)
    if alpha != 0 or return_terms:
        cldice = soft_cldice_loss(
            logits,
            target,
            iterations=options["iterations"],
            smooth=options["cldice_smooth"],
            **{name: options[name] for name in SHARED},
        )
        loss = loss + alpha * cldice if alpha != 0 else loss
        terms["cldice"] = cldice.detach()
    return (loss, terms) if return_terms else loss


class DiceCESoftClDiceLoss(ScheduledLoss):
    """Dice + cross-entropy + soft clDice as a module; see `dice_ce_soft_cldice_loss`.

    Parameters
    ----------
    alpha : float or callable
        Weight of clDice: a number, or a function of the progress of training, from 0 at its start
        to 1 at its end, which `set_progress` tells the module.
    weight_dice, weight_ce, iterations, activation, batch, include_background, dice_smooth, \
    cldice_smooth, class_weights, label_smoothing, ignore_index, distributed
        As in `dice_ce_soft_cldice_loss`; checked here.

    Examples
    --------
    >>> import torch, tubeskel
    >>> criterion = tubeskel.DiceCESoftClDiceLoss(alpha=0.5, iterations=3)
    >>> target = torch.ones(1, 1, 8, 8, dtype=torch.uint8)
    >>> round(criterion(torch.zeros(1, 2, 8, 8), target).item(), 4)
    0.0265
    """

    def __init__(
        self,
        *,
        alpha: float | Callable[[float], float] = 1.0,
        weight_dice: float = 1.0,
        weight_ce: float = 1.0,
        iterations: int = 10,
        activation: str = "softmax",
        batch: bool = True,
        include_background: bool = False,
        dice_smooth: float = 1e-5,
        cldice_smooth: float = 1.0,
        class_weights: Tensor | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        distributed: bool = True,
    ) -> None:
        options = _check_options(
            weight_dice=weight_dice,
            weight_ce=weight_ce,
            iterations=iterations,
            activation=activation,
            batch=batch,
            include_background=include_background,
            dice_smooth=dice_smooth,
            cldice_smooth=cldice_smooth,
            class_weights=class_weights,
            label_smoothing=label_smoothing,
            ignore_index=ignore_index,
            distributed=distributed,
        )
        super().__init__(alpha, options)

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        alpha: float | None = None,
        return_terms: bool = False,
    ) -> Any:
        """Return `dice_ce_soft_cldice_loss`, with another `alpha` if given."""
        return dice_ce_soft_cldice_loss(
            logits,
            target,
            alpha=self.current_alpha() if alpha is None else alpha,
            class_weights=self.weights_for(logits),
            return_terms=return_terms,
            **self.options,
        )


def _check_options(**options: Any) -> dict[str, Any]:
    options = check_dice_ce_options(**options)
    options["iterations"] = as_integer("iterations", options["iterations"], minimum=0)
    options["cldice_smooth"] = as_number("cldice_smooth", options["cldice_smooth"], minimum=0)
    return options
