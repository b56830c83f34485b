"""Tensors of any strides are made contiguous once."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import tubeskel
from tubeskel import DeepSupervision, DiceCESkeletonRecallLoss

LOSSES = {
    "recall": tubeskel.SkeletonRecallLoss(),
    "compound": DiceCESkeletonRecallLoss(),
    "soft clDice": tubeskel.SoftClDiceLoss(),
    "compound with soft clDice": tubeskel.DiceCESoftClDiceLoss(),
    "pooled tubes": lambda logits, target: DeepSupervision(
        DiceCESkeletonRecallLoss(), lower_tubes="max_pool"
    )([logits], target),
}


class Copies(TorchDispatchMode):
    """Counts copies of the size of a tensor or larger."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        copying = {torch.ops.aten.clone.default, torch.ops.aten._to_copy.default}
        if function in copying and result.numel() >= self.pixels:
            self.count += 1
        return result


@pytest.mark.parametrize("name", LOSSES)
def test_each_tensor_is_copied_once(name):
    logits = torch.randn(2, 3, 16, 12).to(memory_format=torch.channels_last).requires_grad_()
    target = torch.randint(0, 3, (2, 12, 16)).mT
    assert not logits.is_contiguous()
    assert not target.is_contiguous()
    with Copies(target.numel()) as copies:
        LOSSES[name](logits, target)
    assert copies.count == 2
