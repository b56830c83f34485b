"""The study of all arms: the whole design, no arm twice, and each of them trains."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.batches import BatchStream, Store
from experiments.config import GradientsConfig
from experiments.losses import ArmLoss
from experiments.networks import build_network, training_outputs
from experiments.study import load
from experiments.training import train

CONFIGS = Path(__file__).resolve().parents[2] / "experiments" / "configs"
(CONFIG,) = load(CONFIGS / "study_arms.yaml").runs
ARMS = CONFIG.arms


@pytest.fixture(scope="module")
def stream():
    """Two crops a batch, with nested classes."""
    samples = replace(CONFIG.data, count=4).load().samples
    settings = replace(CONFIG.train, batch_size=2)
    return BatchStream(Store(samples, torch.device("cpu")), settings, CONFIG.augment, 0, 0)


def network():
    return build_network(CONFIG.network, CONFIG.train.crop, 1, 3, 0, 0)


def loss_of(arm):
    return ArmLoss(ARMS[arm], CONFIG.network.head_weights, CONFIG.terms)


def test_the_whole_design_is_there():
    srl = [arm for arm in ARMS.values() if arm.loss == "dice_ce_srl"]
    assert {arm.alpha for arm in srl} == {0.1, 0.5, 1.0}
    assert {arm.radius for arm in srl} == {0, 1, 2, 3, 4}
    assert {arm.recall for arm in srl} == {"linear", "log", "cross_entropy", "tversky"}
    assert {arm.tube_from for arm in srl} == {"skeleton", "mask"}
    assert {arm.per_class for arm in srl} == {False, True}
    assert any(0 < arm.start < 1 for arm in srl)
    assert {"dice_ce", "ce_srl", "dice_ce_cldice"} <= {arm.loss for arm in ARMS.values()}
    crossed = {(arm.loss, arm.deep_supervision) for arm in ARMS.values()}
    assert crossed >= {(loss, ds) for loss in ("dice_ce", "dice_ce_srl") for ds in (True, False)}


def test_no_two_arms_are_the_same(stream):
    image, target = stream.batch(0)
    outputs = training_outputs(network().train(), image, CONFIG.network.head_size)
    values = {
        arm: tuple(round(loss_of(arm)(outputs, target, share).item(), 5) for share in (0.0, 1.0))
        for arm in ARMS
    }
    assert len(set(values.values())) == len(ARMS), values


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_does_a_step(arm, stream, tmp_path):
    trained = network()
    before = [weight.clone() for weight in trained.parameters()]
    config = replace(
        CONFIG,
        train=replace(stream.train, iterations=1),
        gradients=GradientsConfig(every=1),
    )
    train(trained, loss_of(arm), stream, config, tmp_path, lambda count, loss: None)
    after = list(trained.parameters())
    assert all(weight.isfinite().all() for weight in after)
    assert not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    (entry,) = map(json.loads, (tmp_path / "gradients.jsonl").read_text().splitlines())
    assert entry["terms"]["srl"]["logits_on"] > 0
