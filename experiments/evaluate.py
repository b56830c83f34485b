"""Scores of any folder of predictions, such as nnU-Net's, against the labels of the same names."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.errors import DataError
from experiments.files import write_text
from experiments.report.document import Table
from experiments.report.scores import COLUMNS, Column, ratios
from experiments.report.tables import spread
from experiments.scoring import COUNTS, METRICS, score_classes
from tubeskel.files.formats import format_of, read


@dataclass(frozen=True)
class Row:
    """The scores of one class of one image."""

    image: str
    label: str
    scores: dict[str, float]


def evaluate_folders(predictions: Path, labels: Path, out: Path, ignore: int | None = None) -> str:
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

    Raises
    ------
    DataError
        If a folder or a partner is missing, a file is no label map, or shapes or classes differ.
    """
    pairs = match(predictions, labels)
    values = [(_values(p), _values(t) - {ignore}) for p, t in pairs.values()]
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
        Row(name, str(classes[index - 1]), scores)
        for name, pair in pairs.items()
        for index, scores in score_pair(*pair, codes, len(classes) + 1, ignore).items()
    ]
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "scores.csv", to_csv(rows))
    text = summary(rows)
    write_text(out / "scores.md", text)
    return text


def match(predictions: Path, labels: Path) -> dict[str, tuple[Path, Path]]:
    """Pair the files of two folders by name without suffix."""
    found, wanted = _by_name(predictions), _by_name(labels)
    for name in sorted(found.keys() ^ wanted.keys()):
        here, there = (found, labels) if name in found else (wanted, predictions)
        raise DataError(f"{here[name]} has no partner of the name '{name}' in {there}")
    return {name: (found[name], wanted[name]) for name in sorted(found)}


def score_pair(
    prediction: Path, label: Path, codes: dict[int, int], num_classes: int, ignore: int | None
) -> dict[int, dict[str, float]]:
    """Score one prediction; give for each class what stands in its row."""
    predicted, truth = _read(prediction), _read(label)
    if predicted.shape != truth.shape:
        raise DataError(f"{prediction} has shape {predicted.shape}, {label} {truth.shape}")
    if predicted.ndim not in (2, 3):
        raise DataError(f"{prediction} has {predicted.ndim} axes: allowed are 2 or 3")
    region = None if ignore is None else truth != ignore
    return score_classes(_encode(predicted, codes), _encode(truth, codes), region, num_classes)


def to_csv(rows: list[Row]) -> str:
    """Return the rows as CSV, in the columns of a run's ``scores.csv``."""
    text = io.StringIO()
    names = [name for name in (*METRICS, *COUNTS) if any(name in row.scores for row in rows)]
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["image", "class", "region", *names])
    for row in rows:
        lines.writerow([row.image, row.label, "image", *(row.scores.get(n, "") for n in names)])
    return text.getvalue()


def summary(rows: list[Row]) -> str:
    """Return mean and standard deviation over the images for each class, and pooled scores."""
    labels = list(dict.fromkeys(row.label for row in rows))
    images = len(rows) // len(labels)
    columns = [c for c in COLUMNS if any(c.metric in row.scores for row in rows)]
    lines = []
    for label in labels:
        of_class = [row.scores for row in rows if row.label == label]
        cells = [_spread(of_class, column) for column in columns]
        lines.append([label, "per image", *cells])
        sums = ratios(*(np.array([sum(s[name] for s in of_class)]) for name in COUNTS))
        cells = [spread(sums[c.metric] * c.factor) if c.metric in sums else "" for c in columns]
        lines.append([label, "pooled", *cells])
    header = ["class", "aggregation", *(column.heading for column in columns)]
    caption = f"Scores of {images} images: mean ± standard deviation; pooled: of summed counts"
    return Table(caption, header, lines, (1,)).markdown() + "\n"


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
