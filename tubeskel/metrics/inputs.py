"""Argument checks shared by all scores: what comes in, as batches of NumPy arrays."""

from __future__ import annotations

import operator
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """A prediction and its target, nothing outside the field of view.

    ``prediction`` and ``target`` have shape (N, *S); ``area`` (N,) counts the pixels inside the
    field of view; ``batch`` is the shape that the N scores take.
    """

    prediction: Mask
    target: Mask
    area: NDArray[np.int64]
    batch: tuple[int, ...]

    def shaped(self, scores: NDArray[Any]) -> Any:
        """Return scores (N, ...) in the batch's shape; a plain number for a single image."""
        shape = self.batch + scores.shape[1:]
        return scores.reshape(shape) if shape else scores[0].item()


def count(masks: Mask) -> NDArray[np.int64]:
    """Count the nonzero pixels of each image of a batch (N, *S) -> (N,)."""
    # count_nonzero of a whole mask is an order faster than with an axis
    return np.array([np.count_nonzero(mask) for mask in masks], dtype=np.int64)


def as_pair(
    prediction: object,
    target: object,
    field_of_view: object | None,
    spatial_dims: int | None,
    *,
    allowed_dims: tuple[int, ...] | None = None,
) -> Pair:
    """Check two masks and fold their leading axes into one batch axis."""
    masks = as_mask(prediction, "prediction"), as_mask(target, "target")
    check_same_shape(*masks)
    dims = check_spatial_dims(masks[0], spatial_dims, allowed_dims)
    predicted, wanted = (fold(mask, dims) for mask in masks)
    region = as_region(field_of_view, masks[0].shape, dims)
    return restrict(predicted, wanted, region, masks[0].shape[: masks[0].ndim - dims])


def restrict(prediction: Mask, target: Mask, region: Mask | None, batch: tuple[int, ...]) -> Pair:
    """Clear what lies outside the field of view, and count what lies inside."""
    if region is None:
        area = np.full(len(target), np.prod(target.shape[1:], dtype=np.int64))
        return Pair(prediction, target, area, batch)
    return Pair(prediction & region, target & region, count(region), batch)


def fold(array: NDArray[Any], dims: int) -> NDArray[Any]:
    """Fold all axes but the last ``dims`` into one: (*B, *S) -> (N, *S)."""
    batch = array.shape[: array.ndim - dims]
    return array.reshape((int(np.prod(batch)), *array.shape[array.ndim - dims :]))


def as_mask(array: object, name: str) -> Mask:
    """Return nonzero = True of a bool, integer or float array; NaN is refused."""
    values = _as_numpy(array)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be bool, integer or float, got {values.dtype}")
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ValueError(f"{name} holds NaN; a mask is zero or nonzero")
    return values if values.dtype == bool else values != 0


def as_labels(array: object, name: str, num_classes: int) -> NDArray[Any]:
    """Return an integer label map whose values lie in 0..num_classes-1."""
    labels = _as_numpy(array)
    if labels.dtype.kind not in "biu":
        raise TypeError(f"{name} must hold integer labels, got {labels.dtype}")
    extremes = (int(labels.min()), int(labels.max())) if labels.size else ()
    for value in extremes:
        if not 0 <= value < num_classes:
            raise ValueError(
                f"{name} holds the label {value}; "
                f"allowed with num_classes={num_classes} are 0..{num_classes - 1}"
            )
    return labels


def as_region(field_of_view: object | None, shape: tuple[int, ...], dims: int) -> Mask | None:
    """Return the field of view as (N, *S), one for each image, or None."""
    if field_of_view is None:
        return None
    region = as_mask(field_of_view, "field_of_view")
    spatial = shape[len(shape) - dims :]
    if region.shape not in (shape, spatial):
        allowed = " or ".join(str(s) for s in dict.fromkeys((shape, spatial)))
        raise ValueError(f"field_of_view has shape {region.shape}; allowed: {allowed}")
    return fold(np.broadcast_to(region, shape), dims)


def check_same_shape(prediction: NDArray[Any], target: NDArray[Any]) -> None:
    """Refuse masks of different shapes."""
    if prediction.shape != target.shape:
        raise ValueError(
            "prediction and target must have the same shape, "
            f"got {prediction.shape} and {target.shape}"
        )


def check_spatial_dims(
    array: NDArray[Any], spatial_dims: int | None, allowed: tuple[int, ...] | None
) -> int:
    """Return how many trailing axes are spatial."""
    if spatial_dims is None:
        dims, name, hint = array.ndim, "the number of axes", "; name a batch with spatial_dims"
    else:
        dims, name, hint = as_integer(spatial_dims, "spatial_dims"), "spatial_dims", ""
    if allowed is not None and dims not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(str, allowed))}, got {dims}{hint}")
    if not 1 <= dims <= array.ndim:
        raise ValueError(f"{name} must lie in 1..{array.ndim} for shape {array.shape}, got {dims}")
    return dims


def as_integer(value: object, name: str) -> int:
    """Return an int; floats are refused, NumPy integers are not."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def _as_numpy(array: Any) -> NDArray[Any]:
    # neither is imported until somebody has one
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    if torch is not None and isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        if array.dtype == torch.bfloat16:  # NumPy has none; float32 holds its values
            array = array.float()
        array = array.numpy()
    elif cupy is not None and isinstance(array, cupy.ndarray):
        array = array.get()
    return np.asarray(array)
