"""Checks of arguments, each rule once; a message names argument, value and what is allowed."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from numbers import Real
from typing import Any


def as_integer(name: str, value: Any, *, minimum: int | None = None) -> int:
    """Return `value` as an int; TypeError if it is none, ValueError if it is below `minimum`."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if minimum is not None and number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    return number


def as_number(
    name: str, value: Any, *, minimum: float = -math.inf, above: float = -math.inf
) -> float:
    """Return `value` as a finite float; TypeError if it is no real number, else ValueError."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    # Comparisons alone: torch.compile follows them with a symbolic number too.
    if not (-math.inf < number < math.inf and number >= minimum and number > above):
        least = f"at least {minimum:g}" if minimum > -math.inf else f"above {above:g}"
        raise ValueError(f"{name} must be a finite float and {least}, got {value}")
    return number


def as_label(name: str, value: Any) -> int | None:
    """Return an optional label; ValueError for one that no signed 64-bit integer holds."""
    label = None if value is None else as_integer(name, value)
    if label is not None and not -(2**63) <= label < 2**63:
        raise ValueError(f"{name} must lie between -2**63 and 2**63 - 1, got {label}")
    return label


def as_choice(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of the strings `allowed`, else raise ValueError."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def as_flag(name: str, value: Any) -> bool:
    """Return `value` if it is a bool, else raise TypeError."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def spatial_axes(name: str, ndim: int, spatial_dims: int | None) -> int:
    """Return how many trailing axes are spatial; all of them if `spatial_dims` is None."""
    if spatial_dims is None:
        if ndim not in (2, 3):
            raise ValueError(
                f"{name} must be 2D or 3D, got {ndim}D; for a batch say spatial_dims=2 or 3"
            )
        return ndim
    if as_integer("spatial_dims", spatial_dims) not in (2, 3):
        raise ValueError(f"spatial_dims must be 2, 3 or None, got {spatial_dims}")
    if ndim < spatial_dims:
        raise ValueError(f"{name} must have at least {spatial_dims} axes, got {ndim}")
    return spatial_dims
