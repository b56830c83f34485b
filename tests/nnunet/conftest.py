"""nnU-Net's folders with two small data sets, planned and preprocessed once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
LABELS_3D = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}


class NnUNet:
    """nnU-Net's commands, run as a user does."""

    def __init__(self, folder: Path):
        from tubeskel.nnunet import TRAINER_FOLDER

        self.raw, self.preprocessed, self.results = (
            folder / name for name in ("raw", "preprocessed", "results")
        )
        self.environment = {
            **os.environ,
            "nnUNet_raw": str(self.raw),
            "nnUNet_preprocessed": str(self.preprocessed),
            "nnUNet_results": str(self.results),
            "nnUNet_extTrainer": os.pathsep.join(
                map(str, (TRAINER_FOLDER, HERE / "tiny_trainers"))
            ),
            "nnUNet_def_n_proc": "1",
            "OMP_NUM_THREADS": "1",
        }

    def __call__(self, command: str, *arguments, fails: bool = False, **variables) -> str:
        program = [str(Path(sys.executable).with_name(command))]
        done = subprocess.run(
            [*program, *map(str, arguments)],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=400,
        )
        text = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, text
        return text

    def train(self, data_set: int, configuration: str, trainer: str, *options, **variables) -> str:
        arguments = (data_set, configuration, 0, "-tr", trainer, "-device", "cpu", *options)
        # Without workers of the data loader; planning would fail with none.
        return self("nnUNetv2_train", *arguments, nnUNet_n_proc_DA="0", **variables)

    def fold(self, data_set: str, trainer: str, configuration: str) -> Path:
        name = f"{trainer}__nnUNetPlans__{configuration}"
        return self.results / data_set / name / "fold_0"


@pytest.fixture(scope="session")
def nnunet(tmp_path_factory) -> NnUNet:
    nnunet = NnUNet(tmp_path_factory.mktemp("nnunet"))
    for folder in (nnunet.raw, nnunet.preprocessed, nnunet.results):
        folder.mkdir()
    return nnunet


@pytest.fixture(scope="session")
def volumes(nnunet) -> str:
    """A 3D data set with regions and an ignore label."""
    import tifffile

    name = "Dataset902_Volumes"
    images, labels = nnunet.raw / name / "imagesTr", nnunet.raw / name / "labelsTr"
    images.mkdir(parents=True)
    labels.mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        label = np.zeros((24, 32, 32), np.uint8)
        label[:, 8 + i : 15 + i, 10:18] = 1
        label[:, 10 + i : 13 + i, 12:16] = 2
        image = label + rng.normal(0, 0.3, label.shape).astype(np.float32)
        label[:4] = 3
        tifffile.imwrite(images / f"case_{i}_0000.tif", image.astype(np.float32))
        tifffile.imwrite(labels / f"case_{i}.tif", label)
        for file in (images / f"case_{i}.json", labels / f"case_{i}.json"):
            file.write_text(json.dumps({"spacing": [1.5, 1.0, 1.0]}))
    description = {
        "channel_names": {"0": "image"},
        "labels": LABELS_3D,
        "regions_class_order": [1, 2],
        "numTraining": 4,
        "file_ending": ".tif",
        "overwrite_image_reader_writer": "Tiff3DIO",
    }
    (nnunet.raw / name / "dataset.json").write_text(json.dumps(description))
    nnunet("nnUNetv2_plan_and_preprocess", "-d", 902, "-c", "3d_fullres", "-np", 1, "-npfp", 1)
    split = {"train": ["case_0", "case_1", "case_2"], "val": ["case_3"]}
    (nnunet.preprocessed / name / "splits_final.json").write_text(json.dumps([split]))
    return name
