"""Training of one network, resumable at any point with the same numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from experiments.batches import BatchStream
from experiments.config import Config
from experiments.cost import Cost, CostMeter
from experiments.errors import RunError
from experiments.files import write_atomically, write_bytes
from experiments.gradients import analyse
from experiments.losses import ArmLoss
from experiments.networks import UNet, channels_last, training_outputs

Progress = Callable[[int, float], None]
"""Called after each iteration with the number done and the loss."""


def train(
    network: UNet,
    loss: ArmLoss,
    stream: BatchStream,
    config: Config,
    folder: Path,
    progress: Progress,
) -> Cost:
    """Train `network` in place, from the checkpoint in `folder` if there is one.

    On a GPU with automatic mixed precision (float16).

    Parameters
    ----------
    network : UNet
        On the device to train on, in its initial state.
    loss : ArmLoss
    stream : BatchStream
        On the same device.
    config : Config
    folder : Path
        Receives ``log.jsonl``, ``checkpoint.pt`` and, if asked for, ``gradients.jsonl``.
    progress : callable
        Told of each iteration, with the loss that was logged last.

    Returns
    -------
    Cost

    Raises
    ------
    RunError
        If the loss is not finite; looked at where it is logged, and before a checkpoint.
    """
    settings = config.train
    device = next(network.parameters()).device
    on_gpu = device.type == "cuda"
    layout = channels_last(stream.axes) if on_gpu else torch.preserve_format
    network.to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
        weight_decay=settings.weight_decay,
        fused=on_gpu,  # with which the scaler does not wait for the device
    )
    scaler = torch.amp.GradScaler(enabled=on_gpu)
    checkpoint = folder / "checkpoint.pt"
    log, gradients = folder / "log.jsonl", folder / "gradients.jsonl"
    done, before = 0, Cost()
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        done, before = state["iteration"], Cost(**state["cost"])
    for path in (log, gradients):
        cut_log(path, done)

    network.train()
    forward = torch.compile(network) if settings.compile else network
    meter = CostMeter(device, done, before)
    shown = math.nan
    for iteration in range(done, settings.iterations):
        share = iteration / settings.iterations
        rate = settings.learning_rate * (1 - share) ** 0.9
        for group in optimizer.param_groups:
            group["lr"] = rate
        image, target = stream.batch(iteration)
        image = image.to(memory_format=layout)
        count = iteration + 1
        if config.gradients.every and count % config.gradients.every == 0:
            with meter.paused():
                append(gradients, {"iteration": count} | analyse(network, loss, image, target))
        with torch.autocast(device.type, dtype=torch.float16, enabled=on_gpu):
            outputs = training_outputs(forward, image, config.network.head_size)
        value = loss(outputs, target, share)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_clip)
        scaler.step(optimizer)
        scaler.update()
        last = count == settings.iterations
        logged = last or count == 1 or count % settings.log_every == 0
        kept = last or count % settings.checkpoint_every == 0
        if logged or kept:  # elsewhere nothing waits for the device
            with meter.paused(count):
                shown = value.item()
                if not math.isfinite(shown):
                    raise RunError(f"{folder}: the loss is {shown} at iteration {count}")
                if logged:
                    entry = {"iteration": count, "learning_rate": rate, "loss": shown}
                    entry |= {"alpha": loss.alpha(share)} | loss.monitor(outputs, target)
                    append(log, entry)
                if kept:
                    state = {
                        "network": network.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "scaler": scaler.state_dict(),
                        "iteration": count,
                        "cost": asdict(meter.cost()),
                    }
                    write_atomically(checkpoint, partial(torch.save, state))
        progress(count, shown)
    return meter.cost()


def append(path: Path, entry: dict[str, Any]) -> None:
    """Add a line to a log; closed at once, it is never behind the checkpoint."""
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(entry) + "\n")


def cut_log(path: Path, iteration: int) -> None:
    """Drop what a killed run logged after `iteration`, a half-written line included."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            if not line.endswith(b"\n") or json.loads(line)["iteration"] > iteration:
                break
        except ValueError:
            break
        kept.append(line)
    write_bytes(path, b"".join(kept))
