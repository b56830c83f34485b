"""The README's picture: mask, skeleton and tube of a generated tree, and the speed measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tubeskel
from benchmarks.report import Report, Row
from benchmarks.timing import Time
from benchmarks.trees import vessel_tree

# Okabe and Ito's palette, which colour-blind readers can tell apart
PAPER, VESSEL, BLUE, ORANGE, GREEN = "#ffffff", "#d9d9d9", "#0072B2", "#E69F00", "#009E73"
OPERATION = "skeletonize"
# the part of a large tree where vessels are wide enough to show their skeleton and tube
WINDOW = (slice(330, 530), slice(20, 220))


def draw(report: Report, out: Path) -> None:
    """Draw the picture.

    Parameters
    ----------
    report : Report
        Must hold the operation ``skeletonize``.
    out : Path
        File to write; the suffix chooses the format.

    Raises
    ------
    ValueError
        A report without ``skeletonize``.
    """
    rows = [row for row in report.rows if row.operation == OPERATION]
    if not rows:
        found = ", ".join(report.operations())
        raise ValueError(f"the figure needs {OPERATION}, which `thin` measures; got {found}")

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    mask = vessel_tree(800, seed=0)[WINDOW]
    skeleton = tubeskel.skeletonize(mask)
    tube = tubeskel.tubed_skeleton(mask.astype(np.uint8)) > 0
    figure, axes = pyplot.subplots(
        1, 4, figsize=(13, 3.5), width_ratios=(1, 1, 1, 1.5), layout="constrained"
    )
    for axis, title, layers in (
        (axes[0], "mask", ((mask, "#333333"),)),
        (axes[1], "skeleton", ((mask, VESSEL), (skeleton, BLUE))),
        (axes[2], "tube (radius 2)", ((mask, VESSEL), (tube, ORANGE), (skeleton, BLUE))),
    ):
        axis.imshow(_paint(mask.shape, layers), interpolation="nearest")
        axis.set(title=title, xticks=[], yticks=[])
        axis.spines[:].set_color(VESSEL)
    _bars(axes[3], rows, report.threads)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)
    pyplot.close(figure)


def _paint(
    shape: tuple[int, ...], layers: tuple[tuple[NDArray[np.bool_], str], ...]
) -> NDArray[np.float64]:
    from matplotlib.colors import to_rgb

    image = np.tile(to_rgb(PAPER), (*shape, 1))
    for where, colour in layers:
        image[where] = to_rgb(colour)
    return image


def _bars(axis: Any, rows: list[Row], threads: int) -> None:
    """Draw Mpixel/s of every side as grouped bars, the copy of the mask as a mark above them."""
    peers = list(dict.fromkeys(peer.name for row in rows for peer in row.peers))
    sides = ["tubeskel", *peers]
    height = 0.8 / len(sides)
    for index, (side, colour) in enumerate(zip(sides, (BLUE, ORANGE, GREEN), strict=False)):
        times = [_times(row).get(side) for row in rows]
        speeds = [
            row.pixels / time.median / 1e6 if time else np.nan
            for row, time in zip(rows, times, strict=True)
        ]
        places = np.arange(len(rows)) + (index - (len(sides) - 1) / 2) * height
        axis.barh(places, speeds, height, color=colour, label=side)
    copies = [row.pixels / row.copy.median / 1e6 for row in rows]
    axis.scatter(copies, range(len(rows)), marker="|", s=90, color="black", label="mask copy")
    slowest = min(row.pixels / time.median for row in rows for time in _times(row).values()) / 1e6
    axis.set(xscale="log", xlim=(10 ** np.floor(np.log10(slowest)), None))
    axis.set(title=f"{OPERATION}, Mpixel/s, {threads} thread{'s' if threads > 1 else ''}")
    axis.set_yticks(range(len(rows)), [row.case for row in rows])
    axis.invert_yaxis()
    axis.tick_params(length=0, labelsize=8)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.grid(axis="x", color=VESSEL, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=4)


def _times(row: Row) -> dict[str, Time]:
    return {"tubeskel": row.ours, **{peer.name: peer.time for peer in row.peers}}
