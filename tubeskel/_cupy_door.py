"""The CuPy door: arrays pass through DLPack, without a copy, to the torch ops and back.

The ops run on CuPy's current stream, so that nobody has to wait for anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cupy
import torch
from torch import Tensor
from torch.utils.dlpack import to_dlpack

from . import _torch_ops
from ._torch_ops import UNTIL_STABLE as UNTIL_STABLE
from ._torch_ops import is_float as is_float

_LEGACY = (0, 1)  # pointers that stand for the null stream


@contextmanager
def _on_current_stream(device: int) -> Iterator[None]:
    """Make CuPy's current stream of a device that of PyTorch."""
    pointer = cupy.cuda.get_current_stream(device).ptr
    # The null stream has no pointer: for 0, ExternalStream draws a stream from PyTorch's own pool.
    stream = (
        torch.cuda.default_stream(device)
        if pointer in _LEGACY
        else torch.cuda.ExternalStream(pointer, device=device)
    )
    with torch.cuda.stream(stream):
        yield


def prepare(name: str, image: Any) -> Tensor:
    """Return `image` as a contiguous tensor of bools, integers or floats on the same device."""
    with _on_current_stream(image.device.id):
        if min(image.strides, default=0) < 0:  # PyTorch has no such strides
            image = cupy.ascontiguousarray(image)
        # DLPack has bools only of late.
        if image.dtype == bool:
            return _torch_ops.prepare(name, torch.from_dlpack(image.view("uint8")).view(torch.bool))
        return _torch_ops.prepare(name, torch.from_dlpack(image))


def _as_array(tensor: Tensor) -> Any:
    if tensor.dtype == torch.bool:
        return _as_array(tensor.view(torch.uint8)).view(bool)
    # A capsule: both sides are on one stream, and PyTorch refuses to name CuPy's stream per thread.
    return cupy.from_dlpack(to_dlpack(tensor))


def thin(image: Tensor, *options: Any) -> Any:
    """Thin as `_torch_ops.thin` does."""
    with _on_current_stream(image.device.index):
        return _as_array(_torch_ops.thin(image, *options))


def dilate(image: Tensor, *options: Any) -> Any:
    """Dilate as `_torch_ops.dilate` does."""
    with _on_current_stream(image.device.index):
        return _as_array(_torch_ops.dilate(image, *options))


def tubed_skeleton(labels: Tensor, *options: Any) -> tuple[Any, Any]:
    """Make tubes as `_torch_ops.tubed_skeleton` does."""
    with _on_current_stream(labels.device.index):
        tube, counts = _torch_ops.tubed_skeleton(labels, *options)
        return _as_array(tube), None if counts is None else _as_array(counts)
