"""What all losses take: checks of logits and labels, their flat shapes, tubes made in the call."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .. import _torch_ops
from .._arguments import as_choice, as_flag, as_integer
from .._methods import Skeletonizer, as_method
from ..morphology import _tube


def check_logits(logits: Any, activation: str) -> None:
    if not isinstance(logits, Tensor):
        raise TypeError(f"logits must be a torch.Tensor, got {type(logits).__name__}")
    if logits.dtype not in _torch_ops.FLOAT_DTYPES:
        raise TypeError(f"logits must be floats, got {logits.dtype}")
    _torch_ops.require_dense("logits", logits)
    if logits.ndim < 3:
        raise ValueError(f"logits must have shape (B, C, *S), got {tuple(logits.shape)}")
    if not torch.compiler.is_compiling() and forward_ad.unpack_dual(logits).tangent is not None:
        raise RuntimeError("logits carry a tangent, but losses have no forward-mode derivative")
    as_choice("activation", activation, ("softmax", "sigmoid"))
    if activation == "softmax" and logits.shape[1] < 2:
        raise ValueError(
            f"logits must have at least 2 channels for activation 'softmax', got "
            f"{logits.shape[1]}; for one channel use activation='sigmoid'"
        )


def as_labels(name: str, labels: Any, logits: Tensor, softmax: bool) -> Tensor:
    """Return label maps that fit the logits: (B, *S), or (B, C, *S) for a sigmoid."""
    if not isinstance(labels, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(labels).__name__}")
    if labels.dtype not in _torch_ops.LABEL_DTYPES:
        raise ValueError(f"{name} must hold integers or bools, got {labels.dtype}")
    _torch_ops.require_dense(name, labels)
    if labels.device != logits.device:
        raise ValueError(
            f"{name} must be on the device of the logits, {logits.device}, got {labels.device}"
        )
    samples, channels, *spatial = logits.shape
    single = softmax or channels == 1
    shape = (samples, *spatial) if softmax else (samples, channels, *spatial)
    allowed = [(samples, *spatial), (samples, 1, *spatial)] if single else [shape]
    if tuple(labels.shape) not in allowed:
        raise ValueError(
            f"{name} must have shape {' or '.join(map(str, allowed))} for logits of shape "
            f"{tuple(logits.shape)}, got {tuple(labels.shape)}"
        )
    return labels.detach().contiguous().reshape(shape)


class Flat:
    """Shapes as the ops want them: (samples, channels, pixels) logits, (maps, pixels) labels.

    With a softmax a sample has one map of labels, with a sigmoid one for each channel.
    """

    def __init__(self, logits: Tensor, softmax: bool) -> None:
        samples, channels, *self.spatial = logits.shape
        self.pixels = math.prod(self.spatial)
        self.num_maps = samples if softmax else samples * channels
        self.num_classes = channels if softmax else 2
        self.logits = logits.contiguous().reshape(samples, channels, self.pixels)

    def maps(self, labels: Tensor) -> Tensor:
        """Return (maps, pixels) labels."""
        return labels.reshape(self.num_maps, self.pixels)


def make_tube(
    target: Tensor,
    flat: Flat,
    radius: int,
    method: str | Skeletonizer | None,
    per_class: bool,
    ignore_index: int | None,
) -> tuple[Tensor, Tensor]:
    """Return the tube of checked labels, (maps, pixels), and its pixels of each class."""
    axes = len(flat.spatial)
    if axes not in (2, 3):
        raise ValueError(
            f"tube must be given for logits with {axes} spatial axes; it is made here for 2 and 3"
        )
    as_bytes = _torch_ops.fit_bytes(flat.num_classes)
    tube, counts = _tube(
        target,
        radius,
        method,
        per_class,
        ignore_index,
        True,  # no object leaves the loss
        axes,
        flat.num_classes,
        "target",
        as_bytes=as_bytes,
    )
    return flat.maps(tube if as_bytes else tube.int()), counts


def check_tube_options(radius: int, method: str | Skeletonizer | None, per_class: bool) -> None:
    """Check what `make_tube` is given, where a tube is there already."""
    as_integer("radius", radius, minimum=0)
    as_method(method)
    as_flag("per_class", per_class)
