"""What a training step takes without the Skeleton Recall Loss, and with it made by others."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.cases import StepInput
from benchmarks.peers.losses import one_hot, recall_loss
from benchmarks.peers.peer import ANYWHERE, MONAI, SKIMAGE, Function, Peer
from benchmarks.peers.tubes import skimage_recipe


def _in_the_loader(morphology: Any, threads: int) -> Function:
    """Tubes as the data loader makes them, one image after the other, and the eager loss."""
    import torch

    recipe = skimage_recipe(morphology, threads)

    def loss_and_gradient(case: StepInput) -> tuple[Any, Any]:
        tubes = np.stack([recipe(labels) for labels in case.target.cpu().numpy()])
        tube = torch.from_numpy(tubes).to(case.target.device)
        loss = recall_loss(case.logits, tube, one_hot)
        (gradient,) = torch.autograd.grad(loss, case.logits)
        return loss.detach(), gradient

    return loss_and_gradient


def _step(losses: Any, threads: int, *, with_srl: bool) -> Function:
    import tubeskel

    dice_ce = losses.DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)

    def step(case: StepInput) -> Any:
        case.optimizer.zero_grad(set_to_none=True)
        logits = case.network(case.images)
        loss = dice_ce(logits, case.target[:, None].long())
        if with_srl:
            loss = loss + tubeskel.srl_loss(logits, case.target)
        loss.backward()
        case.optimizer.step()
        return loss.detach()

    return step


def _step_alone(losses: Any, threads: int) -> Function:
    return _step(losses, threads, with_srl=False)


def _step_with_srl(losses: Any, threads: int) -> Function:
    return _step(losses, threads, with_srl=True)


PEERS = (
    Peer(
        "scikit-image",
        "train_step",
        "MIC-DKFZ's recipe, as in its data loader but waited for, and the eager loss",
        *SKIMAGE,
        _in_the_loader,
        devices=ANYWHERE,
    ),
    Peer(
        *("step", "train_step", "the whole step, Dice + CE", *MONAI, _step_alone),
        same_result=False,
        target_least=33,
        devices=ANYWHERE,
    ),
    Peer(
        *("step-srl", "train_step", "the whole step, Dice + CE + SRL by tubeskel", *MONAI),
        _step_with_srl,
        same_result=False,
        devices=ANYWHERE,
    ),
)
