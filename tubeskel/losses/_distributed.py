"""Sums over the processes of a group, with the derivative that averaging of gradients needs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


class _SumOverProcesses(torch.autograd.Function):
    """Every process makes the same loss of the sum, so the derivative counts them all."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        total = local.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * distributed.get_world_size()


def sum_over_processes(sums: Tensor) -> Tensor:
    """Return the sum over all samples of the default process group, as if they were one sample.

    Where there is one process only, return `sums`.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return sums
    if distributed.get_world_size() == 1:
        return sums
    return _SumOverProcesses.apply(sums.sum(0, keepdim=True))
