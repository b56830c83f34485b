"""What the steps of a training cost, without what is done beside them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import torch

from experiments.memory import PeakMemory


@dataclass(frozen=True)
class Cost:
    """What the steps of a training took, also before a kill (up to its last checkpoint)."""

    training_seconds: float = 0.0
    peak_memory_bytes: int = 0
    """of the device on a GPU, otherwise of the process"""
    step_seconds: tuple[float, ...] = ()
    """of a step, the mean of each span of steps"""

    @property
    def median_step_seconds(self) -> float | None:
        """Seconds of a step: the median, which a pause of the machine does not change."""
        return median(self.step_seconds) if self.step_seconds else None


class CostMeter:
    """Measures a training from its creation on, but for what runs in `paused`.

    Parameters
    ----------
    device : torch.device
    steps : int, optional
        Steps that were done before.
    before : Cost, optional
        What these took.
    """

    def __init__(self, device: torch.device, steps: int = 0, before: Cost | None = None) -> None:
        before = before or Cost()
        self._device, self._memory = device, PeakMemory(device)
        self._seconds, self._peak = before.training_seconds, before.peak_memory_bytes
        self._spans, self._steps = list(before.step_seconds), steps
        self._span = 0.0
        self._since = self._now()

    @contextmanager
    def paused(self, steps: int | None = None) -> Iterator[None]:
        """Leave out what runs inside; `steps`, if given, are done in all, and a span ends."""
        self._span += self._now() - self._since
        self._peak = max(self._peak, self._memory.read())
        if steps is not None:
            self._seconds += self._span
            self._spans.append(self._span / (steps - self._steps))
            self._steps, self._span = steps, 0.0
        yield
        self._since = self._now()
        self._memory.restart()

    def cost(self) -> Cost:
        """Return the cost up to the end of the last span."""
        return Cost(self._seconds, self._peak, tuple(self._spans))

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # what was launched has run
        return time.monotonic()
