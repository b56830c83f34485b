"""How time is taken on a GPU, and its two floors: the bandwidth of a copy, the cost of a launch.

*Device* time is that of a captured graph, between events on its stream: what the kernels take when
nothing waits for Python. *Called* time is that of the call as a program makes it, many in a row,
with the overhead of Python and PyTorch where that is longer. Inputs rotate through more memory than
the second-level cache holds, so that each call finds its input in main memory.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import Unavailable
from benchmarks.timing import Time

SAMPLES = 30
SAMPLE_SECONDS = 5e-4  # replays are timed together until they take this long: events are coarse
HEAD_START = 20_000_000  # cycles that the device sleeps while replays are queued
MOST_COPIES = 128


@dataclass(frozen=True)
class Floors:
    """What no kernel can beat."""

    copy_bandwidth: float
    """Bytes a second, read and written, of copying a large tensor."""
    launch_in_graph: float
    """Seconds for one more tiny kernel in a graph."""
    launch_from_python: float
    """Seconds for one more tiny PyTorch op in a row of them."""


def require_gpu() -> Any:
    """Return torch where it has a CUDA device, else raise `Unavailable`."""
    try:
        import torch
    except ImportError:
        raise Unavailable("PyTorch is not installed") from None
    if not torch.version.cuda:
        raise Unavailable(f"PyTorch {torch.__version__} is built without CUDA")
    if not torch.cuda.is_available():
        raise Unavailable("no CUDA device: torch.cuda.is_available() is False")
    return torch


def describe() -> dict[str, Any]:
    """Return what a reader of the numbers needs to know of the GPU."""
    torch = require_gpu()
    device = torch.cuda.get_device_properties(0)
    return {
        "name": device.name,
        "capability": f"{device.major}.{device.minor}",
        "multiprocessors": device.multi_processor_count,
        "l2_bytes": device.L2_cache_size,
        "memory_bytes": device.total_memory,
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
    }


def copies_for(size: int) -> int:
    """Return how many inputs of `size` bytes it takes to overflow the second-level cache twice."""
    l2 = require_gpu().cuda.get_device_properties(0).L2_cache_size
    return max(2, min(MOST_COPIES, -(-2 * l2 // max(size, 1))))


def capture(call: Callable[[], Any]) -> Any:
    """Return a graph of `call`, whose results live as long as the graph does."""
    torch = require_gpu()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        call()  # loads kernels, which a capture may not
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        graph.results = call()
    return graph


def device_time(calls: Sequence[Callable[[], Any]]) -> Time:
    """Time graphs of the calls, replayed in turn; a sample is the mean of a few replays."""
    torch = require_gpu()
    graphs = [capture(call) for call in calls]
    turns = itertools.cycle(graphs)

    def samples(number: int, replays: int) -> list[float]:
        events = [torch.cuda.Event(enable_timing=True) for _ in range(number + 1)]
        torch.cuda._sleep(HEAD_START)
        events[0].record()
        for event in events[1:]:
            for _ in range(replays):
                next(turns).replay()
            event.record()
        torch.cuda.synchronize()
        pairs = itertools.pairwise(events)
        return [start.elapsed_time(end) / 1e3 / replays for start, end in pairs]

    samples(2, len(graphs))  # warm-up
    estimate = Time.of(samples(5, 1)).median
    return Time.of(samples(SAMPLES, max(1, round(SAMPLE_SECONDS / max(estimate, 1e-6)))))


def called_time(calls: Sequence[Callable[[], Any]]) -> Time:
    """Time the calls as Python makes them, in turn; a sample is the mean of a few in a row."""
    torch = require_gpu()
    turns = itertools.cycle(calls)

    def sample(number: int) -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(number):
            next(turns)()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / number

    estimate = min(sample(2) for _ in range(3))
    number = max(2, min(50, round(5e-3 / estimate)))
    return Time.of([sample(number) for _ in range(SAMPLES)])


def measure_floors() -> Floors:
    """Measure what no kernel can beat."""
    torch = require_gpu()
    size = min(2**30, torch.cuda.mem_get_info()[0] // 4)
    source = torch.ones(size, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    bandwidth = 2 * size / device_time([lambda: target.copy_(source)]).median
    one = torch.zeros(1, device="cuda")

    def tiny(number: int) -> Callable[[], None]:
        def call() -> None:
            for _ in range(number):
                one.add_(1)

        return call

    few, many = (device_time([tiny(number)]).median for number in (20, 120))
    called = called_time([tiny(100)]).median / 100
    return Floors(bandwidth, (many - few) / 100, called)
