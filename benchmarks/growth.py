"""How our time grows: with pixels, foreground, tube width, batch and threads.

All points of a series are timed in turn. The exponent is the slope of a straight line through the
logarithms, with its standard error: 1 is proportional, for threads -1 is a perfect split.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tubeskel
from benchmarks import cases
from benchmarks.operations import srl_loss_and_gradient
from benchmarks.report import Growth
from benchmarks.timing import QUICK, THOROUGH, Time, in_turn, settle_heap
from benchmarks.trees import diagonal_bars, vessel_tree, vessel_tubes


@dataclass(frozen=True)
class Series:
    """Inputs of an operation that differ in one quantity.

    ``make`` gets a value of ``values`` and returns the input and the quantity itself, which the
    fit uses; ``in_threads`` says that the value is the number of threads.
    """

    operation: str
    quantity: str
    values: tuple[int, ...]
    make: Callable[[int], tuple[Any, float]]
    in_threads: bool = False


# ---- inputs


def _pixels(make: Callable[[int], Any], size: int) -> tuple[Any, float]:
    mask = make(size)
    return mask[None], mask.size


def _foreground(dims: int, size: int, width: int, number: int) -> tuple[Any, float]:
    mask = diagonal_bars(size, dims, width=width, number=number)
    return mask[None], int(mask.sum())


def _width(dims: int, size: int, width: int) -> tuple[Any, float]:
    """Return bars of this width, as many as make a quarter of each side foreground."""
    return diagonal_bars(size, dims, width=width, number=size // (4 * width))[None], width


def _batch(make: Callable[[int], Any], size: int, number: int) -> tuple[Any, float]:
    return np.stack([make(size)] * number), number


def _threads(make: Callable[[int], Any], size: int, number: int, threads: int) -> tuple[Any, float]:
    return _batch(make, size, number)[0], threads


def _loss(case: Callable[[int], list[Any]], value: int) -> tuple[Any, float]:
    """Return an input of the loss and how many pixels it has, of all samples."""
    (item,) = case(value)
    return item, item.target.numel()


def _loss_batch(number: int) -> tuple[Any, float]:
    return cases._loss_2d(number, 256)[0], number


def _loss_foreground(number: int) -> tuple[Any, float]:
    """Return two images with this many bars, which are their own tubes."""
    mask = diagonal_bars(512, 2, width=4, number=number)
    target = np.stack([mask, mask]).astype(np.int16)
    (item,) = cases._loss_input(target, target, 2)
    return item, int(target.sum())


def _loss_threads(threads: int) -> tuple[Any, float]:
    return cases._loss_2d(8, 256)[0], threads


# ---- series


def _thread_counts() -> tuple[int, ...]:
    cores = os.cpu_count() or 1
    return tuple(n for n in (1, 2, 4, 8, 16, 32, 64) if n <= cores)


def series() -> Iterator[Series]:
    """Give all series; their values rise, and the first two are light."""
    counts = _thread_counts()
    for operation in ("skeletonize", "thin", "tubed_skeleton"):
        image = partial(vessel_tree, seed=0)
        yield Series(operation, "pixels", (256, 512, 1024, 2048, 4096), partial(_pixels, image))
        yield Series(
            operation, "foreground", (8, 16, 32, 64, 128), partial(_foreground, 2, 1024, 4)
        )
        yield Series(
            operation, "tube width", (4, 8, 16, 32, 64, 128, 256), partial(_width, 2, 1024)
        )
        yield Series(operation, "batch", (1, 2, 4, 8, 16), partial(_batch, image, 512))
        yield Series(operation, "threads", counts, partial(_threads, image, 512, 16), True)
    for operation in ("skeletonize_3d", "tubed_skeleton_3d"):
        yield Series(operation, "pixels", (32, 64, 128, 256), partial(_pixels, vessel_tubes))
        yield Series(operation, "foreground", (4, 8, 16, 32), partial(_foreground, 3, 128, 3))
        yield Series(operation, "tube width", (2, 4, 8, 16, 32), partial(_width, 3, 128))
        yield Series(operation, "batch", (1, 2, 4, 8), partial(_batch, vessel_tubes, 64))
        yield Series(operation, "threads", counts, partial(_threads, vessel_tubes, 64, 8), True)
    loss = partial(cases._loss_2d, 2)
    yield Series("srl_loss", "pixels", (64, 128, 256, 512, 1024), partial(_loss, loss))
    yield Series("srl_loss", "foreground", (4, 8, 16, 32, 64), _loss_foreground)
    yield Series("srl_loss", "batch", (1, 2, 4, 8, 16), _loss_batch)
    yield Series("srl_loss", "threads", counts, _loss_threads, True)


CALLS: dict[str, Callable[[Any], Any]] = {
    "skeletonize": lambda masks: tubeskel.skeletonize(masks, spatial_dims=2),
    "thin": lambda masks: tubeskel.thin(masks, spatial_dims=2),
    "tubed_skeleton": lambda masks: tubeskel.tubed_skeleton(masks.view(np.uint8), spatial_dims=2),
    "skeletonize_3d": lambda masks: tubeskel.skeletonize(masks, spatial_dims=3),
    "tubed_skeleton_3d": lambda masks: tubeskel.tubed_skeleton(
        masks.view(np.uint8), spatial_dims=3
    ),
    "srl_loss": srl_loss_and_gradient,
}


# ---- the run


def run(
    *,
    quick: bool = False,
    threads: int = 1,
    dims: int | None = None,
    tell: Callable[[str], None] = lambda message: None,
) -> list[Growth]:
    """Time all series.

    Parameters
    ----------
    quick : bool
        Two values a series and few repeats.
    threads : int
        Of all series but those of threads.
    dims : int, optional
        Only operations on images (2) or on volumes (3).
    tell : callable, optional
        Gets a line about what is being done.

    Returns
    -------
    list of Growth
        Without series that have one value only, such as threads where there is one core.
    """
    settle_heap()
    found = []
    for one in series():
        values = one.values[: 2 if quick else None]
        if len(values) > 1 and dims in (None, _dims(one.operation)):
            tell(f"growth of {one.operation} with {one.quantity}")
            found.append(_measure(one, values, quick, threads))
    return found


def fit(values: list[float], times: list[float]) -> tuple[float, float]:
    """Return the exponent of a power law through points, and its standard error."""
    x, y = np.log(values), np.log(times)
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    freedom = len(values) - 2
    error = float(np.sqrt(residual @ residual / max(freedom, 1) / (x @ x))) if freedom else 0.0
    return slope, error


def _measure(one: Series, values: tuple[int, ...], quick: bool, threads: int) -> Growth:
    call = CALLS[one.operation]
    made = {value: one.make(value) for value in values}

    def side(value: int) -> Callable[[], Any]:
        item = made[value][0]

        def run_once() -> Any:
            tubeskel.set_num_threads(value if one.in_threads else threads)
            return call(item)

        return run_once

    found = in_turn({str(value): side(value) for value in values}, QUICK if quick else THOROUGH)
    tubeskel.set_num_threads(threads)
    times: list[Time] = [found[str(value)] for value in values]
    quantities = [float(made[value][1]) for value in values]
    exponent, error = fit(quantities, [time.median for time in times])
    return Growth(one.operation, one.quantity, quantities, times, exponent, error)


def _dims(operation: str) -> int | None:
    return None if operation == "srl_loss" else 3 if operation.endswith("_3d") else 2
