"""The torch door: the compiled ops with their shapes (for tracing) and derivatives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import _array, _array_door
from ._array_door import UNTIL_STABLE as UNTIL_STABLE
from ._methods import Skeletonizer
from ._threads import thread_limit

_LIBRARY = next(Path(__file__).parent.glob("_torch.*"))
torch.ops.load_library(_LIBRARY)
_ops = torch.ops.tubeskel

LABEL_DTYPES = (
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)
FLOAT_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def apply_thread_limit() -> None:
    """Pass tubeskel's limit on; PyTorch's own setting is read at each call."""
    limit = thread_limit()
    _ops.set_thread_limit(2**31 - 1 if limit is None else limit)


apply_thread_limit()


def prepare(name: str, image: Tensor) -> Tensor:
    """Return `image` as a contiguous tensor of bools, integers or floats, without gradient."""
    if image.dtype not in (*LABEL_DTYPES, *FLOAT_DTYPES):
        raise TypeError(f"{name} must hold bools, integers or floats, got {image.dtype}")
    require_dense(name, image)
    return image.detach().contiguous()


def is_float(tensor: Tensor) -> bool:
    """Return whether `tensor` holds floats."""
    return tensor.dtype in FLOAT_DTYPES


def require_dense(name: str, tensor: Tensor) -> None:
    """Raise TypeError unless `tensor` is dense, ValueError for a device that has no kernels."""
    if tensor.layout != torch.strided or tensor.is_nested:
        kind = "a nested one" if tensor.is_nested else f"layout {tensor.layout}"
        raise TypeError(f"{name} must be a dense tensor, got {kind}")
    if tensor.is_cuda and not _array.CUDA_ARCHITECTURES:
        raise ValueError(f"{name} is on {tensor.device}, but tubeskel was built without CUDA")
    if not tensor.is_cuda and tensor.device.type != "cpu":
        raise ValueError(f"{name} must be on the CPU or a CUDA device, got {tensor.device}")


def thin(
    image: Tensor, axes: int, method: str, max_iterations: int, keep_components: bool
) -> Tensor:
    """Thin the last `axes` axes."""
    return _ops.thin(image, axes, method, max_iterations, keep_components)


def dilate(
    image: Tensor, axes: int, footprint: str, radius: float, spacing: tuple[float, float, float]
) -> Tensor:
    """Dilate along the last `axes` axes; `spacing` of planes, rows and columns."""
    return _ops.dilate(image, axes, footprint, radius, *spacing)


def tubed_skeleton(
    labels: Tensor,
    axes: int,
    method: str | Skeletonizer,
    keep_components: bool,
    radius: int,
    per_class: bool,
    ignore_index: int | None,
    num_classes: int,
    name: str,
    as_bytes: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return the tube and, if `num_classes` is positive, its pixels per image and class."""
    options = keep_components, radius, per_class, ignore_index, num_classes
    if not isinstance(method, str):
        tube, counts = _tubed_skeleton_of_array(labels, axes, method, *options, name)
        return (tube.byte() if as_bytes else tube), counts
    if per_class and num_classes == 0 and labels.is_cuda and labels.element_size() > 1:
        classes, number = number_classes(name, labels, ignore_index)
        tube, _ = _ops.tubed_skeleton(
            classes, axes, method, keep_components, radius, True, None, number, False, name
        )
        return as_integers(labels).masked_fill(tube == 0, 0).view(labels.dtype), None
    tube, counts = _ops.tubed_skeleton(labels, axes, method, *options, as_bytes, name)
    if num_classes == 0:
        return tube, None
    return tube, counts.reshape(*labels.shape[: labels.ndim - axes], num_classes)


@torch.compiler.disable(reason="method is a function of NumPy arrays")
def _tubed_skeleton_of_array(labels: Tensor, *options: Any) -> tuple[Tensor, Tensor | None]:
    # NumPy has no bfloat16; float32 holds its values
    array = (labels.float() if labels.dtype == torch.bfloat16 else labels).cpu().numpy()
    tube, counts = _array_door.tubed_skeleton(array, *options)
    on_device = None if counts is None else torch.from_numpy(counts).to(labels.device)
    return torch.from_numpy(tube).to(labels), on_device


def as_integers(labels: Tensor) -> Tensor:
    """Return the bits of labels as a dtype that every PyTorch op takes, on CUDA too."""
    size = labels.element_size()
    return labels.view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size])


def number_classes(name: str, labels: Tensor, ignore_index: int | None) -> tuple[Tensor, int]:
    """Return the labels' classes, numbered from 1, and one more than there are; waits for them."""
    distinct, index = torch.unique(as_integers(labels), return_inverse=True)
    values = distinct.view(labels.dtype).tolist()
    if any(value != value for value in values):
        raise ValueError(f"{name} holds nan; allowed: every value but NaN")
    foreground = torch.tensor(
        [value not in (0, ignore_index) for value in values], dtype=torch.bool
    )
    numbers = (foreground.cumsum(0) * foreground).to(labels.device, torch.int32)
    return numbers[index], max(2, int(foreground.sum()) + 1)


def fit_bytes(num_classes: int) -> bool:
    """Return whether classes are uint8 in the loss, else int32: `wide_classes` of csrc."""
    return num_classes <= 256


def srl_classes(
    tube: Tensor, target: Tensor, ignore_index: int | None, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Return the classes of a (maps, pixels) tube as the loss wants them, and their counts."""
    return _ops.srl_classes(tube, target, ignore_index, num_classes)


def srl_loss(
    logits: Tensor,
    classes: Tensor,
    counts: Tensor,
    softmax: bool,
    all_classes: bool,
    batch: bool,
    smooth: float,
) -> Tensor:
    """Skeleton recall loss of (samples, channels, pixels) logits; see `tubeskel.srl_loss`."""
    # Elsewhere the backward pass cannot look whether it is asked for the loss's own gradient.
    can_look = logits.device.type == "cpu" and not torch.compiler.is_compiling()
    with_grad = can_look and logits.requires_grad and torch.is_grad_enabled()
    loss, _, _ = _ops.srl_loss(
        logits, classes, counts, softmax, all_classes, batch, smooth, with_grad
    )
    return loss


@torch.library.register_fake("tubeskel::pack_bits")
def _(image: Tensor) -> Tensor:
    return image.new_empty((*image.shape[:-1], (image.shape[-1] + 63) // 64), dtype=torch.int64)


@torch.library.register_fake("tubeskel::thin")
def _(image: Tensor, *options: Any) -> Tensor:
    return torch.empty_like(image, dtype=torch.bool)


@torch.library.register_fake("tubeskel::dilate")
def _(image: Tensor, *options: Any) -> Tensor:
    return torch.empty_like(image, dtype=torch.bool)


@torch.library.register_fake("tubeskel::tubed_skeleton")
def _(
    labels: Tensor,
    spatial_dims: int,
    method: str,
    keep_components: bool,
    radius: int,
    per_class: bool,
    ignore_index: int | None,
    num_classes: int,
    as_bytes: bool,
    name: str,
) -> tuple[Tensor, Tensor]:
    images = math.prod(labels.shape[: labels.ndim - spatial_dims])
    tube = torch.empty_like(labels, dtype=torch.uint8 if as_bytes else labels.dtype)
    return tube, labels.new_empty((images, num_classes), dtype=torch.int64)


@torch.library.register_fake("tubeskel::srl_classes")
def _(
    tube: Tensor, target: Tensor, ignore_index: int | None, num_classes: int
) -> tuple[Tensor, Tensor]:
    classes = torch.empty_like(tube, dtype=torch.uint8 if fit_bytes(num_classes) else torch.int32)
    return classes, tube.new_empty((tube.shape[0], num_classes), dtype=torch.int64)


@torch.library.register_fake("tubeskel::srl_loss")
def _(
    logits: Tensor, classes: Tensor, counts: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    real = torch.float64 if logits.dtype == torch.float64 else torch.float32
    with_grad = options[-1]
    grad = torch.empty_like(logits) if with_grad else logits.new_empty(0)
    return logits.new_empty((), dtype=real), grad, torch.empty_like(counts, dtype=torch.float64)


@torch.library.register_fake("tubeskel::srl_gradient")
def _(grad_loss: Tensor, logits: Tensor, *options: Any) -> Tensor:
    return torch.empty_like(logits)


def _save_gradient(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    logits, classes, _, softmax, *_, with_grad = inputs
    _, grad, weights = output
    ctx.mark_non_differentiable(grad, weights)
    ctx.set_materialize_grads(False)  # else zeros for all outputs, one as large as the logits
    ctx.save_for_backward(logits, classes, weights)
    ctx.softmax = softmax
    ctx.made = [grad] if with_grad else []


def refuse_second_derivative(name: str) -> None:
    """Raise RuntimeError in a backward pass that shall itself be differentiated."""
    if torch.is_grad_enabled():
        raise RuntimeError(f"{name} has no second derivative; do not pass create_graph=True")


def _pass_gradient_on(ctx: Any, grad_loss: Tensor | None, *unused: Any) -> tuple[Any, ...]:
    none = (None,) * 7
    if grad_loss is None:
        return None, *none
    refuse_second_derivative("srl_loss")
    made = ctx.made.pop() if ctx.made else None
    # A subclass is a tracer, which has no value to look at.
    if made is not None and type(grad_loss) is Tensor and grad_loss.item() == 1:
        return made, *none
    del made
    grad = _ops.srl_gradient(grad_loss, *ctx.saved_tensors, ctx.softmax)
    return grad, *none


torch.library.register_autograd(
    "tubeskel::srl_loss", _pass_gradient_on, setup_context=_save_gradient
)
