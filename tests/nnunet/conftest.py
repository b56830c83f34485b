"""nnU-Net's commands, and two small data sets that they have planned and preprocessed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


class NnUNet:
    """nnU-Net's folders and its commands, run as a user does."""

    def __init__(self, folder: Path):
        from tubeskel.nnunet import TRAINER_FOLDER

        folders = {name: folder / name for name in ("raw", "preprocessed", "results")}
        for path in folders.values():
            path.mkdir()
        self.raw, self.preprocessed, self.results = folders.values()
        self.environment = {
            **os.environ,
            **{f"nnUNet_{name}": str(path) for name, path in folders.items()},
            "nnUNet_extTrainer": os.pathsep.join(
                map(str, (TRAINER_FOLDER, HERE / "tiny_trainers"))
            ),
            "nnUNet_def_n_proc": "1",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *command, fails: bool = False, **variables) -> str:
        """Return what a command prints."""
        done = subprocess.run(
            list(map(str, command)),
            env={**self.environment, **variables},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=500,
        )
        text = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, text
        return text

    def __call__(self, command: str, *arguments, **options) -> str:
        return self.run(Path(sys.executable).with_name(command), *arguments, **options)

    def plan(self, data_set: str, configuration: str) -> None:
        """Plan and preprocess; make the network small."""
        number = int(data_set[7:10])
        options = ["-c", configuration, "-np", 1, "-npfp", 1]
        self("nnUNetv2_plan_and_preprocess", "-d", number, *options)
        path = self.preprocessed / data_set / "nnUNetPlans.json"
        plans = json.loads(path.read_text())
        chosen = plans["configurations"][configuration]
        network = chosen["architecture"]["arch_kwargs"]
        network["features_per_stage"] = [4] * network["n_stages"]
        chosen["batch_size"] = 2
        path.write_text(json.dumps(plans))

    def train(
        self, data_set: str, configuration: str, trainer: str, *options, fold=0, **variables
    ) -> str:
        arguments = (data_set, configuration, fold, "-tr", trainer, "-device", "cpu", *options)
        # Without workers of the data loader; planning would fail with none.
        return self("nnUNetv2_train", *arguments, nnUNet_n_proc_DA="0", **variables)

    def fold(self, data_set: str, trainer: str, configuration: str, fold=0) -> Path:
        """Return the folder of a training."""
        name = f"{trainer}__nnUNetPlans__{configuration}"
        return self.results / data_set / name / f"fold_{fold}"


@pytest.fixture(scope="session")
def nnunet(tmp_path_factory) -> NnUNet:
    return NnUNet(tmp_path_factory.mktemp("nnunet"))


@pytest.fixture(scope="session")
def images(nnunet) -> str:
    """A 2D data set of the study, exported."""
    config = {
        "name": "tubes",
        "out": "unused",
        "data": {"name": "synthetic_tubes", "folds": 3, "count": 6, "size": 64},
        "arms": {"dice_ce": {"loss": "dice_ce"}},
    }
    path = nnunet.raw / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    nnunet.run(sys.executable, "-m", "experiments", "export-nnunet", path, "--id", 901)
    nnunet.plan("Dataset901_synthetictubes", "2d")
    return "Dataset901_synthetictubes"


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
        label[:, 6 + i : 13 + i, 8:16] = 1
        label[:, 8 + i : 11 + i, 10:14] = 2
        image = label + rng.normal(0, 0.3, label.shape)
        label[:3] = 3
        tifffile.imwrite(images / f"case_{i}_0000.tif", image.astype(np.float32))
        tifffile.imwrite(labels / f"case_{i}.tif", label)
        for folder in (images, labels):
            (folder / f"case_{i}.json").write_text(json.dumps({"spacing": [1.5, 1.0, 1.0]}))
    description = {
        "channel_names": {"0": "image"},
        "labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3},
        "regions_class_order": [1, 2],
        "numTraining": 4,
        "file_ending": ".tif",
        "overwrite_image_reader_writer": "Tiff3DIO",
    }
    (nnunet.raw / name / "dataset.json").write_text(json.dumps(description))
    nnunet.plan(name, "3d_fullres")
    split = {"train": ["case_0", "case_1", "case_2"], "val": ["case_3"]}
    (nnunet.preprocessed / name / "splits_final.json").write_text(json.dumps([split]))
    return name


@pytest.fixture(scope="session")
def cascade(nnunet, volumes) -> str:
    """The volumes with the two stages of a cascade, which nnU-Net plans for larger ones only."""
    path = nnunet.preprocessed / volumes / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    full = plans["configurations"]["3d_fullres"]
    plans["configurations"] |= {
        "3d_lowres": {
            "inherits_from": "3d_fullres",
            "data_identifier": "nnUNetPlans_3d_lowres",
            "spacing": [1.5 * spacing for spacing in full["spacing"]],
            "next_stage": "3d_cascade_fullres",
        },
        "3d_cascade_fullres": {
            "inherits_from": "3d_fullres",
            "previous_stage": "3d_lowres",
            "batch_dice": True,
        },
    }
    path.write_text(json.dumps(plans))
    nnunet("nnUNetv2_preprocess", "-d", 902, "-c", "3d_lowres", "-np", 1)
    return volumes
