"""No loss waits for the device: none looks at a value of tensors on CUDA, which here are fakes."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import tubeskel
from tubeskel import DeepSupervision, DiceCESkeletonRecallLoss, SkeletonRecallLoss, _array

LOSSES = {
    "recall": SkeletonRecallLoss,
    "recall, each class": lambda **options: SkeletonRecallLoss(per_class=True, **options),
    "compound": DiceCESkeletonRecallLoss,
    "compound, each class": lambda **options: DiceCESkeletonRecallLoss(per_class=True, **options),
    "soft clDice": tubeskel.SoftClDiceLoss,
    "compound with soft clDice": tubeskel.DiceCESoftClDiceLoss,
}
# With deep supervision too, where it takes them.
LEVELS = [(name, lower) for name in LOSSES for lower in (None, "skeletonize")]
LEVELS += [(name, "max_pool") for name in LOSSES if "clDice" not in name]
LEVELS += [(name, "none") for name in LOSSES if "compound" in name]


@pytest.fixture
def fakes(monkeypatch):
    """Makes tensors on the second CUDA device, of a shape and no values."""
    monkeypatch.setattr(_array, "CUDA_ARCHITECTURES", "9.0")
    with FakeTensorMode():
        yield lambda *shape, **options: torch.zeros(shape, device="cuda:1", **options)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("activation", "channels"), [("softmax", 3), ("softmax", 300), ("sigmoid", 1), ("sigmoid", 2)]
)
@pytest.mark.parametrize(("name", "lower_tubes"), LEVELS)
def test_loss(fakes, name, lower_tubes, activation, channels, dtype):
    logits = [fakes(2, channels, size, size, dtype=dtype) for size in (16, 8)]
    target = fakes(2, *([channels] if activation == "sigmoid" else []), 16, 16, dtype=torch.int64)
    criterion = LOSSES[name](activation=activation)
    if lower_tubes is None:
        loss = criterion(logits[0], target)
    else:
        loss = DeepSupervision(criterion, lower_tubes=lower_tubes)(logits, target)
    assert loss.device == torch.device("cuda:1")
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


@pytest.mark.parametrize("kind", [DiceCESkeletonRecallLoss, tubeskel.DiceCESoftClDiceLoss])
def test_class_weights_are_copied_to_the_device_once(monkeypatch, kind):
    monkeypatch.setattr(_array, "CUDA_ARCHITECTURES", "9.0")
    criterion = kind(class_weights=[1.0, 2.0])
    with FakeTensorMode(allow_non_fake_inputs=True):
        logits = torch.zeros(1, 2, 8, 8, device="cuda:1")
        target = torch.zeros(1, 8, 8, dtype=torch.uint8, device="cuda:1")
        criterion(logits, target)
        weights = criterion.class_weights
        assert weights.device == logits.device
        criterion.without_topology(logits, target)
        assert criterion.class_weights is weights
