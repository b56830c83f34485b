"""The network: MONAI's DynUNet, sized by the config."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from experiments.config import NetworkConfig
from experiments.random_streams import torch_seed


def build_network(
    config: NetworkConfig, in_channels: int, num_classes: int, seed: int, fold: int
) -> nn.Module:
    """Make a DynUNet whose initial weights depend on `seed` and `fold` alone."""
    from monai.networks.nets import DynUNet

    levels = len(config.filters)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed("weights", seed, fold))
        return DynUNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=num_classes,
            kernel_size=[3] * levels,
            strides=[1] + [2] * (levels - 1),
            upsample_kernel_size=[2] * (levels - 1),
            filters=config.filters,
            deep_supervision=config.heads > 0,
            deep_supr_num=max(1, config.heads),
        )


def training_heads(network: nn.Module, image: Tensor) -> tuple[Tensor, ...]:
    """Return the logits of all heads at full size, each (B, C, H, W), the output first."""
    output = network(image)
    return output.unbind(1) if output.ndim == 5 else (output,)
