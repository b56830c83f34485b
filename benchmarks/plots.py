"""A run as a picture: bars of every side's speed, and curves of how our time grows."""

from __future__ import annotations

from itertools import cycle, groupby
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Growth, Report, Row
from benchmarks.tables import speed_unit

COLUMNS = 3
# Okabe and Ito's, which colour-blind readers can tell apart
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")
BLUE, ORANGE = PALETTE[:2]
GRID = "#d9d9d9"


def draw(report: Report, out: Path) -> None:
    """Draw a panel for each operation and for each quantity that time was measured against.

    Parameters
    ----------
    report : Report
        With a row or a series at least.
    out : Path
        File to write; the suffix chooses the format.

    Raises
    ------
    ValueError
        An empty report, or a suffix that matplotlib does not know.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    growth = sorted(report.growth, key=lambda found: found.quantity)
    curves = [(name, list(found)) for name, found in groupby(growth, lambda g: g.quantity)]
    operations = report.operations()
    panels = len(operations) + len(curves)
    if not panels:
        raise ValueError("nothing was measured that could be drawn")
    columns = min(COLUMNS, panels)
    lines = -(-panels // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(6 * columns, 4.5 * lines), layout="constrained", squeeze=False
    )
    for axis, operation in zip(axes.flat, operations, strict=False):
        bars(axis, operation, [row for row in report.rows if row.operation == operation])
    for axis, (quantity, found) in zip(axes.flat[len(operations) :], curves, strict=False):
        _curves(axis, quantity, found)
    for axis in axes.flat[panels:]:
        axis.set_axis_off()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    pyplot.close(figure)


def bars(axis: Any, title: str, rows: list[Row]) -> None:
    """Draw the speed of every side as grouped bars, that of copying the input as a mark."""
    sides = ["tubeskel", *dict.fromkeys(peer.name for row in rows for peer in row.peers)]
    height = 0.8 / len(sides)
    times = [{"tubeskel": row.ours, **{p.name: p.time for p in row.peers}} for row in rows]
    for index, (side, colour) in enumerate(zip(sides, cycle(PALETTE))):
        speeds = [
            row.pixels / found[side].median / 1e6 if side in found else np.nan
            for row, found in zip(rows, times, strict=True)
        ]
        places = np.arange(len(rows)) + (index - (len(sides) - 1) / 2) * height
        axis.barh(places, speeds, height, color=colour, label=side)
    copies = [row.pixels / row.copy.median / 1e6 for row in rows]
    axis.scatter(copies, range(len(rows)), marker="|", s=90, color="black", label="copy")
    slowest = min(
        row.pixels / time.median / 1e6
        for row, found in zip(rows, times, strict=True)
        for time in found.values()
    )
    axis.set(xscale="log", xlim=(10 ** np.floor(np.log10(slowest)), None))
    axis.set(title=f"{title}, {speed_unit(rows[0].operation)}")
    axis.set_yticks(range(len(rows)), [row.case for row in rows])
    axis.invert_yaxis()
    axis.tick_params(length=0, labelsize=8)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.grid(axis="x", color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=4)


def _curves(axis: Any, quantity: str, series: list[Growth]) -> None:
    for found in series:
        seconds = [time.median for time in found.times]
        label = f"{found.operation}: {found.exponent:.2f}"
        axis.plot(found.values, seconds, marker="o", label=label)
    axis.set(xscale="log", yscale="log", title=f"with {quantity}", xlabel=quantity, ylabel="s")
    axis.legend(fontsize=8, frameon=False, title="exponent", title_fontsize=8)
