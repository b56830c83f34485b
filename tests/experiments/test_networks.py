"""The network: its size by config, crop and spacing; its heads; its initial weights."""

import pytest
import torch
from torch.nn import functional

from experiments.config import NetworkConfig
from experiments.errors import ConfigError
from experiments.networks import build_network, plan, training_outputs

AUTOMATIC = NetworkConfig(filters=(), heads=None, head_size="own")


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("size", [(32, 48), (16, 16, 32)])
def test_the_network_gives_its_heads(count, size):
    network = build_network(NetworkConfig((4, 8, 8, 8), heads=count), size, 1, 2, 0, 0)
    image = torch.randn(2, 1, *size)
    network.train()
    full = training_outputs(network, image, "full")
    assert [output.shape for output in full] == [(2, 2, *size)] * (count + 1)
    own = training_outputs(network, image, "own")
    shapes = [(2, 2, *(n // 2**level for n in size)) for level in range(count + 1)]
    assert [output.shape for output in own] == shapes
    functional.cross_entropy(full[-1], torch.zeros(2, *size, dtype=torch.int64)).backward()
    network.eval()
    assert network(image).shape == (2, 2, *size)


@pytest.mark.parametrize(
    ("crop", "spacing", "strides", "kernels"),
    [
        ((64, 64), (), [1, 1] + [2, 2] * 4, [3, 3] * 5),
        ((64, 16), (1.0, 1.0), [1, 1] + [2, 2] * 2 + [2, 1], [3, 3] * 4),
        # slices four times as thick: two levels within the slices first
        (
            (16, 64, 64),
            (4.0, 1.0, 1.0),
            [1, 1, 1] + [1, 2, 2] * 2 + [2, 2, 2] * 2,
            [1, 3, 3] * 2 + [3, 3, 3] * 3,
        ),
        # as nnU-Net plans it for ACDC
        (
            (20, 256, 224),
            (5.0, 1.5625, 1.5625),
            [1, 1, 1] + [1, 2, 2] + [2, 2, 2] * 2 + [1, 2, 2] * 2,
            [1, 3, 3] + [3, 3, 3] * 5,
        ),
        # slices so thick that they are never reached
        (
            (4, 32, 32),
            (90.0, 1.0, 1.0),
            [1, 1, 1] + [1, 2, 2] * 3,
            [1, 3, 3] * 3 + [3, 3, 3],
        ),
    ],
)
def test_the_size_follows_crop_and_spacing(crop, spacing, strides, kernels):
    found = plan(AUTOMATIC, crop, spacing)
    assert [n for stride in found.strides for n in stride] == strides
    assert [n for kernel in found.kernels for n in kernel] == kernels
    lowest = list(crop)
    for stride in found.strides:
        lowest = [n // s for n, s in zip(lowest, stride, strict=True)]
    assert max(lowest) <= 8
    assert min(lowest) >= 4


def test_channels_double_up_to_a_limit():
    assert plan(AUTOMATIC, (512, 512)).filters == (32, 64, 128, 256, 512, 512, 512, 512)
    assert plan(AUTOMATIC, (128,) * 3).filters == (32, 64, 128, 256, 320, 320)


def test_an_automatic_network_runs_on_thick_slices():
    config = NetworkConfig(filters=(), width=2, heads=None, head_size="own")
    network = build_network(config, (8, 32, 32), 1, 3, 0, 0, (4.0, 1.0, 1.0))
    outputs = training_outputs(network.train(), torch.randn(1, 1, 8, 32, 32), "own")
    assert [tuple(output.shape[2:]) for output in outputs] == [(8, 32, 32), (8, 16, 16)]


@pytest.mark.parametrize("size", [(64, 64), (32, 32, 32)])
def test_without_a_number_there_are_the_heads_to_which_nnunet_gives_weight(size):
    """Of the outputs of all decoder levels its deep supervision leaves out the lowest."""
    config = NetworkConfig(filters=(), width=2, heads=None, head_size="own")
    network = build_network(config, size, 1, 2, 0, 0)
    levels = len(plan(config, size).filters)
    outputs = training_outputs(network.train(), torch.randn(1, 1, *size), "own")
    assert len(outputs) == levels - 2


@pytest.mark.parametrize(
    ("crop", "message"),
    [((36, 36), "can be halved"), ((8, 8), "gives 2 levels"), ((100, 64), "can be halved")],
)
def test_a_crop_that_cannot_be_halved_is_refused(crop, message):
    with pytest.raises(ConfigError, match=message):
        plan(AUTOMATIC, crop)


def test_initial_weights_depend_on_seed_and_fold_only():
    def weights(seed, fold):
        network = build_network(NetworkConfig((4, 8, 8), heads=1), (16, 16), 1, 2, seed, fold)
        return torch.cat([weight.flatten() for weight in network.parameters()])

    first = weights(0, 0)
    state = torch.get_rng_state()
    torch.rand(3)
    assert torch.equal(first, weights(0, 0))
    assert not torch.equal(first, weights(1, 0))
    assert not torch.equal(first, weights(0, 1))
    torch.set_rng_state(state)
    weights(0, 0)
    assert torch.equal(state, torch.get_rng_state())
