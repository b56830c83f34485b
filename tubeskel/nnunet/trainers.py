"""Trainers for nnU-Net v2: its own one, with another loss.

Everything but the loss is nnU-Net's: plans, data loader, augmentation, network, optimiser.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import distributed, nn

from .loss import TrainerLoss, dice_ce_cldice, dice_ce_recall
from .settings import Settings, load_settings

EPOCHS = (5, 20, 100, 250)


class _Trainer(nnUNetTrainer):
    """nnU-Net's trainer with a loss of tubeskel.

    The settings stand in the log and, as ``init_args["tubeskel"]``, in every checkpoint. A training
    that is resumed goes on with those of its checkpoint.
    """

    epochs: ClassVar[int | None] = None
    """length of the schedule; None is nnU-Net's"""

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        if self.epochs is not None:
            self.num_epochs = self.epochs
        self._use_settings(load_settings(self.preprocessed_dataset_folder_base))

    def _use_settings(self, settings: Settings) -> None:
        self.settings = settings
        self.my_init_kwargs["tubeskel"] = asdict(settings)
        self.print_to_log_file("tubeskel:", asdict(settings))

    def _build_loss(self) -> TrainerLoss:
        # Made for its weights: they depend on DDP and torch.compile too.
        stock = super()._build_loss()
        labels = self.label_manager
        loss = self._make_loss(
            batch=self.configuration_manager.batch_dice,
            regions=len(labels.foreground_regions) if labels.has_regions else 0,
            ignore_label=labels.ignore_label,
            distributed=self.is_ddp,
        )
        return TrainerLoss(
            loss,
            stock.weight_factors if self.enable_deep_supervision else None,
            lower_tubes=self.settings.lower_tubes,
            ignore_channel=labels.has_regions and labels.ignore_label is not None,
        )

    def _make_loss(self, **options: Any) -> nn.Module:
        """Return the loss of one resolution; `options` are those of `nnunet_dice_ce`."""
        raise NotImplementedError

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """Load a checkpoint; the loss becomes the one that it was made with."""
        super().load_checkpoint(filename_or_checkpoint)
        recorded = self.my_init_kwargs.setdefault("tubeskel", asdict(self.settings))
        if recorded != asdict(self.settings):
            self.print_to_log_file("tubeskel: settings are those of the checkpoint, not the new:")
            self._use_settings(Settings(**recorded))
            self.loss = self._build_loss()

    def on_train_epoch_start(self) -> None:
        """Begin the means of the terms."""
        super().on_train_epoch_start()
        self.loss.forget_terms()

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        """Write a line for each term."""
        super().on_train_epoch_end(train_outputs)
        self._log_terms("train")

    def on_validation_epoch_start(self) -> None:
        """Begin the means of the terms."""
        super().on_validation_epoch_start()
        self.loss.forget_terms()

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        """Write a line for each term."""
        super().on_validation_epoch_end(val_outputs)
        self._log_terms("val")

    def _log_terms(self, part: str) -> None:
        terms = [self.loss.mean_terms()]
        if self.is_ddp:
            terms *= distributed.get_world_size()
            distributed.all_gather_object(terms, terms[0])
        for name in terms[0]:
            value = np.mean([of_process[name] for of_process in terms])
            self.print_to_log_file(f"{part}_{name}", np.round(value, decimals=4))


class nnUNetTrainerDiceCE(_Trainer):
    """nnU-Net's Dice + cross-entropy: the baseline. Its log has the recall too."""

    def _make_loss(self, **options: Any) -> nn.Module:
        return dice_ce_recall(self.settings, alpha=0.0, **options)


class nnUNetTrainerSkeletonRecall(_Trainer):
    """Dice + cross-entropy + Skeleton Recall."""

    def _make_loss(self, **options: Any) -> nn.Module:
        return dice_ce_recall(self.settings, alpha=self.settings.alpha, **options)


class nnUNetTrainerSoftClDice(_Trainer):
    """Dice + cross-entropy + soft clDice."""

    def _make_loss(self, **options: Any) -> nn.Module:
        return dice_ce_cldice(self.settings, **options)


_KINDS = (nnUNetTrainerDiceCE, nnUNetTrainerSkeletonRecall, nnUNetTrainerSoftClDice)
TRAINERS: dict[str, type[_Trainer]] = {kind.__name__: kind for kind in _KINDS}
for _kind in _KINDS:
    for _epochs in EPOCHS:
        _name = f"{_kind.__name__}_{_epochs}epochs"
        _body = {"epochs": _epochs, "__module__": __name__, "__doc__": _kind.__doc__}
        TRAINERS[_name] = type(_name, (_kind,), _body)
globals().update(TRAINERS)

__all__ = list(TRAINERS)
