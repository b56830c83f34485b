"""Who else computes losses: the same formula in PyTorch, and the losses that MONAI has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

from benchmarks.cases import LossInput
from benchmarks.peers.peer import ANYWHERE, MONAI, TORCH, Function, Peer


def recall_loss(logits: Any, tube: Any, one_hot_of: Callable[[Any, Any], Any]) -> Any:
    """Skeleton recall over the classes present, written down as in the paper's equation 1.

    ``one_hot_of(probability, tube)`` makes the one-hot tube, of the shape of the probabilities.
    """
    import torch

    axes = (0, *range(2, logits.ndim))
    probability = torch.softmax(logits, 1)
    one_hot = one_hot_of(probability, tube.long())
    recalled = (probability * one_hot).sum(axes)[1:]
    total = one_hot.sum(axes)[1:]
    present = total > 0  # not an index: on a GPU that would wait for the device
    recall = torch.where(present, recalled / total.clamp(min=1), 0)
    return -recall.sum() / present.sum()


def with_gradient(loss_of: Callable[[LossInput], Any]) -> Function:
    """Return a function from an input to a loss and its gradient."""
    import torch

    def loss_and_gradient(case: LossInput) -> tuple[Any, Any]:
        loss = loss_of(case)
        (gradient,) = torch.autograd.grad(loss, case.logits)
        return loss.detach(), gradient

    return loss_and_gradient


def _eager(torch: Any, threads: int, *, one_hot_of: Callable[[Any, Any], Any]) -> Function:
    return with_gradient(lambda case: recall_loss(case.logits, case.tube, one_hot_of))


def _compiled(torch: Any, threads: int) -> Function:
    compiled = torch.compile(partial(recall_loss, one_hot_of=one_hot), dynamic=False)
    return with_gradient(lambda case: compiled(case.logits, case.tube))


def one_hot(probability: Any, tube: Any) -> Any:
    """Return the tube as one channel a class."""
    from torch.nn.functional import one_hot

    return one_hot(tube, probability.shape[1]).movedim(-1, 1).to(probability.dtype)


def _scattered(probability: Any, tube: Any) -> Any:
    return probability.new_zeros(probability.shape).scatter_(1, tube[:, None], 1)


def _monai_dice_ce(losses: Any, threads: int) -> Function:
    loss = losses.DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
    return with_gradient(lambda case: loss(case.logits, case.target[:, None].long()))


def _monai_soft_cldice(losses: Any, threads: int) -> Function:
    loss = losses.SoftclDiceLoss(iter_=10, softmax=True, include_background=False)
    return with_gradient(lambda case: loss(case.logits, one_hot(case.logits, case.target.long())))


def _soft_skeleton(image: Any) -> Any:
    """Ten iterations by pooling, as the authors of clDice write it."""
    import torch
    from torch.nn import functional

    axes = image.ndim - 2
    pool = functional.max_pool2d if axes == 2 else functional.max_pool3d

    def erode(image: Any) -> Any:
        sizes = [tuple(3 if a == axis else 1 for a in range(axes)) for axis in range(axes)]
        windows = [-pool(-image, size, 1, [n // 2 for n in size]) for size in sizes]
        return reduce(torch.minimum, windows)

    skeleton = functional.relu(image - pool(erode(image), 3, 1, 1))
    for _ in range(10):
        image = erode(image)
        found = functional.relu(image - pool(erode(image), 3, 1, 1))
        skeleton = skeleton + functional.relu(found - skeleton * found)
    return skeleton


def _soft_cldice(case: LossInput) -> Any:
    """Of the foreground of two classes, summed over the batch."""
    p = case.logits.softmax(1)[:, 1:]
    y = (case.target[:, None] == 1).to(p.dtype)
    of_p, of_y = _soft_skeleton(p), _soft_skeleton(y)
    precision = ((of_p * y).sum() + 1) / (of_p.sum() + 1)
    recall = ((of_y * p).sum() + 1) / (of_y.sum() + 1)
    return 1 - 2 * precision * recall / (precision + recall)


def _nnunet_terms(case: LossInput) -> Any:
    """Dice, cross-entropy and skeleton recall, each computed as nnU-Net's losses compute theirs."""
    import torch
    from torch.nn.functional import cross_entropy

    axes = tuple(range(2, case.logits.ndim))
    probability = torch.softmax(case.logits, 1)[:, 1:]

    def planes_of(labels: Any) -> Any:
        planes = torch.zeros_like(case.logits, dtype=torch.bool)
        return planes.scatter_(1, labels[:, None].long(), 1)[:, 1:]

    with torch.no_grad():
        target, tube = planes_of(case.target), planes_of(case.tube)
        total, on_tube = target.sum(axes).sum(0), tube.sum(axes).sum(0)
    intersect = (probability * target).sum(axes).sum(0)
    predicted = probability.sum(axes).sum(0)
    dice = (2 * intersect + 1e-5) / torch.clip(total + predicted + 1e-5, 1e-8)
    recall = (probability * tube).sum(axes).sum(0) / torch.clip(on_tube, 1e-8)
    present = on_tube > 0
    recall = torch.where(present, recall, 0).sum() / present.sum()
    return cross_entropy(case.logits, case.target.long()) - dice.mean() - recall


def _monai_terms(losses: Any, threads: int) -> Function:
    dice_ce = losses.DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True
    )

    def terms(case: LossInput) -> Any:
        recall = recall_loss(case.logits, case.tube, one_hot)
        return dice_ce(case.logits, case.target[:, None].long()) + recall

    return with_gradient(terms)


PEERS = (
    Peer(
        *("torch", "srl_loss", "eager: softmax, one_hot, sums", *TORCH),
        partial(_eager, one_hot_of=one_hot),
        target_least=8,
        devices=ANYWHERE,
    ),
    Peer(
        "torch-scatter",
        "srl_loss",
        "eager: ones scattered into zeros, as the reference implementation does",
        *TORCH,
        partial(_eager, one_hot_of=_scattered),
        devices=ANYWHERE,
    ),
    Peer(
        *("torch.compile", "srl_loss", "the eager formula, compiled", *TORCH, _compiled),
        quick=False,
        devices=ANYWHERE,
    ),
    Peer(
        *("monai-dice-ce", "srl_loss", "DiceCELoss, for scale", *MONAI, _monai_dice_ce),
        same_result=False,
        devices=ANYWHERE,
    ),
    Peer(
        "torch",
        "dice_ce_srl_loss",
        "eager: written as nnU-Net computes its losses",
        *TORCH,
        lambda torch, threads: with_gradient(_nnunet_terms),
        target_least=8,
        devices=ANYWHERE,
    ),
    Peer(
        "torch.compile",
        "dice_ce_srl_loss",
        "the same, compiled",
        *TORCH,
        lambda torch, threads: with_gradient(torch.compile(_nnunet_terms, dynamic=False)),
        quick=False,
        devices=ANYWHERE,
    ),
    Peer(
        "monai",
        "dice_ce_srl_loss",
        "DiceCELoss, and eager skeleton recall; 1 - Dice instead of - Dice",
        *MONAI,
        _monai_terms,
        same_result=False,
        devices=ANYWHERE,
    ),
    Peer(
        "torch",
        "soft_cldice_loss",
        "eager: the chain of poolings",
        *TORCH,
        lambda torch, threads: with_gradient(_soft_cldice),
        target_least=5,
        devices=ANYWHERE,
    ),
    Peer(
        "monai",
        "soft_cldice_loss",
        "SoftclDiceLoss, per sample",
        *MONAI,
        _monai_soft_cldice,
        same_result=False,
    ),
)
