"""The gradient analysis: its numbers, and what it means by missed and vanishing."""

import json
from dataclasses import replace

import pytest
import torch

from experiments import runner
from experiments.config import ArmConfig, GradientsConfig, NetworkConfig
from experiments.gradients import analyse
from experiments.losses import IGNORE, LOSSES, MONITORED, ArmLoss, TermsConfig
from experiments.networks import build_network


@pytest.fixture
def network():
    return build_network(NetworkConfig((4, 8, 8), heads=1), (32, 32), 1, 2, 0, 0).train()


@pytest.fixture
def batch():
    image = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(2, 32, 32, dtype=torch.uint8)
    target[0, 4:12], target[1, :, 20:23], target[:, :2] = 1, 1, IGNORE
    return image, target


def with_bias(network, background):
    """Make the network's output depend on its bias alone."""
    with torch.no_grad():
        weight, bias = network.output_block.parameters()
        weight.zero_()
        bias.copy_(torch.tensor([background, 0.0]))
    return network


@pytest.mark.parametrize("loss", LOSSES)
def test_every_term_is_there_with_finite_numbers(network, batch, loss):
    found = analyse(network, ArmLoss(ArmConfig(loss), (0.5, 0.5)), *batch)
    assert set(found["terms"]) == {*MONITORED, *LOSSES[loss]}
    for norms in found["terms"].values():
        spaces = ("probabilities", "logits")
        assert set(norms) == {f"{s}_{where}" for s in spaces for where in ("on", "off")} | {
            "parameters"
        }
        assert all(0 <= value < 1e6 for value in norms.values())
    assert found["terms"]["srl"]["logits_off"] == 0
    assert found["terms"]["ce"]["logits_off"] > 0
    assert all(-1 <= cosine <= 1 for cosine in found["cosine_srl_dice_ce"].values())
    json.dumps(found, allow_nan=False)


def test_the_last_layers_gradient_is_autograds(network, batch):
    image, target = batch
    loss = ArmLoss(ArmConfig("ce"))
    found = analyse(network, loss, image, target)
    network.eval()
    value = loss([network(image)], target)
    parts = torch.autograd.grad(value, list(network.output_block.parameters()))
    expected = torch.cat([part.flatten() for part in parts]).norm().item()
    assert found["terms"]["ce"]["parameters"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("background", "missed", "vanishing"),
    [(-1.0, 0.0, None), (1.0, 1.0, 0.0), (20.0, 1.0, 1.0)],
)
def test_confidently_missed_pixels_have_a_vanishing_gradient(
    network, batch, background, missed, vanishing
):
    found = analyse(with_bias(network, background), ArmLoss(ArmConfig("ce_srl")), *batch)
    assert found["missed_share"] == missed
    assert found["vanishing_share"] == vanishing


def test_the_largest_gradient_of_a_pixel_is_that_of_its_own_image(network, batch):
    """Less, in a batch of images that mostly have no tube, than recall over the batch asks."""
    image, target = (x.repeat_interleave(40, 0)[39:] for x in batch)
    target[:-1] = 0
    target[0, 4:12] = 1
    loss = ArmLoss(ArmConfig("ce_srl"), terms=TermsConfig(batch=False))
    found = analyse(with_bias(network, 3.0), loss, image, target)
    assert found["vanishing_share"] == 0


def test_the_gradient_of_a_cross_entropy_on_the_tube_does_not_vanish(network, batch):
    arm = ArmConfig("ce_srl", recall="cross_entropy")
    assert analyse(with_bias(network, 20.0), ArmLoss(arm), *batch)["vanishing_share"] == 0


def test_the_mask_control_is_looked_at_on_the_mask(network, batch):
    tube, mask = (
        analyse(network, ArmLoss(ArmConfig("ce_srl", radius=0, tube_from=source)), *batch)
        for source in ("skeleton", "mask")
    )
    assert mask["terms"]["ce"]["logits_on"] > tube["terms"]["ce"]["logits_on"]
    assert mask["terms"]["srl"]["logits_off"] == 0


def test_without_a_tube_nothing_is_defined(network, batch):
    image, target = batch
    found = analyse(network, ArmLoss(ArmConfig("dice_ce")), image, torch.zeros_like(target))
    assert found["missed_share"] is found["vanishing_share"] is None
    assert found["cosine_srl_dice_ce"] == {"logits": None, "parameters": None}


def test_looking_changes_nothing(network, batch):
    before = [value.clone() for value in network.state_dict().values()]
    analyse(network, ArmLoss(ArmConfig("dice_ce_srl")), *batch)
    assert all(value.grad is None for value in network.parameters())
    assert all(
        torch.equal(a, b) for a, b in zip(before, network.state_dict().values(), strict=True)
    )


def test_a_run_logs_gradients_and_ends_with_the_same_numbers(config, tmp_path):
    plain = runner.run(config)
    looked = replace(config, out=str(tmp_path / "looked"), gradients=GradientsConfig(every=4))
    folder = runner.run(looked)
    for job in folder.jobs():
        lines = (folder.job_path(job) / "gradients.jsonl").read_text().splitlines()
        assert [json.loads(line)["iteration"] for line in lines] == [4]
        assert not (plain.job_path(job) / "gradients.jsonl").exists()
        for name in ("log.jsonl", "scores.csv"):
            pair = (run.job_path(job) / name for run in (plain, folder))
            assert len({path.read_bytes() for path in pair}) == 1
