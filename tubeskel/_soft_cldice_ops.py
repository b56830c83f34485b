"""The compiled ops of soft clDice with their shapes and derivatives: probabilities, and sums."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import _torch_ops as _torch_ops

_ops = torch.ops.tubeskel

NUM_SUMS = 4  # kCldiceSums of csrc/core/soft_cldice_problem.h


def soft_cldice_sums(
    logits: Tensor,
    target: Tensor,
    iterations: int,
    softmax: bool,
    first: int,
    ignore_index: int | None,
) -> Tensor:
    """Return sum S(p) y, sum S(p), sum S(y) p and sum S(y) of each channel from `first` on.

    Contiguous (B, C, *S) logits and integers, (B, *S) for a softmax or else (B, C, *S), give
    (B, C - first, 4) of float64.
    """
    probabilities = _ops.probabilities(logits, target, softmax, ignore_index)
    return _ops.soft_cldice_sums(probabilities, target, iterations, softmax, first, ignore_index)


@torch.library.register_fake("tubeskel::probabilities")
def _(logits: Tensor, *options: Any) -> Tensor:
    real = torch.float64 if logits.dtype == torch.float64 else torch.float32
    return torch.empty_like(logits, dtype=real)


@torch.library.register_fake("tubeskel::soft_cldice_sums")
def _(
    probabilities: Tensor,
    target: Tensor,
    iterations: int,
    softmax: bool,
    first: int,
    ignore_index: int | None,
) -> Tensor:
    samples, channels = probabilities.shape[:2]
    return probabilities.new_empty((samples, channels - first, NUM_SUMS), dtype=torch.float64)


@torch.library.register_fake("tubeskel::soft_cldice_gradient")
def _(derivatives: Tensor, probabilities: Tensor, *options: Any) -> Tensor:
    return torch.empty_like(probabilities)


def _save_result(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    logits, _, ctx.softmax, _ = inputs
    ctx.dtype = logits.dtype
    ctx.save_for_backward(output)


def _logits_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    (p,) = ctx.saved_tensors  # 0 for ignored pixels, and so is the gradient
    if ctx.softmax:
        grad = torch.ops.aten._softmax_backward_data(grad, p, 1, p.dtype)
    else:
        grad = torch.ops.aten.sigmoid_backward(grad, p)
    return grad.to(ctx.dtype), None, None, None


def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    probabilities, target, *ctx.options = inputs
    ctx.save_for_backward(probabilities, target)


def _probabilities_gradient(ctx: Any, grad_sums: Tensor) -> tuple[Any, ...]:
    _torch_ops.refuse_second_derivative("soft_cldice_loss")
    grad = _ops.soft_cldice_gradient(grad_sums.contiguous(), *ctx.saved_tensors, *ctx.options)
    return grad, *(None,) * 5


torch.library.register_autograd(
    "tubeskel::probabilities", _logits_gradient, setup_context=_save_result
)
torch.library.register_autograd(
    "tubeskel::soft_cldice_sums", _probabilities_gradient, setup_context=_save_inputs
)
