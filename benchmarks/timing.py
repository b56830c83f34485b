"""How time is taken: all sides in turn, after a warm-up, as medians and quartiles."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Time:
    """Median and quartiles of the runs of one side, in seconds."""

    median: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, samples: list[float]) -> Time:
        """Summarise samples."""
        low, median, high = np.quantile(samples, [0.25, 0.5, 0.75])
        return cls(float(median), float(low), float(high), len(samples))


@dataclass(frozen=True)
class Effort:
    """When a side has been timed often enough.

    After ``runs`` runs that took ``seconds`` together; a fast one after ``most_runs``, a slow one
    after ``slow_runs`` that took ``slow_seconds``; one whose warm-up takes more than ``once``
    seconds is not run again, one that is expected to take more than ``patience`` not at all.
    """

    runs: int = 7
    seconds: float = 1.0
    slow_runs: int = 3
    slow_seconds: float = 3.0
    once: float = 8.0
    most_runs: int = 500
    patience: float = 120.0

    def satisfied(self, samples: list[float]) -> bool:
        """Whether these runs are enough."""
        spent = sum(samples)
        if len(samples) == 1 and spent > self.once:
            return True
        enough = len(samples) >= self.runs and spent >= self.seconds
        enough |= len(samples) >= self.most_runs
        return enough or (len(samples) >= self.slow_runs and spent >= self.slow_seconds)


THOROUGH = Effort()
QUICK = Effort(runs=3, seconds=0.0, slow_runs=1, slow_seconds=1.0, once=2.0)

# a fast side runs several times in its turn, up to this many seconds and runs
TURN_SECONDS, TURN_RUNS = 0.02, 10


def settle_heap() -> None:
    """Bring glibc's allocator to the state of a process that has run for a while.

    It hands blocks back to the system until a large one has been freed once, then keeps them.
    Without this the first cases pay for page faults that later ones do not, on every side.
    """
    np.empty(30 * 2**20, np.uint8)


def in_turn(
    sides: dict[str, Callable[[], Any]],
    effort: Effort,
    check: Callable[[str, Any], None] = lambda side, result: None,
) -> dict[str, Time]:
    """Time several sides in turn, so that drift and neighbours meet all of them alike.

    Parameters
    ----------
    sides : dict of str to callable
        The first is ours: it runs in every round, as long as any other side does.
    effort : Effort
        When a side is done.
    check : callable, optional
        Gets the side and the result of each of its runs, off the clock; raises if it is wrong.

    Returns
    -------
    dict of str to Time
    """
    ours = next(iter(sides))
    samples: dict[str, list[float]] = {}
    turns: dict[str, int] = {}
    for side, call in sides.items():
        warm_up = _run(side, call, check)
        turns[side] = int(np.clip(TURN_SECONDS / max(warm_up, 1e-9), 1, TURN_RUNS))
        samples[side] = [warm_up] if warm_up > effort.once and side != ours else []
    while pending := [side for side in sides if not effort.satisfied(samples[side])]:
        for side in dict.fromkeys([ours, *pending]):
            samples[side] += [_run(side, sides[side], check) for _ in range(turns[side])]
    return {side: Time.of(values) for side, values in samples.items()}


def _run(side: str, call: Callable[[], Any], check: Callable[[str, Any], None]) -> float:
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    check(side, result)
    return seconds
