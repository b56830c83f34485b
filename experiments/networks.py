"""The network: MONAI's DynUNet, sized by the config or, as nnU-Net does, by crop and spacing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from monai.networks.nets import DynUNet
from torch import Tensor
from torch.nn import functional

from experiments.config import NetworkConfig
from experiments.errors import ConfigError
from experiments.random_streams import torch_seed

Levels = list[tuple[int, ...]]
SMALLEST = 4
"""Pixels along each axis of the lowest level that nnU-Net's sizing leaves."""


@dataclass(frozen=True)
class Plan:
    """Channels, kernel and stride of each level; the stride of the first is 1."""

    filters: tuple[int, ...]
    kernels: Levels
    strides: Levels


def plan(config: NetworkConfig, crop: Sequence[int], spacing: Sequence[float] = ()) -> Plan:
    """Size the network.

    Parameters
    ----------
    config : NetworkConfig
    crop : sequence of int
        Size of the training crops, 2D or 3D.
    spacing : sequence of float, optional
        Size of a pixel along each axis; by default all the same.

    Raises
    ------
    ConfigError
        If the crop cannot be halved as often as its size asks for.
    """
    axes = len(crop)
    if config.filters:
        levels = len(config.filters)
        strides = [(1,) * axes] + [(2,) * axes] * (levels - 1)
        return Plan(config.filters, [(3,) * axes] * levels, strides)
    kernels, strides = _by_crop_and_spacing(crop, spacing or (1.0,) * axes)
    limit = config.width * (10 if axes == 3 else 16)
    filters = tuple(min(config.width * 2**level, limit) for level in range(len(strides)))
    return Plan(filters, kernels, strides)


def _by_crop_and_spacing(crop: Sequence[int], spacing: Sequence[float]) -> tuple[Levels, Levels]:
    """Return kernels and strides: halve what is finest until 4 pixels are left.

    An axis is halved while at least 4 pixels remain (6 if it is the only one) and it is less than
    twice as coarse as the finest that can be halved; it gets a kernel of 3 once it is less than
    twice as coarse as the finest, and keeps it. The lowest level has kernels of 3.
    """
    size, step = list(crop), list(spacing)
    kernels: Levels = [tuple(3 if s < 2 * min(step) else 1 for s in step)]
    strides: Levels = [(1,) * len(crop)]
    while True:
        divisible = [n >= 2 * SMALLEST for n in size]
        if not any(divisible):
            break
        finest = min(s for s, can in zip(step, divisible, strict=True) if can)
        halved = [can and s < 2 * finest for s, can in zip(step, divisible, strict=True)]
        largest = max(n for n, half in zip(size, halved, strict=True) if half)
        if sum(halved) == 1 and largest < 3 * SMALLEST:
            break
        if any(n % 2 for n, half in zip(size, halved, strict=True) if half):
            raise ConfigError(
                f"train.crop = {list(crop)}: allowed are sizes that can be halved until fewer than "
                f"{2 * SMALLEST} pixels are left"
            )
        size = [n // 2 if half else n for n, half in zip(size, halved, strict=True)]
        step = [s * 2 if half else s for s, half in zip(step, halved, strict=True)]
        strides.append(tuple(2 if half else 1 for half in halved))
        before = kernels[-1]
        kernels.append(
            tuple(max(k, 3 if s < 2 * min(step) else 1) for k, s in zip(before, step, strict=True))
        )
    kernels[-1] = (3,) * len(crop)
    if len(strides) < 3:
        raise ConfigError(f"train.crop = {list(crop)} gives {len(strides)} levels: allowed is >= 3")
    return kernels, strides


class UNet(DynUNet):
    """DynUNet that gives its heads at their own size while it is trained."""

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the logits (B, classes, *S); in training with heads: those of all heads too."""
        output = self.output_block(self.skip_layers(image))
        return (output, *self.heads) if self.training and self.deep_supervision else output


def build_network(
    config: NetworkConfig,
    crop: Sequence[int],
    in_channels: int,
    num_classes: int,
    seed: int,
    fold: int,
    spacing: Sequence[float] = (),
) -> UNet:
    """Make a U-Net whose initial weights depend on `seed` and `fold` alone."""
    sizes = plan(config, crop, spacing)
    levels = len(sizes.filters)
    heads = levels - 3 if config.heads is None else config.heads
    if heads > levels - 2:
        raise ConfigError(
            f"network.heads = {heads}: allowed is at most {levels - 2} with {levels} levels"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed("weights", seed, fold))
        return UNet(
            spatial_dims=len(crop),
            in_channels=in_channels,
            out_channels=num_classes,
            kernel_size=sizes.kernels,
            strides=sizes.strides,
            upsample_kernel_size=sizes.strides[1:],
            filters=sizes.filters,
            deep_supervision=heads > 0,
            deep_supr_num=max(1, heads),
        )


def training_outputs(
    network: Callable[[Tensor], Tensor | tuple[Tensor, ...]], image: Tensor, head_size: str
) -> tuple[Tensor, ...]:
    """Return the logits of the output and of all heads, enlarged if `head_size` is "full"."""
    found = network(image)
    output, *heads = (found,) if isinstance(found, Tensor) else found
    if head_size == "full":
        heads = [functional.interpolate(head, output.shape[2:]) for head in heads]
    return output, *heads


def channels_last(axes: int) -> torch.memory_format:
    """Return the memory format in which a GPU's convolutions are fastest."""
    return torch.channels_last_3d if axes == 3 else torch.channels_last
