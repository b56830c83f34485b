"""Inputs of every kind, arrays and tensors on each device, and results of any kind compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
KINDS = ["array", *DEVICES]


def maker_of(kind: str) -> Callable[[np.ndarray], Any]:
    """A function that takes an array and returns it as an input of this kind."""
    if kind == "array":
        return np.asarray
    import torch

    return lambda array: torch.from_numpy(array).to(kind)


def here(tensor: Any) -> Any:
    """A tensor made on the CPU, on the device of the test; a leaf of the graph again."""
    import torch

    moved = tensor.detach().to(torch.get_default_device())
    return moved.requires_grad_(tensor.requires_grad)


def as_array(result: Any) -> np.ndarray:
    """A result of any kind as an array; NumPy has no bfloat16, float64 holds its values."""
    if isinstance(result, np.ndarray):
        return result
    result = result.detach().cpu()
    return (result.double() if result.is_floating_point() else result).numpy()


def same(result: Any, expected: Any) -> bool:
    """Whether two results, of any kind, hold the same values."""
    return np.array_equal(as_array(result), as_array(expected))
