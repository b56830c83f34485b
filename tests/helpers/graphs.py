"""CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch


def replayed(
    step: Callable[[], Sequence[torch.Tensor]], change: Callable[[], None]
) -> list[torch.Tensor]:
    """Capture a step in a graph, change its inputs in place, replay it; what it then returns."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    change()
    graph.replay()
    return [tensor.clone() for tensor in captured]
