"""`python -m experiments export-nnunet`: raw data and folds as nnU-Net reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
import tifffile
import yaml

from experiments import cli, config, nnunet_export
from experiments.data import DATA_SETS, DataConfig, Dataset, Sample, splits


@pytest.fixture
def path(mapping, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(mapping))
    return path


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("raw", "preprocessed"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    return tmp_path / "raw", tmp_path / "preprocessed"


def test_images_labels_and_the_folds_of_the_study(path, folders, capsys):
    raw, preprocessed = folders
    assert cli.main(["export-nnunet", str(path), "--id", "7"]) == 0
    assert capsys.readouterr().out == f"written: {raw / 'Dataset007_synthetictubes'}\n"
    data = config.load(path).data
    dataset = data.load()
    for sample in dataset.samples:
        root = raw / "Dataset007_synthetictubes"
        image = tifffile.imread(root / "imagesTr" / f"{sample.id}_0000.tif")
        assert image.dtype == np.float32
        assert np.array_equal(image, sample.image[0])
        assert np.array_equal(tifffile.imread(root / "labelsTr" / f"{sample.id}.tif"), sample.label)
    description = json.loads((root / "dataset.json").read_text())
    assert description == {
        "channel_names": {"0": "noNorm"},
        "labels": {"background": 0, "tube": 1},
        "numTraining": 6,
        "file_ending": ".tif",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
    }
    written = json.loads((preprocessed / root.name / "splits_final.json").read_text())
    assert written == [
        {"train": [s.id for s in split.train], "val": [s.id for s in split.test]}
        for split in splits(dataset, data.folds)
    ]
    assert sorted(p.name for p in raw.iterdir()) == [root.name]


@dataclass(frozen=True)
class Volumes(DataConfig):
    def load(self):
        rng = np.random.default_rng(0)
        samples = tuple(
            Sample(
                f"v{i}",
                rng.normal(size=(2, 3, 4, 5)).astype(np.float32),
                rng.integers(0, 3, (3, 4, 5), np.uint8),
                ignore=rng.random((3, 4, 5)) < 0.3 if i else None,
                spacing=(2.0, 0.5, 0.5),
            )
            for i in range(2)
        )
        return Dataset(samples, ("background", "artery", "vein"), ("v0",), ("v1",))


def test_volumes_with_pixels_to_ignore(mapping, folders, tmp_path, monkeypatch):
    monkeypatch.setitem(DATA_SETS, "volumes_of_the_test", Volumes)
    path = tmp_path / "volumes.yaml"
    path.write_text(yaml.safe_dump({**mapping, "data": {"name": "volumes_of_the_test"}}))
    root = nnunet_export.export(nnunet_export.ExportArguments(path, id=12))
    first, second = Volumes("volumes_of_the_test").load().samples
    for channel in (0, 1):
        image = tifffile.imread(root / "imagesTr" / f"v1_000{channel}.tif")
        assert np.array_equal(image, second.image[channel])
    assert np.array_equal(tifffile.imread(root / "labelsTr" / "v0.tif"), first.label)
    expected = np.where(second.ignore, 3, second.label)
    assert np.array_equal(tifffile.imread(root / "labelsTr" / "v1.tif"), expected)
    for folder in ("imagesTr", "labelsTr"):
        assert json.loads((root / folder / "v0.json").read_text()) == {"spacing": [2.0, 0.5, 0.5]}
    description = json.loads((root / "dataset.json").read_text())
    assert description["labels"] == {"background": 0, "artery": 1, "vein": 2, "ignore": 3}
    assert description["overwrite_image_reader_writer"] == "Tiff3DIO"
    folds = json.loads((folders[1] / root.name / "splits_final.json").read_text())
    assert folds == [{"train": ["v0"], "val": ["v1"]}]


def test_what_is_there_stays(path, folders, capsys):
    there = folders[0] / "Dataset007_Other"
    there.mkdir(parents=True)
    assert cli.main(["export-nnunet", str(path), "--id", "7"]) == 2
    assert f"--id 7: {there} is there already" in capsys.readouterr().err


@pytest.mark.parametrize("id", ["0", "1000"])
def test_numbers_that_nnunet_does_not_have(path, folders, capsys, id):
    assert cli.main(["export-nnunet", str(path), "--id", id]) == 2
    assert f"--id {id}: allowed is 1 to 999" in capsys.readouterr().err


def test_folders_must_be_named(path, monkeypatch, capsys):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    assert cli.main(["export-nnunet", str(path), "--id", "7"]) == 2
    assert "--raw is missing, and nnUNet_raw is not in the environment" in capsys.readouterr().err


def test_nothing_is_left_of_a_failed_export(path, folders, monkeypatch):
    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(nnunet_export, "write_text", fail)
    with pytest.raises(OSError, match="disk full"):
        nnunet_export.export(nnunet_export.ExportArguments(path, id=7))
    assert list(folders[0].iterdir()) == []
