"""Skeletons, tubed skeletons and topology losses for thin tubular structures.

NumPy arrays and PyTorch tensors are taken alike, and the kind that goes in comes out. PyTorch is
imported only where a loss is used or a tensor is given.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._threads import get_num_threads, set_num_threads
from ._version import __version__
from .morphology import (
    dilate,
    skeletonize,
    thin,
    tubed_skeleton,
    tubed_skeleton_and_counts,
)

if TYPE_CHECKING:
    from . import gradients, losses, metrics
    from ._config import show_config
    from .losses import (
        DeepSupervision,
        DiceCESkeletonRecallLoss,
        DiceCESoftClDiceLoss,
        SkeletonRecallLoss,
        SoftClDiceLoss,
        dice_ce_soft_cldice_loss,
        dice_ce_srl_loss,
        soft_cldice_loss,
        srl_loss,
    )

__all__ = [
    "DeepSupervision",
    "DiceCESkeletonRecallLoss",
    "DiceCESoftClDiceLoss",
    "SkeletonRecallLoss",
    "SoftClDiceLoss",
    "__version__",
    "dice_ce_soft_cldice_loss",
    "dice_ce_srl_loss",
    "dilate",
    "get_num_threads",
    "gradients",
    "losses",
    "metrics",
    "set_num_threads",
    "show_config",
    "skeletonize",
    "soft_cldice_loss",
    "srl_loss",
    "thin",
    "tubed_skeleton",
    "tubed_skeleton_and_counts",
]

# Where to find what is loaded on first use: the module, and the attribute if it is not the module.
_LAZY = {
    "DeepSupervision": ("losses", "DeepSupervision"),
    "DiceCESkeletonRecallLoss": ("losses", "DiceCESkeletonRecallLoss"),
    "DiceCESoftClDiceLoss": ("losses", "DiceCESoftClDiceLoss"),
    "SkeletonRecallLoss": ("losses", "SkeletonRecallLoss"),
    "SoftClDiceLoss": ("losses", "SoftClDiceLoss"),
    "dice_ce_soft_cldice_loss": ("losses", "dice_ce_soft_cldice_loss"),
    "dice_ce_srl_loss": ("losses", "dice_ce_srl_loss"),
    "gradients": ("gradients", None),
    "losses": ("losses", None),
    "metrics": ("metrics", None),
    "show_config": ("_config", "show_config"),
    "soft_cldice_loss": ("losses", "soft_cldice_loss"),
    "srl_loss": ("srl_loss", None),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    loaded = importlib.import_module(f".{module}", __name__)
    return loaded if attribute is None else getattr(loaded, attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
