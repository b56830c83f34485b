"""Trainings with nnU-Net's own commands: plan, train, resume, predict; nothing is mocked."""

from __future__ import annotations

import json
import os
import re

import pytest
from nnunet_log import assert_terms_add_up

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed; `make test-nnunet` has it")

from experiments.evaluate import evaluate_folders
from tubeskel.nnunet import TRAINER_FOLDER
from tubeskel.nnunet.__main__ import main

NAMES = [
    f"nnUNetTrainer{kind}{length}"
    for kind in ("DiceCE", "SkeletonRecall", "SoftClDice")
    for length in ("", "_5epochs", "_20epochs", "_100epochs", "_250epochs")
]


def checkpoint(folder, name="checkpoint_final.pth"):
    import torch

    return torch.load(folder / name, weights_only=False)


def test_every_trainer_is_found(monkeypatch, capsys):
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join(["/elsewhere", str(TRAINER_FOLDER)]))
    assert main(["check"]) == 0
    found = re.findall(r"(nnUNetTrainer\w+) +found\n", capsys.readouterr().out)
    assert sorted(found) == sorted(NAMES)


def test_check_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setenv("nnUNet_extTrainer", "/elsewhere")
    assert main(["check"]) == 1
    advice = 'export nnUNet_extTrainer="$(python -m tubeskel.nnunet path)"'
    assert advice in capsys.readouterr().err


def test_2d_killed_resumed_and_predicted(nnunet, images, tmp_path):
    fold = nnunet.fold(images, "TinySkeletonRecall", "2d")
    first = {"TUBESKEL_ALPHA": "0.5", "TUBESKEL_LOWER_TUBES": "max_pool"}
    text = nnunet.train(
        images, "2d", "TinySkeletonRecall", TINY_KILLED_BEFORE="1", fails=True, **first
    )
    assert text.splitlines()[-1] == "killed"
    assert checkpoint(fold, "checkpoint_latest.pth")["current_epoch"] == 1
    assert "'alpha': 0.5, 'radius': 2" in text

    text = nnunet.train(images, "2d", "TinySkeletonRecall", "--c")
    assert "settings are those of the checkpoint" in text
    assert "Epoch 1" in text
    assert "Epoch 0" not in text
    assert_terms_add_up(text, epochs=1, alpha=0.5)
    final = checkpoint(fold)
    assert final["trainer_name"] == "TinySkeletonRecall"
    assert final["init_args"]["tubeskel"]["alpha"] == 0.5
    assert final["init_args"]["tubeskel"]["lower_tubes"] == "max_pool"

    validated = sorted(path.stem for path in (fold / "validation").glob("*.tif"))
    splits = json.loads((nnunet.preprocessed / images / "splits_final.json").read_text())
    assert validated == sorted(splits[0]["val"])
    arguments = ["-d", 901, "-c", "2d", "-f", 0, "-tr", "TinySkeletonRecall", "-device", "cpu"]
    arguments += ["-i", nnunet.raw / images / "imagesTr", "-o", tmp_path, "-npp", 1, "-nps", 1]
    nnunet("nnUNetv2_predict", *arguments)
    assert len(list(tmp_path.glob("*.tif"))) == 6
    scores = evaluate_folders(tmp_path, nnunet.raw / images / "labelsTr", tmp_path / "scores")
    assert "Scores of 6 images" in scores


@pytest.mark.parametrize("trainer", ["TinyDiceCE", "TinySkeletonRecall", "TinySoftClDice"])
def test_3d_with_regions_and_ignored_voxels(nnunet, volumes, trainer, tmp_path):
    (nnunet.preprocessed / volumes / "tubeskel.yaml").write_text("iterations: 3\n")
    whole = trainer == "TinySkeletonRecall"  # killed, resumed, validated and predicted
    if whole:
        nnunet.train(volumes, "3d_fullres", trainer, TINY_KILLED_BEFORE="1", fails=True)
    text = nnunet.train(volumes, "3d_fullres", trainer, *["--c"] * whole)
    fold = nnunet.fold(volumes, trainer, "3d_fullres")
    assert checkpoint(fold)["init_args"]["tubeskel"]["iterations"] == 3
    # nnU-Net adds up the cross-entropies of the two regions where pixels are ignored
    terms = {"topology": "cldice"} if trainer == "TinySoftClDice" else {}
    alpha = 0 if trainer == "TinyDiceCE" else 1
    assert_terms_add_up(text, epochs=1 if whole else 2, ce=2, alpha=alpha, **terms)
    assert (fold / "validation" / "summary.json").is_file() == whole
    if whole:
        arguments = ["-d", 902, "-c", "3d_fullres", "-f", 0, "-tr", trainer, "-device", "cpu"]
        arguments += ["-i", nnunet.raw / volumes / "imagesTr", "-o", tmp_path]
        nnunet("nnUNetv2_predict", *arguments, "-npp", 1, "-nps", 1)
        labels = nnunet.raw / volumes / "labelsTr"
        scores = evaluate_folders(tmp_path, labels, tmp_path / "scores", ignore=3)
        assert "Scores of 4 images" in scores


def test_cascade(nnunet, cascade):
    """The second stage sees the image and the two labels that the first has predicted."""
    trainer = "TinySkeletonRecall"
    for stage, channels in (("3d_lowres", 1), ("3d_cascade_fullres", 3)):
        text = nnunet.train(cascade, stage, trainer, fold="all")
        assert_terms_add_up(text, epochs=2, ce=2)
        fold = nnunet.fold(cascade, trainer, stage, "all")
        first_layer = next(iter(checkpoint(fold)["network_weights"].values()))
        assert first_layer.shape[1] == channels
        assert len(list((fold / "validation").glob("*.tif"))) == 4
    lower = nnunet.fold(cascade, trainer, "3d_lowres", "all").parent
    predicted = lower / "predicted_next_stage" / "3d_cascade_fullres"
    assert sorted(path.stem for path in predicted.iterdir()) == [f"case_{i}" for i in range(4)]
