"""Against whom: other implementations, each optional, each behind the same call as ours."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.cases import LossInput, Unavailable

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Peer:
    """Another implementation of an operation.

    ``make`` gets the imported module and the number of threads and returns the function that is
    timed. Where ``same_result`` holds, every result is compared with ours. ``target_mean``,
    ``target_least`` and ``target_unlisted`` are how far ahead we mean to be: geometric mean over
    the listed cases, on every one of them, and on every other case. One that
    ``compiles`` is called once on each case before it is timed.
    """

    name: str
    operation: str
    algorithm: str
    module: str
    distribution: str
    make: Callable[[Any, int], Function]
    same_result: bool = True
    target_mean: float | None = None
    target_least: float | None = None
    target_unlisted: float | None = None
    compiles: bool = False

    def load(self, threads: int) -> Function:
        """Import the peer; `Unavailable` if it is not installed."""
        try:
            module = importlib.import_module(self.module)
        except ImportError:
            raise Unavailable(f"{self.distribution} is not installed") from None
        return self.make(module, threads)

    @property
    def version(self) -> str:
        """Version of the installed distribution."""
        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return "?"


def _skimage_skeletonize(morphology: Any, threads: int) -> Function:
    return lambda mask: morphology.skeletonize(mask, method="zhang")


def _skimage_lee(morphology: Any, threads: int) -> Function:
    return lambda volume: morphology.skeletonize(volume, method="lee")


def _skimage_thin(morphology: Any, threads: int) -> Function:
    return lambda mask: morphology.thin(mask)


def _skimage_recipe(morphology: Any, threads: int) -> Function:
    """Tube as in the Skeleton Recall reference, on booleans, which is kinder than its int16."""

    def recipe(labels: Any) -> Any:
        skeleton = morphology.skeletonize(labels > 0)
        return morphology.dilation(morphology.dilation(skeleton)) * labels

    return recipe


def _diplib_skeleton(diplib: Any, threads: int) -> Function:
    import numpy as np

    def skeleton(mask: Any) -> Any:
        binary = diplib.Image(mask)  # a boolean array becomes a binary image
        return np.asarray(diplib.EuclideanSkeleton(binary, endPixelCondition="natural"))

    diplib.SetNumberOfThreads(threads)
    return skeleton


def _itk_thinning(itk: Any, threads: int) -> Function:
    if not hasattr(itk, "binary_thinning_image_filter3_d"):
        raise Unavailable("itk-thickness3d is not installed")
    itk.MultiThreaderBase.SetGlobalMaximumNumberOfThreads(threads)

    def skeleton(volume: Any) -> Any:
        image = itk.image_view_from_array(volume.view("uint8"))
        return itk.array_view_from_image(itk.binary_thinning_image_filter3_d(image)).view(bool)

    return skeleton


def _gaara_thin(gaara: Any, threads: int) -> Function:
    # it works on Fortran order: the transpose spares it a conversion
    return lambda volume: gaara.thin(volume.T, threads=threads).T


def _eager_loss(one_hot_of: Callable[[Any, Any], Any]) -> Callable[[Any, int], Function]:
    """Skeleton recall over the classes present, written down as in the paper's equation 1.

    ``one_hot_of(probability, tube)`` makes the one-hot tube, of the shape of the probabilities.
    """

    def setup(torch: Any, threads: int) -> Function:
        def loss_and_gradient(case: LossInput) -> tuple[Any, Any]:
            axes = (0, *range(2, case.logits.ndim))
            probability = torch.softmax(case.logits, 1)
            one_hot = one_hot_of(probability, case.tube.long())
            recalled = (probability * one_hot).sum(axes)[1:]
            total = one_hot.sum(axes)[1:]
            present = total > 0  # not an index: on a GPU that would wait for the device
            recall = torch.where(present, recalled / total.clamp(min=1), 0)
            loss = -recall.sum() / present.sum()
            (gradient,) = torch.autograd.grad(loss, case.logits)
            return loss.detach(), gradient

        return loss_and_gradient

    return setup


def _one_hot(probability: Any, tube: Any) -> Any:
    from torch.nn.functional import one_hot

    return one_hot(tube, probability.shape[1]).movedim(-1, 1).to(probability.dtype)


def _scattered(probability: Any, tube: Any) -> Any:
    return probability.new_zeros(probability.shape).scatter_(1, tube[:, None], 1)


def _nnunet_terms(case: LossInput) -> Any:
    """Dice, cross-entropy and skeleton recall, each computed as nnU-Net's losses compute theirs."""
    import torch
    from torch.nn.functional import cross_entropy

    axes = tuple(range(2, case.logits.ndim))
    probability = torch.softmax(case.logits, 1)[:, 1:]

    def one_hot(labels: Any) -> Any:
        planes = torch.zeros(case.logits.shape, dtype=torch.bool)
        return planes.scatter_(1, labels[:, None].long(), 1)[:, 1:]

    with torch.no_grad():
        target, tube = one_hot(case.target), one_hot(case.tube)
        total, on_tube = target.sum(axes).sum(0), tube.sum(axes).sum(0)
    intersect = (probability * target).sum(axes).sum(0)
    predicted = probability.sum(axes).sum(0)
    dice = (2 * intersect + 1e-5) / torch.clip(total + predicted + 1e-5, 1e-8)
    recall = (probability * tube).sum(axes).sum(0) / torch.clip(on_tube, 1e-8)
    present = on_tube > 0
    recall = torch.where(present, recall, 0).sum() / present.sum()
    return cross_entropy(case.logits, case.target.long()) - dice.mean() - recall


def _monai_terms(monai_losses: Any) -> Callable[[LossInput], Any]:
    dice_ce = monai_losses.DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True
    )

    def terms(case: LossInput) -> Any:
        import torch

        axes = (0, *range(2, case.logits.ndim))
        probability = torch.softmax(case.logits, 1)
        one_hot = _one_hot(probability, case.tube.long())
        recall = (probability * one_hot).sum(axes)[1:] / one_hot.sum(axes)[1:].clip(1e-8)
        return dice_ce(case.logits, case.target[:, None].long()) - recall.mean()

    return terms


def _with_gradient(terms: Callable[[LossInput], Any]) -> Function:
    def loss_and_gradient(case: LossInput) -> tuple[float, Any]:
        import torch

        loss = terms(case)
        (gradient,) = torch.autograd.grad(loss, case.logits)
        return loss.item(), gradient

    return loss_and_gradient


SCIKIT_IMAGE = ("skimage.morphology", "scikit-image")
DIPLIB = ("diplib", "diplib")
ITK = ("itk", "itk-thickness3d")
GAARA = ("gaara", "gaara")

PEERS = (
    Peer(
        "scikit-image",
        "skeletonize",
        "Zhang-Suen table",
        *SCIKIT_IMAGE,
        _skimage_skeletonize,
        target_mean=40,
        target_least=15,
    ),
    Peer(
        "diplib",
        "skeletonize",
        "Euclidean skeleton",
        *DIPLIB,
        _diplib_skeleton,
        same_result=False,
        target_least=1,
    ),
    Peer(
        "scikit-image",
        "thin",
        "Guo-Hall",
        *SCIKIT_IMAGE,
        _skimage_thin,
        target_mean=200,
        target_least=15,
    ),
    Peer(
        "diplib",
        "thin",
        "Euclidean skeleton",
        *DIPLIB,
        _diplib_skeleton,
        same_result=False,
        target_least=1,
    ),
    Peer(
        "scikit-image",
        "tubed_skeleton",
        "skeletonize, dilate twice, multiply",
        *SCIKIT_IMAGE,
        _skimage_recipe,
        target_mean=30,
    ),
    Peer(
        "scikit-image",
        "skeletonize_3d",
        "Lee",
        *SCIKIT_IMAGE,
        _skimage_lee,
        target_least=20,
        target_unlisted=8,
    ),
    Peer(
        "itk",
        "skeletonize_3d",
        "Lee, BinaryThinningImageFilter3D",
        *ITK,
        _itk_thinning,
        target_least=5,
        target_unlisted=5,
    ),
    Peer(
        "diplib",
        "skeletonize_3d",
        "Euclidean skeleton",
        *DIPLIB,
        _diplib_skeleton,
        same_result=False,
        target_least=5,
        target_unlisted=5,
    ),
    Peer(
        "gaara",
        "skeletonize_3d",
        "Palágyi, isthmus-based",
        *GAARA,
        _gaara_thin,
        same_result=False,
        target_least=5,
        target_unlisted=5,
    ),
    Peer(
        "scikit-image",
        "tubed_skeleton_3d",
        "skeletonize, dilate twice, multiply",
        *SCIKIT_IMAGE,
        _skimage_recipe,
    ),
    Peer(
        "torch",
        "srl_loss",
        "eager: softmax, one_hot, sums",
        "torch",
        "torch",
        _eager_loss(_one_hot),
        target_least=8,
    ),
    Peer(
        "torch-scatter",
        "srl_loss",
        "eager: ones scattered into zeros, as the reference implementation does",
        "torch",
        "torch",
        _eager_loss(_scattered),
    ),
    Peer(
        "torch",
        "dice_ce_srl_loss",
        "eager: written as nnU-Net computes its losses",
        "torch",
        "torch",
        lambda torch, threads: _with_gradient(_nnunet_terms),
        target_least=8,
    ),
    Peer(
        "torch-compile",
        "dice_ce_srl_loss",
        "the same under torch.compile",
        "torch",
        "torch",
        lambda torch, threads: _with_gradient(torch.compile(_nnunet_terms)),
        compiles=True,
    ),
    Peer(
        "monai",
        "dice_ce_srl_loss",
        "DiceCELoss, and eager skeleton recall; 1 - Dice instead of - Dice",
        "monai.losses",
        "monai",
        lambda losses, threads: _with_gradient(_monai_terms(losses)),
        same_result=False,
    ),
)
