"""What the losses of nnU-Net's trainers cost in a step: ``python -m benchmarks.nnunet_step``.

Runs in nnU-Net's environment, on the CPU. The network is nnU-Net's plain U-Net; its time is that of
forward and backward pass without a loss, to which each loss adds its own, tubes included. Losses
take turns. Memory is the peak in the loss above what a fresh process held before, gradients of the
logits included, taken as in `benchmarks.memory`.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor, nn

from tubeskel.nnunet import Settings
from tubeskel.nnunet.loss import TrainerLoss, dice_ce_cldice, dice_ce_recall

CASES = {
    "2D": (4, (256, 256), (32, 64, 128, 256, 512)),
    "3D": (2, (64, 64, 64), (32, 64, 128, 256)),
}
Loss = Callable[[list[Tensor], list[Tensor]], Tensor]


def make_losses(weights: list[float]) -> dict[str, Loss]:
    """Return the losses by name, stock nnU-Net's first."""
    options = {"batch": True, "regions": 0, "ignore_label": None, "distributed": False}
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}
    stock = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)
    settings = Settings()
    return {
        "stock nnU-Net": DeepSupervisionWrapper(stock, weights),
        "nnUNetTrainerDiceCE": TrainerLoss(dice_ce_recall(settings, alpha=0.0, **options), weights),
        "nnUNetTrainerSkeletonRecall": TrainerLoss(
            dice_ce_recall(settings, alpha=1.0, **options), weights
        ),
        "nnUNetTrainerSoftClDice": TrainerLoss(dice_ce_cldice(settings, **options), weights),
    }


def make_case(name: str) -> tuple[nn.Module, Tensor, list[Tensor], list[float]]:
    """Return network, image, targets of all resolutions and their weights."""
    batch, shape, features = CASES[name]
    axes = len(shape)
    network = PlainConvUNet(
        1,
        len(features),
        features,
        nn.Conv2d if axes == 2 else nn.Conv3d,
        3,
        [1] + [2] * (len(features) - 1),
        2,
        2,
        2,
        conv_bias=True,
        norm_op=nn.InstanceNorm2d if axes == 2 else nn.InstanceNorm3d,
        norm_op_kwargs={"affine": True},
        nonlin=nn.LeakyReLU,
        deep_supervision=True,
    )
    rng = np.random.default_rng(0)
    target = np.zeros((batch, 1, *shape), np.int16)
    for _ in range(24):  # straight tubes along the last axis, 5 pixels wide
        corner = [int(rng.integers(n - 5)) for n in shape[:-1]]
        where: tuple[Any, ...] = (slice(None), 0, *(slice(c, c + 5) for c in corner))
        target[where] = 1
    full = torch.from_numpy(target)
    levels = [
        nn.functional.interpolate(full.float(), [n >> i for n in shape], mode="nearest-exact")
        for i in range(len(features) - 1)
    ]
    weights = [0.5**i for i in range(len(levels) - 1)]
    weights = [weight / sum(weights) for weight in weights] + [0.0]
    return network, full.float() + 0.1, [level.short() for level in levels], weights


def seconds(work: Callable[..., object], *arguments: object) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def network_step(network: nn.Module, image: Tensor) -> None:
    """Run the network forward and backward, without a loss."""
    outputs = network(image)
    torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])


def loss_step(loss: Loss, outputs: list[Tensor], levels: list[Tensor]) -> None:
    """Run a loss forward and backward."""
    for output in outputs:
        output.grad = None
    loss(outputs, levels).backward()


def make_outputs(levels: list[Tensor]) -> list[Tensor]:
    """Return logits of all resolutions."""
    return [torch.randn(len(level), 2, *level.shape[2:]).requires_grad_() for level in levels]


def peak(case: str, name: str) -> float:
    """Return by how many MB one step of a loss raises the peak of this fresh process."""
    torch.set_num_threads(1)
    _, _, levels, weights = make_case(case)
    loss = make_losses(weights)[name]
    outputs = make_outputs(levels)
    corner = [level[:1, :, :16, :16] for level in levels]
    loss_step(loss, make_outputs(corner), corner)  # loads what is loaded once
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    loss_step(loss, outputs, levels)
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """Return a field of this process's status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main(repeats: int = 5) -> None:
    """Print a table of each case."""
    torch.set_num_threads(1)
    os.environ.update(MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536")
    for case in CASES:
        network, image, levels, weights = make_case(case)
        of_network = statistics.median(seconds(network_step, network, image) for _ in range(3))
        outputs, losses = make_outputs(levels), make_losses(weights)
        times: dict[str, list[float]] = {name: [] for name in losses}
        for _ in range(repeats):
            for name, loss in losses.items():
                times[name].append(seconds(loss_step, loss, outputs, levels))
        shape = " x ".join(map(str, image.shape))
        print(f"\n{case}, {shape}: the network takes {of_network:.2f} s\n")
        print("| loss | ms | share of the step | MB |\n|---|--:|--:|--:|")
        for name, taken in times.items():
            of_loss = statistics.median(taken)
            share = of_loss / (of_loss + of_network)
            with get_context("spawn").Pool(1) as process:
                memory = process.apply(peak, (case, name))
            print(f"| {name} | {1e3 * of_loss:.1f} | {100 * share:.1f} % | {memory:.0f} |")


if __name__ == "__main__":
    main()
