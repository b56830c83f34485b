"""What `method=` may be: the name of thinning rules, or a function that makes skeletons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_NAMES = ("zhang", "lee")
Skeletonizer = Callable[[np.ndarray], np.ndarray]


def as_method(method: Any) -> str | Skeletonizer | None:
    """Return `method` if it is a name, a function or None, else raise ValueError."""
    if method is None or callable(method) or (isinstance(method, str) and method in _NAMES):
        return method
    names = ", ".join(map(repr, _NAMES))
    raise ValueError(f"method must be one of {names} or a function, got {method!r}")


def method_for(method: Any, axes: int) -> str | Skeletonizer:
    """Return the method for images of so many axes, with scikit-image's defaults and errors."""
    method = as_method(method)
    if method is None:
        return "zhang" if axes == 2 else "lee"
    if axes == 3 and method == "zhang":
        raise ValueError("method 'zhang' only works for 2D images")
    return method


def skeletons_by(
    method: Skeletonizer,
    labels: np.ndarray,
    axes: int,
    per_class: bool,
    ignore_index: int | None,
) -> np.ndarray:
    """Return the skeletons of all images as bools of the shape of `labels`.

    Those of several classes fit into one array, as each lies in its class.
    """
    skeletons = np.zeros(labels.shape, dtype=bool)
    for index in np.ndindex(labels.shape[: labels.ndim - axes]):
        image = labels[index]
        foreground = (image != 0) & (image != ignore_index)
        classes = np.unique(image[foreground]) if per_class else [None]
        for label in classes:
            mask = foreground if label is None else image == label
            if mask.any():
                skeletons[index] |= _checked(method(mask.copy()), mask)
    return skeletons


def _checked(skeleton: Any, mask: np.ndarray) -> np.ndarray:
    if not isinstance(skeleton, np.ndarray):
        raise TypeError(f"method must return a NumPy array, got {type(skeleton).__name__}")
    if skeleton.dtype.kind not in "biu":
        raise TypeError(f"method must return bools or integers, got dtype {skeleton.dtype}")
    if skeleton.shape != mask.shape:
        raise ValueError(
            f"method must return an array of the mask's shape {mask.shape}, got {skeleton.shape}"
        )
    skeleton = skeleton != 0
    outside = np.count_nonzero(skeleton & ~mask)
    if outside:
        raise ValueError(f"method must return pixels of the mask only, got {outside} outside it")
    return skeleton
