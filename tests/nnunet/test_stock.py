"""The baseline is nnU-Net's own loss, on its batches and its network."""

from __future__ import annotations

import inspect
import os
from unittest import mock

import pytest
import torch

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed; `make test-nnunet` has it")

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from tubeskel.nnunet.trainers import TRAINERS, nnUNetTrainerDiceCE


def start(nnunet, kind, data_set, configuration):
    from batchgenerators.utilities.file_and_folder_operations import load_json

    folder = nnunet.preprocessed / data_set
    plans = load_json(str(folder / "nnUNetPlans.json"))
    description = load_json(str(folder / "dataset.json"))
    variables = {**nnunet.environment, "nnUNet_n_proc_DA": "0"}
    with mock.patch.dict(os.environ, variables):
        plans["continue_training"] = False
        trainer = kind(plans, configuration, 0, description, torch.device("cpu"))
        trainer.initialize()
        trainer.on_train_start()
    return trainer


@pytest.mark.parametrize("dims", [2, 3])
def test_the_baseline_is_stock_nnunet(nnunet, request, dims):
    data_set = request.getfixturevalue("images" if dims == 2 else "volumes")
    configuration = "2d" if dims == 2 else "3d_fullres"
    stock, ours = (
        start(nnunet, kind, data_set, configuration)
        for kind in (nnUNetTrainer, nnUNetTrainerDiceCE)
    )
    ours.network.load_state_dict(stock.network.state_dict())
    for _ in range(2):
        batch = next(stock.dataloader_train)
        assert len(batch["target"]) > 2
        expected, loss = (trainer.train_step(batch)["loss"] for trainer in (stock, ours))
        assert loss == pytest.approx(expected, rel=1e-5)
    weights = zip(stock.network.parameters(), ours.network.parameters(), strict=True)
    for theirs, own in weights:
        torch.testing.assert_close(own, theirs, rtol=1e-3, atol=1e-5)
    expected, result = (trainer.validation_step(batch) for trainer in (stock, ours))
    assert result["loss"] == pytest.approx(expected["loss"], rel=1e-4)


def test_schedules_and_arguments():
    for name, trainer in TRAINERS.items():
        parameters = list(inspect.signature(trainer).parameters)
        assert parameters == ["plans", "configuration", "fold", "dataset_json", "device"]
        length = name.partition("_")[2]
        assert trainer.epochs == (int(length.removesuffix("epochs")) if length else None)
