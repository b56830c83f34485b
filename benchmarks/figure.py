"""The README's picture: mask, skeleton and tube of a generated tree, and the speed measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tubeskel
from benchmarks.plots import BLUE, ORANGE, bars
from benchmarks.report import Report
from benchmarks.trees import vessel_tree

PAPER, VESSEL = "#ffffff", "#d9d9d9"
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
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    bars(axes[3], f"{OPERATION}, {threads}", rows)
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
