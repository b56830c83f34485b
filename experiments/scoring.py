"""Prediction of the test images, and their scores."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import imageio.v3 as iio
import numpy as np
import torch
from torch import nn

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
    "euler_error",
)


@torch.inference_mode()
def predict(
    network: nn.Module, image: np.ndarray, window: tuple[int, int], overlap: float
) -> np.ndarray:
    """Predict the class of each pixel by a sliding window.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    image : numpy.ndarray
        (C, H, W) float32.
    window : tuple of int
        Height and width of the window.
    overlap : float
        Share by which neighbouring windows overlap.

    Returns
    -------
    numpy.ndarray
        (H, W) uint8.
    """
    from monai.inferers import sliding_window_inference

    device = next(network.parameters()).device
    batch = torch.from_numpy(image)[None].to(device)
    with torch.autocast(device.type, dtype=torch.float16, enabled=device.type == "cuda"):
        output = sliding_window_inference(
            batch, window, sw_batch_size=4, predictor=network, overlap=overlap, mode="gaussian"
        )
    logits = cast(torch.Tensor, output)  # (1, classes, H, W)
    return logits.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()


def score(
    network: nn.Module,
    samples: Sequence[Sample],
    classes: Sequence[str],
    window: tuple[int, int],
    overlap: float,
    folder: Path,
) -> None:
    """Predict and score `samples`; write ``predictions/ID.png`` and ``scores.csv`` to `folder`.

    ``scores.csv`` has one row for each image and foreground class; it is written last, so its
    presence says that the job is done.
    """
    from tubeskel.metrics import evaluate

    network.eval()
    (folder / "predictions").mkdir(exist_ok=True)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["image", "class", *METRICS])
    for sample in samples:
        label = predict(network, sample.image, window, overlap)
        save_label(prediction_path(folder, sample.id), label, len(classes))
        scores = evaluate(label, sample.label, num_classes=len(classes))
        for index, values in scores.items():
            rows.writerow(
                [sample.id, classes[index], *(repr(float(values[name])) for name in METRICS)]
            )
    write_text(folder / "scores.csv", table.getvalue())


def prediction_path(folder: Path, sample_id: str) -> Path:
    """Return where the prediction of a sample is stored."""
    return folder / "predictions" / f"{sample_id}.png"


def save_label(path: Path, label: np.ndarray, num_classes: int) -> None:
    """Save a label image as PNG, the classes spread over 0..255 so that they can be seen."""
    spread = (label * (255 // (num_classes - 1))).astype(np.uint8)
    write_bytes(path, iio.imwrite("<bytes>", spread, extension=".png"))


def load_label(path: Path, num_classes: int) -> np.ndarray:
    """Read what `save_label` saved."""
    return iio.imread(path) // (255 // (num_classes - 1))
