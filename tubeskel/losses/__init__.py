"""Losses on skeletons and tubes around them, as functions and modules."""

from .deep_supervision import DeepSupervision
from .dice_ce_soft_cldice import DiceCESoftClDiceLoss, dice_ce_soft_cldice_loss
from .dice_ce_srl import DiceCESkeletonRecallLoss, dice_ce_srl_loss
from .skeleton_recall import SkeletonRecallLoss, srl_loss
from .soft_cldice import SoftClDiceLoss, soft_cldice_loss

__all__ = [
    "DeepSupervision",
    "DiceCESkeletonRecallLoss",
    "DiceCESoftClDiceLoss",
    "SkeletonRecallLoss",
    "SoftClDiceLoss",
    "dice_ce_soft_cldice_loss",
    "dice_ce_srl_loss",
    "soft_cldice_loss",
    "srl_loss",
]
