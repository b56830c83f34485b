"""Soft clDice."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._arguments import as_choice, as_flag, as_integer, as_label, as_number
from .._soft_cldice_ops import soft_cldice_sums
from ._distributed import sum_over_processes
from ._inputs import as_labels, check_logits


def soft_cldice_loss(
    logits: Tensor,
    target: Tensor,
    *,
    iterations: int = 10,
    activation: str = "softmax",
    include_background: bool = False,
    batch: bool = True,
    smooth: float = 1.0,
    ignore_index: int | None = None,
    distributed: bool = True,
) -> Tensor:
    r"""Soft clDice loss: one minus the harmonic mean of topology precision and sensitivity.

    .. math:: L = 1 - \frac{1}{|K|} \sum_{k \in K} \frac{2 P_k R_k}{P_k + R_k}, \quad
        P_k = \frac{\sum_i S(s_k)_i y_{ik} + \epsilon}{\sum_i S(s_k)_i + \epsilon}, \quad
        R_k = \frac{\sum_i S(y_k)_i s_{ik} + \epsilon}{\sum_i S(y_k)_i + \epsilon}

    with the probabilities s, the one-hot target y, :math:`\epsilon` = `smooth` and the soft
    skeleton S of [1]_, which is made of least and greatest neighbours, again and again.

    Parameters
    ----------
    logits : (B, C, *S) Tensor of float32, float64, float16 or bfloat16
        Predictions before the activation, S being the 2 or 3 spatial axes.
    target : (B, *S) or (B, 1, *S) Tensor of bool or int
        Labels 0 .. C-1 and `ignore_index`. For "sigmoid": 0 and 1, or, with more than one channel,
        a mask of 0 and 1 for each, (B, C, *S).
    iterations : int
        How often S erodes, at least 0: the radius of the thickest tube it makes thin, in pixels.
    activation : {"softmax", "sigmoid"}
        With "softmax" the first channel is the background. With "sigmoid" each channel is a class
        of its own.
    include_background : bool
        Whether K has the background of a softmax.
    batch : bool
        Sum over the batch before dividing. Otherwise the loss is the mean of one loss per sample.
    smooth : float
        Added to numerators and denominators; at least 0.
    ignore_index : int, optional
        Pixels of `target` with this label are background in the target and in the prediction, of
        all classes: they add to no sum, and skeletons are made as if nothing were there.
    distributed : bool
        With ``batch=True`` in an initialised process group of more than one process, take the loss
        of the joined batch, as `dice_ce_srl_loss` does; all processes have to call.

    Returns
    -------
    () Tensor
        0 (best) to 1. float64 for float64 logits, else float32.

    Raises
    ------
    TypeError
        If an argument is of a wrong type, or the logits of a wrong dtype.
    ValueError
        For shapes or devices that do not match, a `target` of floats or with values out of range,
        or options that do not exist. On CUDA a value out of range stops the device, as in
        `srl_loss`.

    See Also
    --------
    dice_ce_soft_cldice_loss : with Dice and cross-entropy.
    srl_loss : the recall on a tube around the skeleton of the target alone.
    tubeskel.metrics.cldice : the score, on hard skeletons.

    Notes
    -----
    One op makes the sums and one their gradient, which goes through the chain of poolings anew; the
    activation has an op of its own. There is no second derivative.

    On the CPU the chain runs as a pipeline over rows, or planes of a volume, and holds as many of
    them as the iterations need: nothing of the size of the image is kept beside the probabilities
    and their gradient. Results are bitwise the same for any number of threads.

    On CUDA each iteration is one launch over a few classes of samples at a time: as many as keep
    the device busy, about two million pixels, or one that is larger. For each of these pixels, in
    float32, 16 bytes are kept in the forward pass, whatever `iterations` is, and 80 in the backward
    pass for 10 iterations, more as the root of `iterations` grows. Results are bitwise the same on
    every device. They differ from the CPU's by rounding alone, unless that makes neighbours equal.

    Least and greatest have no derivative where neighbours are equal. The one taken is PyTorch's for
    the chain of its poolings: the first in raster order gets all, and of two equal windows of a
    cross each gets half.

    With `smooth` 0 a ratio without any pixel counts as 0; with the default an absent class that is
    not predicted has clDice 1.

    ``SoftclDiceLoss(iter_, softmax=True, include_background=False)`` of MONAI 1.6 has the same
    skeletons. With one class and ``batch=False`` it has the same loss, but for the 1e-4 that its
    ``smooth`` adds to :math:`P_k + R_k`; of several classes it adds up all sums before it divides.
    It takes one-hot targets, and probabilities unless an activation is asked for: given logits, its
    loss can be zero throughout (its issue 8239). Before its pull request 8703 it had no activation
    and took the target first. The authors' code adds up classes and batch before it divides and
    always erodes ten times, whatever ``iter_`` says.

    References
    ----------
    .. [1] S. Shit et al., "clDice - a novel topology-preserving loss function for tubular structure
       segmentation", CVPR 2021.

    Examples
    --------
    >>> import torch, tubeskel
    >>> target = torch.zeros(1, 16, 16, dtype=torch.long)
    >>> target[:, 6:9, 2:14] = 1
    >>> logits = torch.zeros(1, 2, 16, 16, requires_grad=True)
    >>> loss = tubeskel.soft_cldice_loss(logits, target, iterations=3)
    >>> round(loss.item(), 4)
    0.2941
    >>> loss.backward()
    """
    check_logits(logits, activation)
    if logits.ndim not in (4, 5):
        raise ValueError(
            f"logits must have 2 or 3 spatial axes, (B, C, *S), got {tuple(logits.shape)}"
        )
    options = _check_options(
        iterations, activation, include_background, batch, smooth, ignore_index, distributed
    )
    softmax, smooth = activation == "softmax", options["smooth"]
    sums = soft_cldice_sums(
        logits.contiguous(),
        as_labels("target", target, logits, softmax),
        # After so many erosions an image is constant, and nothing is left to find.
        min(options["iterations"], sum(logits.shape[2:])),
        softmax,
        1 if softmax and not include_background else 0,
        options["ignore_index"],
    )
    if batch and distributed:
        sums = sum_over_processes(sums)
    if batch:
        sums = sums.sum(0, keepdim=True)
    of_p, all_p, of_y, all_y = sums.unbind(-1)  # [B or 1, K] each
    precision, recall = (
        (part + smooth) / (whole + smooth).clamp(min=1e-8)
        for part, whole in ((of_p, all_p), (of_y, all_y))
    )
    scores = 2 * precision * recall / (precision + recall).clamp(min=1e-8)
    loss = (1 - scores).sum() / max(scores.numel(), 1)
    return loss.to(torch.float64 if logits.dtype == torch.float64 else torch.float32)


class SoftClDiceLoss(nn.Module):
    """Soft clDice loss as a module; see `soft_cldice_loss` for the options and the formula.

    Parameters
    ----------
    iterations, activation, include_background, batch, smooth, ignore_index, distributed
        As in `soft_cldice_loss`; checked here.

    Examples
    --------
    >>> import torch, tubeskel
    >>> criterion = tubeskel.SoftClDiceLoss(iterations=3)
    >>> target = torch.ones(1, 1, 8, 8, dtype=torch.uint8)
    >>> round(criterion(torch.zeros(1, 2, 8, 8), target).item(), 4)
    0.0
    """

    def __init__(
        self,
        *,
        iterations: int = 10,
        activation: str = "softmax",
        include_background: bool = False,
        batch: bool = True,
        smooth: float = 1.0,
        ignore_index: int | None = None,
        distributed: bool = True,
    ) -> None:
        super().__init__()
        self.options = _check_options(
            iterations, activation, include_background, batch, smooth, ignore_index, distributed
        )

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return `soft_cldice_loss` of these logits and this target."""
        return soft_cldice_loss(logits, target, **self.options)

    def extra_repr(self) -> str:
        """Return the options for printing."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


def _check_options(
    iterations: int,
    activation: str,
    include_background: bool,
    batch: bool,
    smooth: float,
    ignore_index: int | None,
    distributed: bool,
) -> dict[str, Any]:
    return {
        "iterations": as_integer("iterations", iterations, minimum=0),
        "activation": as_choice("activation", activation, ("softmax", "sigmoid")),
        "include_background": as_flag("include_background", include_background),
        "batch": as_flag("batch", batch),
        "smooth": as_number("smooth", smooth, minimum=0),
        "ignore_index": as_label("ignore_index", ignore_index),
        "distributed": as_flag("distributed", distributed),
    }
