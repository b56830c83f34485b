"""The trainers with two epochs of two iterations; nnU-Net finds them in this folder."""

from __future__ import annotations

import os

import torch

from tubeskel.nnunet.trainers import (
    nnUNetTrainerDiceCE,
    nnUNetTrainerSkeletonRecall,
    nnUNetTrainerSoftClDice,
)


class Tiny:
    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = 2
        self.num_iterations_per_epoch = 2
        self.num_val_iterations_per_epoch = 1
        self.save_every = 1

    def on_epoch_start(self):
        if os.environ.get("TINY_KILLED_BEFORE") == str(self.current_epoch):
            raise SystemExit("killed")
        super().on_epoch_start()


class TinySkeletonRecall(Tiny, nnUNetTrainerSkeletonRecall):
    pass


class Unvalidated(Tiny):
    def perform_actual_validation(self, save_probabilities: bool = False):
        pass


class TinyDiceCE(Unvalidated, nnUNetTrainerDiceCE):
    pass


class TinySoftClDice(Unvalidated, nnUNetTrainerSoftClDice):
    pass
