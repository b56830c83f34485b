"""Prediction of the test images, and their scores."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import cast

import imageio.v3 as iio
import nibabel
import numpy as np
import torch
from torch import Tensor, nn

from experiments.config import Config
from experiments.data import Sample
from experiments.files import write_bytes, write_text

METRICS = (
    "dice",
    "cldice",
    "jaccard",
    "false_negative_rate",
    "false_positive_rate",
    "betti_0_error",
    "betti_1_error",
    "betti_2_error",
    "euler_error",
)
"""The scores, in the order of a score file's columns; Betti-2 errors are of volumes alone."""

WHOLE, VIEW = "image", "field_of_view"
"""Names of the regions in score files: the whole image, and the field of view."""

COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")


@torch.inference_mode()
def predict(
    network: nn.Module,
    image: np.ndarray,
    window: Sequence[int],
    overlap: float,
    mirror: bool = False,
    mirror_axes: Sequence[int] | None = None,
) -> np.ndarray:
    """Predict the class of each pixel by a sliding window.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    image : numpy.ndarray
        (C, *S) float32, 2D or 3D.
    window : sequence of int
        Size of the window.
    overlap : float
        Share by which neighbouring windows overlap.
    mirror : bool, optional
        Whether the logits are the mean over the windows mirrored along all sets of axes.
    mirror_axes : sequence of int, optional
        Spatial axes along which they are; by default all.

    Returns
    -------
    numpy.ndarray
        (*S) uint8.
    """
    from monai.inferers import sliding_window_inference

    device = next(network.parameters()).device
    batch = torch.from_numpy(np.ascontiguousarray(image))[None].to(device)
    axes = range(2, batch.ndim) if mirror_axes is None else [2 + axis for axis in mirror_axes]
    flips = [c for n in range(len(axes) + 1) for c in combinations(axes, n)] if mirror else [()]

    def predictor(part: Tensor) -> Tensor:
        outputs = [network(part.flip(flip)).flip(flip) for flip in flips]
        return torch.stack(outputs).mean(0)

    with torch.autocast(device.type, dtype=torch.float16, enabled=device.type == "cuda"):
        output = sliding_window_inference(
            batch, window, sw_batch_size=4, predictor=predictor, overlap=overlap, mode="gaussian"
        )
    logits = cast(Tensor, output)  # (1, classes, *S)
    return logits.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()


def score(
    network: nn.Module,
    samples: Sequence[Sample],
    classes: Sequence[str],
    config: Config,
    folder: Path,
    mirror_axes: Sequence[int] | None = None,
) -> None:
    """Predict and score `samples`; write ``predictions/ID.*`` and ``scores.csv`` to `folder`.

    ``scores.csv`` has one row for each image, foreground class and region: the whole image, and the
    owners' field of view where there is one. Ignored pixels are in neither. It is written last, so
    its presence says that the job is done.
    """
    network.eval()
    (folder / "predictions").mkdir(exist_ok=True)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["image", "class", "region", *metrics_of(samples[0].label.ndim), *COUNTS])
    for sample in samples:
        label = predict(
            network, sample.image, config.train.crop, config.overlap, config.mirror, mirror_axes
        )
        path = prediction_path(folder, sample.id, label.ndim)
        save_label(path, label, len(classes), sample.spacing)
        for region, inside in regions(sample.ignore, sample.field_of_view).items():
            for index, values in score_classes(label, sample.label, inside, len(classes)).items():
                rows.writerow([sample.id, classes[index], region, *values.values()])
    write_text(folder / "scores.csv", table.getvalue())


def regions(
    ignore: np.ndarray | None, field_of_view: np.ndarray | None
) -> dict[str, np.ndarray | None]:
    """Return the regions in which an image is scored, (*S) bool, or None for all of it."""
    known = None if ignore is None else ~ignore
    found = {WHOLE: known}
    if field_of_view is not None:
        found[VIEW] = field_of_view if known is None else field_of_view & known
    return found


def metrics_of(axes: int) -> tuple[str, ...]:
    """Return which of the METRICS images (2 axes) or volumes (3) have."""
    return METRICS if axes == 3 else tuple(name for name in METRICS if name != "betti_2_error")


def score_classes(
    label: np.ndarray, truth: np.ndarray, region: np.ndarray | None, num_classes: int
) -> dict[int, dict[str, float]]:
    """Return for each foreground class its scores and COUNTS within the region."""
    from tubeskel.metrics import evaluate

    truth = truth if region is None else np.where(region, truth, 0)
    scores = evaluate(label, truth, num_classes=num_classes, field_of_view=region)
    inside = ... if region is None else region
    rows = {}
    for index, values in scores.items():
        predicted, true = label[inside] == index, truth[inside] == index
        counts = (predicted & true, predicted & ~true, ~predicted & true, ~predicted & ~true)
        rows[index] = {name: float(values[name]) for name in metrics_of(truth.ndim)}
        rows[index] |= dict(zip(COUNTS, map(np.count_nonzero, counts), strict=True))
    return rows


def prediction_path(folder: Path, sample_id: str, axes: int = 2) -> Path:
    """Return where the prediction of a sample is stored: PNG in 2D, NIfTI in 3D."""
    return folder / "predictions" / f"{sample_id}{'.png' if axes == 2 else '.nii.gz'}"


def save_label(
    path: Path, label: np.ndarray, num_classes: int, spacing: tuple[float, ...] = ()
) -> None:
    """Save a label image, in a PNG with the classes spread over 0..255 so that they can be seen."""
    if label.ndim == 3:
        affine = np.diag([*(spacing or (1.0,) * 3), 1.0])
        volume = nibabel.Nifti1Image(label.astype(np.uint8), affine)
        write_bytes(path, gzip.compress(volume.to_bytes(), mtime=0))
    else:
        spread = (label * (255 // (num_classes - 1))).astype(np.uint8)
        write_bytes(path, iio.imwrite("<bytes>", spread, extension=".png"))


def load_label(path: Path, num_classes: int) -> np.ndarray:
    """Read what `save_label` saved."""
    if path.suffix == ".gz":
        return np.asarray(nibabel.nifti1.load(path).dataobj, np.uint8)
    return iio.imread(path) // (255 // (num_classes - 1))
