"""The figures of the report, as PNG. Colours are told apart by colour-blind eyes and in print."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from experiments.data import Sample
from experiments.report.findings import Finding
from experiments.report.scores import COLUMNS

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
    logged_names = dict.fromkeys(name for logged in curves.values() for name in logged)
    terms = [name for name in logged_names if name not in ("iteration", "learning_rate", "loss")]
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(3.1 * len(terms), 2.8), layout="constrained")
        for axes, term in zip(figure.subplots(1, len(terms), squeeze=False)[0], terms, strict=True):
            for index, (arm, logged) in enumerate(curves.items()):
                if term not in logged:
                    continue
                x = logged["iteration"][0]
                values = np.array([smooth(job) for job in logged[term]])
                mean, deviation = values.mean(axis=0), values.std(axis=0)
                colour, style = COLOURS[index % 7], STYLES[index % 7]
                axes.plot(x, mean, color=colour, linestyle=style, label=arm)
                if len(values) > 1:
                    low, high = mean - deviation, mean + deviation
                    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.set(title=TERM_NAMES.get(term, term), xlabel="iteration")
            axes.set_xlim(0, None)
        by_label = {
            label: handle
            for axes in figure.axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        columns = min(len(curves), 5)
        figure.legend(by_label.values(), by_label, loc="outside lower center", ncols=columns)
        return png(figure)


def smooth(values: np.ndarray) -> np.ndarray:
    """Return the running mean over up to a tenth of the entries, shorter at the ends."""
    width = max(1, len(values) // 10)
    counts = np.convolve(np.ones(len(values)), np.ones(width), mode="same")
    return np.convolve(values, np.ones(width), mode="same") / counts


def forest(rows: Sequence[tuple[str, str, str, Sequence[Finding]]]) -> bytes:
    """Draw paired differences with their intervals, a panel for each metric.

    Parameters
    ----------
    rows : sequence of (data set, arm, where, findings)
        A line each, those of a data set together; `where` ends its name. Thick: interval over
        images; thin: over images and seeds. A filled mark: the difference repeats over the seeds.
        Pale: not tested.
    """
    columns = [c for c in COLUMNS if any(f.column is c for *_, found in rows for f in found)]
    arms = list(dict.fromkeys(arm for _, arm, _, _ in rows))
    sets = list(dict.fromkeys(name for name, *_ in rows))
    heights = [i + 0.8 * sets.index(name) for i, (name, *_) in enumerate(rows)]
    with matplotlib.rc_context(SETTINGS):
        size = (2.1 + 1.55 * len(columns), 1.1 + 0.24 * (heights[-1] + 1))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for axes, column in zip(panels, columns, strict=True):
            for y, (_, arm, _, found) in zip(heights, rows, strict=True):
                for finding in (f for f in found if f.column is column):
                    _draw_difference(axes, y, finding, COLOURS[arms.index(arm) % 7])
            axes.axvline(0, color="#444", linewidth=0.8, zorder=0)
            better = "higher" if column.more_is_better else "lower"
            unit = "points" if column.factor == 100 else "count"
            axes.set_title(f"{column.label}\n({better} is better)")
            axes.set_xlabel(unit)
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(heights, [f"{name}: {arm}{where}" for name, arm, where, _ in rows])
        panels[0].set_ylim(heights[-1] + 0.7, -0.7)
        return png(figure)


def _draw_difference(axes: Axes, y: float, finding: Finding, colour: str) -> None:
    c = finding.comparison
    line: dict[str, Any] = {"color": colour, "alpha": 1.0 if finding.tested else 0.4}
    axes.plot([c.wide_low, c.wide_high], [y, y], linewidth=1, **line)
    axes.plot([c.low, c.high], [y, y], linewidth=3, solid_capstyle="butt", **line)
    face = colour if finding.repeats else "white"
    axes.plot([c.mean], [y], "o", markerfacecolor=face, markersize=5, **line)


def gradients(arms: dict[str, list[list[dict[str, Any]]]]) -> bytes:
    """Draw the gradients of each term over the training, a row for each arm.

    Parameters
    ----------
    arms : dict
        arm -> for each job the lines of its ``gradients.jsonl``; the median over jobs is drawn.
    """
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(15, 2.4 * len(arms) + 0.6), layout="constrained")
        grid = figure.subplots(len(arms), 5, squeeze=False)
        for line, (arm, jobs) in zip(grid, arms.items(), strict=True):
            _draw_gradients(line, jobs)
            line[0].set_ylabel(arm)
        titles = ["probabilities: norm", "logits: norm", "last layer: norm"]
        titles += ["cosine of SRL and Dice + CE", "tube pixels"]
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title(title)
        for axes in grid[-1]:
            axes.set_xlabel("iteration")
        return png(figure)


def _draw_gradients(panels: Sequence[Axes], jobs: list[list[dict[str, Any]]]) -> None:
    """Draw one arm: norms on (solid) and off (dashed) the tube, cosines, and shares of the tube."""
    x = [entry["iteration"] for entry in min(jobs, key=len)]

    def draw(axes: Axes, path: Sequence[str], colour: str, style: str, label: str) -> None:
        lines = [[_look_up(entry, path) for entry in job[: len(x)]] for job in jobs]
        values = np.array(lines, dtype=float)
        if not np.isnan(values).all():
            middle = np.ma.median(np.ma.masked_invalid(values), axis=0).filled(np.nan)
            axes.plot(x, middle, color=colour, linestyle=style, label=label)

    terms = dict.fromkeys(name for job in jobs for entry in job for name in entry["terms"])
    for index, term in enumerate(terms):
        colour = COLOURS[index % 7]
        for axes, kind in zip(panels, ("probabilities", "logits"), strict=False):
            draw(axes, ("terms", term, f"{kind}_on"), colour, "-", f"{term}, on the tube")
            draw(axes, ("terms", term, f"{kind}_off"), colour, "--", f"{term}, off the tube")
        draw(panels[2], ("terms", term, "parameters"), colour, "-", term)
    draw(panels[3], ("cosine_srl_dice_ce", "logits"), COLOURS[0], "-", "logits")
    draw(panels[3], ("cosine_srl_dice_ce", "parameters"), COLOURS[1], "--", "last layer")
    draw(panels[4], ("missed_share",), COLOURS[0], "-", "missed")
    draw(panels[4], ("vanishing_share",), COLOURS[1], "--", "of these, gradient vanishes")
    for axes in panels[:3]:
        axes.set_yscale("log")
    panels[3].set_ylim(-1.05, 1.05)
    panels[4].set_ylim(-0.02, 1.02)
    for axes in panels:
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=6)


def _look_up(entry: dict[str, Any], path: Sequence[str]) -> float:
    """Follow keys into nested dicts; NaN where one is missing or its value is null."""
    value: Any = entry
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return np.nan if value is None else float(value)


def overlays(rows: Sequence[tuple[str, Sample, np.ndarray, dict[str, np.ndarray]]]) -> bytes:
    """Draw example images, a row each: image, truth with tube, and each arm's prediction.

    Parameters
    ----------
    rows : sequence of (title, sample, tube, predictions)
        tube (*S); predictions: arm -> (*S) classes; of a volume the slice with most foreground.
    """
    arms = list(rows[0][3])
    with matplotlib.rc_context(SETTINGS):
        columns = 2 + len(arms)
        figure = Figure(figsize=(2.4 * columns, 2.65 * len(rows) + 0.4), layout="constrained")
        panels = figure.subplots(len(rows), columns, squeeze=False)
        for line, (title, sample, tube, predictions) in zip(panels, rows, strict=True):
            shown = slice_of(sample.label)
            image, label, tube = sample.image[:, shown], sample.label[shown], tube[shown]
            line[0].imshow(displayable(image))
            line[0].set_title(title, loc="left")
            line[1].imshow(paint(label.shape, [(label > 0, MASK), (tube > 0, TUBE)]))
            line[1].set_title("ground truth, tube")
            for axes, arm in zip(line[2:], arms, strict=True):
                axes.imshow(error_picture(predictions[arm][shown], label))
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


def slice_of(label: np.ndarray) -> Any:
    """Return the index of the slice of a volume with most foreground, ... for an image."""
    return ... if label.ndim == 2 else int(np.argmax((label > 0).sum(axis=(1, 2))))


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
    image = image[:3] if len(image) >= 3 else image[:1]
    low, high = np.percentile(image, (1, 99), axis=(1, 2), keepdims=True)
    scaled = np.clip((image - low) / np.maximum(high - low, 1e-6), 0, 1)
    return np.moveaxis(np.broadcast_to(scaled, (3, *image.shape[1:])), 0, -1)


def png(figure: Figure, dpi: int = 150) -> bytes:
    """Return the figure as PNG, without the date, so that the same figure is the same file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
