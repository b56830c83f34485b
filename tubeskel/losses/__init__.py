"""Losses on tubed skeletons, as functions and modules."""

from .deep_supervision import DeepSupervision
from .dice_ce_srl import DiceCESkeletonRecallLoss, dice_ce_srl_loss
from .skeleton_recall import SkeletonRecallLoss, srl_loss

__all__ = [
    "DeepSupervision",
    "DiceCESkeletonRecallLoss",
    "SkeletonRecallLoss",
    "dice_ce_srl_loss",
    "srl_loss",
]
