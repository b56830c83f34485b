"""The figures of the report, as PNG. Colours are told apart by colour-blind eyes and in print."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from experiments.data import Sample
from experiments.report.scores import Column
from experiments.statistics import Comparison

# Okabe & Ito 2008; line styles repeat the distinction for print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), "-")
FOUND, MISSED, FALSE = "#BDBDBD", "#D55E00", "#0072B2"
MASK, TUBE = "#BDBDBD", "#009E73"
TERM_NAMES = {"dice": "Dice term", "ce": "cross-entropy term", "srl": "Skeleton Recall term"}
SETTINGS: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
}


def loss_curves(curves: dict[str, dict[str, np.ndarray]]) -> bytes:
    """Draw each term over the iterations, a line for each arm.

    Parameters
    ----------
    curves : dict
        arm -> name -> (jobs, entries), see `read_curves`. Lines are means over the jobs, smoothed;
        bands are the standard deviation between jobs.
    """
    terms = [name for name in TERM_NAMES if name in next(iter(curves.values()))]
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(3.1 * len(terms), 2.8), layout="constrained")
        for axes, term in zip(figure.subplots(1, len(terms), squeeze=False)[0], terms, strict=True):
            for index, (arm, logged) in enumerate(curves.items()):
                x = logged["iteration"][0]
                values = np.array([smooth(job) for job in logged[term]])
                mean, deviation = values.mean(axis=0), values.std(axis=0)
                colour, style = COLOURS[index % 7], STYLES[index % 7]
                axes.plot(x, mean, color=colour, linestyle=style, label=arm)
                if len(values) > 1:
                    low, high = mean - deviation, mean + deviation
                    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.set(title=TERM_NAMES[term], xlabel="iteration")
            axes.set_xlim(0, None)
        figure.legend(
            *axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(curves)
        )
        return png(figure)


def smooth(values: np.ndarray) -> np.ndarray:
    """Return the running mean over up to a tenth of the entries, shorter at the ends."""
    width = max(1, len(values) // 10)
    counts = np.convolve(np.ones(len(values)), np.ones(width), mode="same")
    return np.convolve(values, np.ones(width), mode="same") / counts


def differences(
    columns: Sequence[Column], comparisons: dict[str, dict[str, Comparison]], baseline: str
) -> bytes:
    """Draw the paired differences from the baseline with their intervals (a forest plot).

    Parameters
    ----------
    columns : sequence of Column
    comparisons : dict
        arm -> metric -> Comparison.
    baseline : str
    """
    groups = [[c for c in columns if c.factor == 100], [c for c in columns if c.factor == 1]]
    names = ["percentage points", "count"]
    step = 0.22
    with matplotlib.rc_context(SETTINGS):
        height = 0.9 + 0.3 * len(groups[0]) + 0.25 * len(comparisons)
        figure = Figure(figsize=(9, height), layout="constrained")
        panels = figure.subplots(1, 2, width_ratios=(3, 2))
        for axes, group, name in zip(panels, groups, names, strict=True):
            for index, (arm, by_metric) in enumerate(comparisons.items(), start=1):
                shown = [by_metric[column.metric] for column in group]
                mean = np.array([c.mean for c in shown])
                error = np.array([[c.mean - c.low, c.high - c.mean] for c in shown]).T
                y = np.arange(len(group)) + step * (index - (len(comparisons) + 1) / 2)
                axes.errorbar(
                    mean, y, xerr=np.maximum(error, 0), fmt="os^Dvp*"[index % 7], label=arm,
                    color=COLOURS[index % 7], markersize=4.5, capsize=2.5, linewidth=1.2,
                )  # fmt: skip
            axes.axvline(0, color="#444", linewidth=0.8)
            better = ["higher" if column.more_is_better else "lower" for column in group]
            labels = [f"{c.label} ({b} is better)" for c, b in zip(group, better, strict=True)]
            axes.set_yticks(range(len(group)), labels)
            axes.set_ylim(len(group) - 0.5, -0.5)
            axes.set_xlabel(f"difference from {baseline}, {name}")
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=len(comparisons))
        return png(figure)


def overlays(rows: Sequence[tuple[str, Sample, np.ndarray, dict[str, np.ndarray]]]) -> bytes:
    """Draw example images, a row each: image, truth with tube, and each arm's prediction.

    Parameters
    ----------
    rows : sequence of (title, sample, tube, predictions)
        tube (H, W); predictions: arm -> (H, W) classes.
    """
    arms = list(rows[0][3])
    with matplotlib.rc_context(SETTINGS):
        columns = 2 + len(arms)
        figure = Figure(figsize=(2.4 * columns, 2.65 * len(rows) + 0.4), layout="constrained")
        panels = figure.subplots(len(rows), columns, squeeze=False)
        for line, (title, sample, tube, predictions) in zip(panels, rows, strict=True):
            line[0].imshow(displayable(sample.image))
            line[0].set_title(title, loc="left")
            line[1].imshow(paint(sample.label.shape, [(sample.label > 0, MASK), (tube > 0, TUBE)]))
            line[1].set_title("ground truth, tube")
            for axes, arm in zip(line[2:], arms, strict=True):
                axes.imshow(error_picture(predictions[arm], sample.label))
                axes.set_title(arm)
            for axes in line:
                axes.set_xticks([])
                axes.set_yticks([])
                for spine in axes.spines.values():
                    spine.set(visible=True, color="#888", linewidth=0.5)
        names = {
            TUBE: "tube",
            FOUND: "mask, found (TP)",
            MISSED: "missed (FN)",
            FALSE: "false (FP)",
        }
        patches = [Patch(color=colour, label=name) for colour, name in names.items()]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(names))
        return png(figure, dpi=110)


def error_picture(prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Colour (H, W) classes: right, missed, and false foreground (a wrong class is both)."""
    return paint(
        label.shape,
        [
            ((label > 0) & (prediction == label), FOUND),
            ((label > 0) & (prediction != label), MISSED),
            ((label == 0) & (prediction > 0), FALSE),
        ],
    )


def paint(shape: tuple[int, ...], layers: Sequence[tuple[np.ndarray, str]]) -> np.ndarray:
    """Paint masks over white, the last on top; returns (H, W, 3) float."""
    picture = np.ones((*shape, 3))
    for mask, colour in layers:
        picture[mask] = to_rgb(colour)
    return picture


def displayable(image: np.ndarray) -> np.ndarray:
    """Return a standardised (C, H, W) image as (H, W, 3) within 0..1, 1 % clipped at each end."""
    low, high = np.percentile(image, (1, 99), axis=(1, 2), keepdims=True)
    scaled = np.clip((image - low) / np.maximum(high - low, 1e-6), 0, 1)
    return np.moveaxis(np.broadcast_to(scaled, (3, *image.shape[1:])), 0, -1)


def png(figure: Figure, dpi: int = 150) -> bytes:
    """Return the figure as PNG, without the date, so that the same figure is the same file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
