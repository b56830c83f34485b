"""The ops of Dice + cross-entropy + skeleton recall with their shapes and derivatives.

The loss is made in two steps, each with a derivative of its own: the sums over the pixels of each
class, one pass over the logits; the loss as a function of these few numbers. Between them the sums
of several processes can be added.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import _torch_ops as _torch_ops

_ops = torch.ops.tubeskel

NUM_SUMS = 8  # kSums of csrc/core/compound.h


def compound_sums(
    logits: Tensor,
    target: Tensor,
    tube: Tensor | None,
    softmax: bool,
    ignore_index: int | None,
    log_recall: bool,
    smoothing: bool,
) -> Tensor:
    """Return the sums, (samples, channels, 8) of float64, of (samples, channels, pixels) logits."""
    return _ops.compound_sums(logits, target, tube, softmax, ignore_index, log_recall, smoothing)


def compound_loss(
    sums: Tensor, class_weights: Tensor | None, *options: bool | str | float
) -> tuple[Tensor, Tensor]:
    """Return the loss and its three terms, which carry no gradient."""
    loss, terms, _ = _ops.compound_loss(sums, class_weights, *options)
    return loss, terms


@torch.library.register_fake("tubeskel::compound_sums")
def _(logits: Tensor, *options: Any) -> Tensor:
    return logits.new_empty((*logits.shape[:2], NUM_SUMS), dtype=torch.float64)


@torch.library.register_fake("tubeskel::compound_gradient")
def _(derivatives: Tensor, logits: Tensor, *options: Any) -> Tensor:
    return torch.empty_like(logits)


@torch.library.register_fake("tubeskel::compound_loss")
def _(sums: Tensor, *options: Any) -> tuple[Tensor, Tensor, Tensor]:
    real = torch.float64 if options[-1] else torch.float32
    return sums.new_empty((), dtype=real), sums.new_empty(3, dtype=real), torch.empty_like(sums)


def _save_logits(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    logits, target, tube, *ctx.options, _ = inputs
    ctx.save_for_backward(logits, target, tube)


def _logits_gradient(ctx: Any, grad_sums: Tensor) -> tuple[Any, ...]:
    _torch_ops.refuse_second_derivative("dice_ce_srl_loss")
    grad = _ops.compound_gradient(grad_sums.contiguous(), *ctx.saved_tensors, *ctx.options)
    return grad, *(None,) * 6


def _save_derivatives(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, terms, derivatives = output
    ctx.mark_non_differentiable(terms, derivatives)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(derivatives)
    ctx.others = len(inputs) - 1


def _sums_gradient(ctx: Any, grad_loss: Tensor | None, *unused: Any) -> tuple[Any, ...]:
    if grad_loss is None:
        return None, *(None,) * ctx.others
    _torch_ops.refuse_second_derivative("dice_ce_srl_loss")
    (derivatives,) = ctx.saved_tensors
    return grad_loss * derivatives, *(None,) * ctx.others  # of float64


torch.library.register_autograd(
    "tubeskel::compound_sums", _logits_gradient, setup_context=_save_logits
)
torch.library.register_autograd(
    "tubeskel::compound_loss", _sums_gradient, setup_context=_save_derivatives
)
