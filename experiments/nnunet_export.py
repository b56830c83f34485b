"""A data set of the study as nnU-Net's raw data, with the study's folds."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import tyro

from experiments import config as configs
from experiments.data import Dataset, Sample, splits
from experiments.errors import ConfigError, DataError
from experiments.files import write_text


@dataclass(frozen=True)
class ExportArguments:
    """Write a config's data set in nnU-Net's raw format, and its folds as splits_final.json."""

    config: tyro.conf.Positional[Path]
    """config of a study; its data and folds count"""
    id: int
    """number of the data set in nnU-Net, 1 to 999"""
    raw: Path | None = None
    """nnU-Net's folder of raw data; by default $nnUNet_raw"""
    preprocessed: Path | None = None
    """nnU-Net's folder of preprocessed data, for the folds; by default $nnUNet_preprocessed"""


def export(arguments: ExportArguments) -> Path:
    """Write raw data and folds; return the folder of the raw data.

    All samples are training cases of nnU-Net: what the study scores in a fold is what nnU-Net's
    validation of that fold predicts. Images are taken as they are, already standardised, so their
    channels are named "noNorm". Pixels to ignore get nnU-Net's ignore label. A field of view is
    left out: nnU-Net has none in training, as the study.

    Raises
    ------
    ConfigError, DataError
        If the config or its data cannot be read, a folder is not named, or the data set is there.
    """
    if not 1 <= arguments.id <= 999:
        raise ConfigError(f"--id {arguments.id}: allowed is 1 to 999")
    raw = _folder("raw", arguments.raw)
    preprocessed = _folder("preprocessed", arguments.preprocessed)
    config = configs.load(arguments.config)
    dataset = config.data.load()
    name = f"Dataset{arguments.id:03d}_{re.sub('[^A-Za-z0-9]+', '', config.data.name)}"
    for there in raw.glob(f"Dataset{arguments.id:03d}_*"):
        raise ConfigError(f"--id {arguments.id}: {there} is there already")
    folds = [
        {"train": _ids(split.train), "val": _ids(split.test)}
        for split in splits(dataset, config.data.folds)
    ]
    unfinished = raw / f".{name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _write(dataset, unfinished)
        (preprocessed / name).mkdir(parents=True, exist_ok=True)
        write_text(preprocessed / name / "splits_final.json", json.dumps(folds, indent=2))
        unfinished.replace(raw / name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return raw / name


def _folder(what: str, given: Path | None) -> Path:
    found = given or os.environ.get(f"nnUNet_{what}")
    if not found:
        raise ConfigError(f"--{what} is missing, and nnUNet_{what} is not in the environment")
    return Path(found)


def _ids(samples: Iterable[Sample]) -> list[str]:
    return [sample.id for sample in samples]


def _write(dataset: Dataset, folder: Path) -> None:
    images, labels = folder / "imagesTr", folder / "labelsTr"
    images.mkdir(parents=True)
    labels.mkdir()
    for sample in dataset.samples:
        if not re.fullmatch(r"[\w.-]+", sample.id):
            raise DataError(f"the sample '{sample.id}' cannot be the name of a file")
        for channel, plane in enumerate(sample.image):
            tifffile.imwrite(
                images / f"{sample.id}_{channel:04d}.tif", plane, photometric="minisblack"
            )
        label = sample.label
        if sample.ignore is not None:
            label = np.where(sample.ignore, len(dataset.classes), label).astype(label.dtype)
        tifffile.imwrite(labels / f"{sample.id}.tif", label, photometric="minisblack")
        if label.ndim == 3:
            spacing = json.dumps({"spacing": list(sample.spacing or (1.0, 1.0, 1.0))})
            for place in (images, labels):
                write_text(place / f"{sample.id}.json", spacing)
    write_text(folder / "dataset.json", json.dumps(_description(dataset), indent=2))


def _description(dataset: Dataset) -> dict[str, object]:
    """Return what nnU-Net's dataset.json holds."""
    first = dataset.samples[0]
    names = list(dataset.classes)
    if any(sample.ignore is not None for sample in dataset.samples):
        names.append("ignore")
    return {
        "channel_names": {str(channel): "noNorm" for channel in range(len(first.image))},
        "labels": {name: label for label, name in enumerate(names)},
        "numTraining": len(dataset.samples),
        "file_ending": ".tif",
        "overwrite_image_reader_writer": "NaturalImage2DIO"
        if first.label.ndim == 2
        else "Tiff3DIO",
    }
