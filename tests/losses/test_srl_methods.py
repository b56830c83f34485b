"""`srl_loss` on skeletons of another method, by name or as a function."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.morphology
import torch
from skimage.morphology import medial_axis
from srl_oracle import make_case, value_and_grad

import tubeskel
from tubeskel import SkeletonRecallLoss, srl_loss

pytestmark = pytest.mark.usefixtures("device")

OPTIONS = [
    {},
    {"radius": 0, "ignore_index": 2, "per_class": True},
    {"classes": "all", "smooth": 1e-5, "batch": False},
]


def assert_same(loss, other, logits):
    for one, another in zip(
        value_and_grad(loss, logits), value_and_grad(other, logits), strict=True
    ):
        assert torch.equal(one, another)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("channels", [3, 300])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_built_in_rules_as_a_function_change_nothing(options, channels, spatial_dims):
    logits, target = make_case(samples=7, channels=channels, shape=(20, 33))
    if spatial_dims == 3:
        logits, target = logits.transpose(0, 1)[None], target[None]
    for method in (tubeskel.skeletonize, skimage.morphology.skeletonize):
        loss = srl_loss(logits, target, method=method, **options)
        assert_same(loss, srl_loss(logits, target, **options), logits)


def test_other_methods_equal_the_loss_on_their_tube():
    logits, target = make_case(samples=3, channels=3)
    for method in ("lee", tubeskel.thin, lambda mask: medial_axis(mask, rng=0)):
        tube = tubeskel.tubed_skeleton(target, method=method, keep_components=True, spatial_dims=2)
        for loss in (srl_loss, SkeletonRecallLoss(method=method)):
            options = {"method": method} if loss is srl_loss else {}
            expected = srl_loss(logits, target, tube=tube)
            assert_same(loss(logits, target, **options), expected, logits)


def test_no_object_leaves_the_loss():
    logits, target = make_case(channels=2)
    loss = srl_loss(logits, target, method=np.zeros_like)
    assert loss < 0


def test_each_channel_of_a_sigmoid_is_a_class():
    logits, labels = make_case(channels=2)
    target = torch.stack([labels, 1 - labels], 1)
    options = {"activation": "sigmoid"}
    loss = srl_loss(logits, target, method=tubeskel.skeletonize, **options)
    assert_same(loss, srl_loss(logits, target, **options), logits)


def test_labels_are_checked_as_ever():
    logits, target = make_case(channels=2)
    target[0, 3, 4] = 2
    with pytest.raises(ValueError, match=r"target holds 2; allowed: 0\.\.1"):
        srl_loss(logits, target, method=tubeskel.skeletonize)
