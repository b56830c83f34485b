"""The NumPy door: arrays as the compiled module wants them, and its results in their shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _array
from ._methods import Skeletonizer, skeletons_by
from ._threads import get_num_threads

_METHODS = {
    "zhang": _array.Method.zhang,
    "guo_hall": _array.Method.guo_hall,
    "lee": _array.Method.lee,
}
_FOOTPRINTS = {
    "diamond": _array.Footprint.diamond,
    "box": _array.Footprint.box,
    "ball": _array.Footprint.ball,
}
UNTIL_STABLE: int = _array.UNTIL_STABLE


def prepare(name: str, image: Any) -> np.ndarray:
    """Return `image` as an array of bools, integers or floats in native byte order."""
    array = np.asarray(image)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold bools, integers or floats, got dtype {array.dtype}")
    if array.dtype.itemsize > 8:
        raise TypeError(f"{name} must hold floats of at most 64 bits, got dtype {array.dtype}")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)


def is_float(array: np.ndarray) -> bool:
    """Return whether `array` holds floats."""
    return array.dtype.kind == "f"


def _images(array: np.ndarray, axes: int) -> np.ndarray:
    """View a batch of images as (images, planes, rows, columns)."""
    lead, spatial = array.shape[: array.ndim - axes], array.shape[array.ndim - axes :]
    return array.reshape(math.prod(lead), *(1,) * (3 - axes), *spatial)


def thin(
    image: np.ndarray, axes: int, method: str, max_iterations: int, keep_components: bool
) -> np.ndarray:
    """Thin the last `axes` axes."""
    out = _array.thin(
        _images(image, axes), _METHODS[method], max_iterations, keep_components, get_num_threads()
    )
    return out.reshape(image.shape)


def dilate(
    image: np.ndarray,
    axes: int,
    footprint: str,
    radius: float,
    spacing: tuple[float, float, float],
) -> np.ndarray:
    """Dilate along the last `axes` axes; `spacing` of planes, rows and columns."""
    flat = axes == 2
    out = _array.dilate(
        _images(image, axes), _FOOTPRINTS[footprint], radius, spacing, flat, get_num_threads()
    )
    return out.reshape(image.shape)


def tubed_skeleton(
    labels: np.ndarray,
    axes: int,
    method: str | Skeletonizer,
    keep_components: bool,
    radius: int,
    per_class: bool,
    ignore_index: int | None,
    num_classes: int,
    name: str,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the tube and, if `num_classes` is positive, its pixels per image and class."""
    skeletons = (
        _METHODS[method]
        if isinstance(method, str)
        else _images(skeletons_by(method, labels, axes, per_class, ignore_index), axes)
    )
    tube, counts = _array.tubed_skeleton(
        _images(labels, axes),
        skeletons,
        keep_components,
        radius,
        axes == 2,
        per_class,
        ignore_index,
        num_classes,
        name,
        get_num_threads(),
    )
    if counts is not None:
        counts = counts.reshape(*labels.shape[: labels.ndim - axes], num_classes)
    return tube.reshape(labels.shape), counts
