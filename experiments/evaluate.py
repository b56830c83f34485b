"""Scores of any folder of predictions, such as nnU-Net's, against the labels of the same names."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.errors import DataError
from experiments.files import write_text
from experiments.report.document import Table
from experiments.report.scores import COLUMNS, REGIONS, Column, empty_masks, ratios
from experiments.report.tables import spread
from experiments.scoring import COUNTS, METRICS, regions, score_classes
from tubeskel.files.formats import format_of, read


@dataclass(frozen=True)
class Row:
    """The scores of one class of one image."""

    image: str
    label: str
    region: str
    scores: dict[str, float]


def evaluate_folders(
    predictions: Path,
    labels: Path,
    out: Path,
    ignore: int | None = None,
    fields_of_view: Path | None = None,
) -> str:
    """Score predictions, write ``scores.csv`` and ``scores.md`` to `out`, and return the Markdown.

    Parameters
    ----------
    predictions, labels : Path
        Folders of label maps, 2D or 3D: png, tif, npy, nii or nii.gz, matched by their names
        without suffix. Labels without a prediction are an error; predictions without a label too.
        If both sides have one value beside 0, whichever it is, they are taken as the same class.
    out : Path
    ignore : int, optional
        Pixels of this value in the labels are not scored.
    fields_of_view : Path, optional
        Folder of masks of the labels' names, nonzero inside; scores are then also of what is
        inside, as those of a run are.

    Raises
    ------
    DataError
        If a folder or a partner is missing, a file is no label map, or shapes or classes differ.
    """
    views = () if fields_of_view is None else (fields_of_view,)
    matched = match(labels, predictions, *views)
    values = [(_values(p), _values(t) - {ignore}) for t, p, *_ in matched.values()]
    predicted, wanted = (sorted(set().union(*side)) for side in zip(*values, strict=True))
    if len(predicted) <= 1 and len(wanted) <= 1:
        classes = wanted or predicted or [1]
        codes = dict.fromkeys((*predicted, *wanted), 1)
    else:
        classes = sorted({*predicted, *wanted})
        codes = {value: index for index, value in enumerate(classes, start=1)}
    if len(classes) > 254:
        raise DataError(f"{labels} has {len(classes)} different values, as images and not labels")
    rows = [
        Row(name, str(classes[index - 1]), region, scores)
        for name, files in matched.items()
        for region, found in score_files(files, codes, len(classes) + 1, ignore).items()
        for index, scores in found.items()
    ]
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "scores.csv", to_csv(rows))
    text = summary(rows)
    write_text(out / "scores.md", text)
    return text


def match(labels: Path, *others: Path) -> dict[str, tuple[Path, ...]]:
    """Return the file of each name without suffix in `labels`, and those in the other folders."""
    wanted, files = _by_name(labels), [_by_name(folder) for folder in others]
    for folder, found in zip(others, files, strict=True):
        for name in sorted(found.keys() ^ wanted.keys()):
            here, there = (found, labels) if name in found else (wanted, folder)
            raise DataError(f"{here[name]} has no partner of the name '{name}' in {there}")
    return {name: (wanted[name], *(found[name] for found in files)) for name in sorted(wanted)}


def score_files(
    files: Sequence[Path], codes: dict[int, int], num_classes: int, ignore: int | None
) -> dict[str, dict[int, dict[str, float]]]:
    """Score a prediction; give for each region and class what stands in its row.

    Files are the label, the prediction and, if there is one, the field of view.
    """
    label, prediction, *views = files
    truth = _read(label)
    predicted, *inside = (_of_shape(path, truth.shape, label) for path in (prediction, *views))
    if truth.ndim not in (2, 3):
        raise DataError(f"{label} has {truth.ndim} axes: allowed are 2 or 3")
    for path, view in zip(views, inside, strict=True):
        if not view.any():
            raise DataError(f"{path} is 0 everywhere: nothing is inside this field of view")
    return {
        region: score_classes(_encode(predicted, codes), _encode(truth, codes), known, num_classes)
        for region, known in regions(
            None if ignore is None else truth == ignore, inside[0] != 0 if inside else None
        ).items()
    }


def _of_shape(path: Path, shape: tuple[int, ...], label: Path) -> np.ndarray:
    found = _read(path)
    if found.shape != shape:
        raise DataError(f"{path} has shape {found.shape}, {label} {shape}")
    return found


def to_csv(rows: list[Row]) -> str:
    """Return the rows as CSV, in the columns of a run's ``scores.csv``."""
    text = io.StringIO()
    names = [name for name in (*METRICS, *COUNTS) if any(name in row.scores for row in rows)]
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["image", "class", "region", *names])
    for row in rows:
        values = (row.scores.get(name, "") for name in names)
        lines.writerow([row.image, row.label, row.region, *values])
    return text.getvalue()


def summary(rows: list[Row]) -> str:
    """Return the means over the images and the pooled scores, for each region and class."""
    images = len({row.image for row in rows})
    columns = [c for c in COLUMNS if any(c.metric in row.scores for row in rows)]
    groups: dict[tuple[str, str], list[dict[str, float]]] = {}
    for row in rows:
        groups.setdefault((row.region, row.label), []).append(row.scores)
    lines, empty = [], []
    for (region, label), scores in groups.items():
        counts = [np.array([values[name] for values in scores]) for name in COUNTS]
        sums = ratios(*(np.array([values.sum()]) for values in counts))
        cells = [_spread(scores, column) for column in columns]
        lines.append([label, REGIONS[region], "per image", *cells])
        cells = [spread(sums[c.metric] * c.factor) if c.metric in sums else "" for c in columns]
        lines.append([label, REGIONS[region], "pooled", *cells])
        found = empty_masks(*counts[:3])
        if found.both + found.truth + found.prediction:
            empty.append(
                f"Empty masks of class {label}, {REGIONS[region]}: both {found.both}, ground truth "
                f"alone {found.truth}, prediction alone {found.prediction} of {found.masks}."
            )
    header = ["class", "region", "aggregation", *(column.heading for column in columns)]
    caption = f"Scores of {images} images: mean ± standard deviation; pooled: of summed counts"
    return "\n\n".join([Table(caption, header, lines, (1, 2)).markdown(), *empty]) + "\n"


def _spread(scores: list[dict[str, float]], column: Column) -> str:
    there = [values[column.metric] for values in scores if column.metric in values]
    return spread(np.array(there) * column.factor)


def _by_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        known = format_of(path)
        if known is None or path.name.startswith("."):
            continue
        suffix = max((s for s in known.suffixes if path.name.lower().endswith(s)), key=len)
        name = path.name[: -len(suffix)]
        if name in files:
            raise DataError(f"{files[name]} and {path} have the same name")
        files[name] = path
    if not files:
        raise DataError(f"{folder} holds no label map (png, tif, npy, nii, nii.gz)")
    return files


def _read(path: Path) -> np.ndarray:
    try:
        labels = read(path).labels
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    if labels.dtype.kind == "f" and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)  # nii files often hold whole numbers as floats
    if labels.dtype.kind not in "biu" or (labels.size and labels.min() < 0):
        raise DataError(f"{path} is no label map: it has values of type {labels.dtype}")
    return np.squeeze(labels)


def _values(path: Path) -> set[int]:
    return set(map(int, np.unique(_read(path)))) - {0}


def _encode(labels: np.ndarray, codes: dict[int, int]) -> np.ndarray:
    """Return the labels as classes 0, 1, 2, ..."""
    encoded = np.zeros(labels.shape, np.uint8)
    for value, code in codes.items():
        encoded[labels == value] = code
    return encoded
