"""Training of one network, resumable at any point with the same numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from experiments.batches import BatchStream
from experiments.config import TrainConfig
from experiments.errors import RunError
from experiments.files import write_atomically, write_bytes
from experiments.losses import DeepSupervisedLoss
from experiments.networks import training_heads

Progress = Callable[[int, float], None]
"""Called after each iteration with the number done and the loss."""


def train(
    network: nn.Module,
    loss: DeepSupervisedLoss,
    stream: BatchStream,
    config: TrainConfig,
    folder: Path,
    progress: Progress,
) -> float:
    """Train `network` in place, from the checkpoint in `folder` if there is one.

    Parameters
    ----------
    network : torch.nn.Module
        On the device to train on, in its initial state.
    loss : DeepSupervisedLoss
    stream : BatchStream
    config : TrainConfig
    folder : Path
        Receives ``log.jsonl`` and ``checkpoint.pt``.
    progress : callable
        Told of each iteration.

    Returns
    -------
    float
        Seconds of training, those before a kill included (up to its last checkpoint).

    Raises
    ------
    RunError
        If the loss is not finite.
    """
    device = next(network.parameters()).device
    on_gpu = device.type == "cuda"
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.momentum > 0,
        weight_decay=config.weight_decay,
    )
    scaler = torch.amp.GradScaler(enabled=on_gpu)
    checkpoint, log = folder / "checkpoint.pt", folder / "log.jsonl"
    done, seconds = 0, 0.0
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        done, seconds = state["iteration"], state["seconds"]
    cut_log(log, done)

    network.train()
    started = time.monotonic()
    with log.open("a", encoding="utf-8") as lines:
        for iteration in range(done, config.iterations):
            rate = config.learning_rate * (1 - iteration / config.iterations) ** 0.9
            for group in optimizer.param_groups:
                group["lr"] = rate
            image, target = (part.to(device) for part in stream.batch(iteration))
            count = iteration + 1
            logged = count % config.log_every == 0 or count in (1, config.iterations)
            with torch.autocast(device.type, dtype=torch.float16, enabled=on_gpu):
                heads = training_heads(network, image)
            value, terms = loss(heads, target, monitor=logged)
            if not torch.isfinite(value):
                raise RunError(f"{folder}: the loss is {value.item()} at iteration {count}")
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(value).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
            scaler.step(optimizer)
            scaler.update()
            if logged:
                entry = {
                    "iteration": count,
                    "learning_rate": rate,
                    "loss": float(value.detach()),
                } | terms
                lines.write(json.dumps(entry) + "\n")
            if count % config.checkpoint_every == 0 or count == config.iterations:
                lines.flush()  # the log must not be behind the checkpoint
                elapsed = seconds + time.monotonic() - started
                state = {
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler.state_dict(),
                    "iteration": count,
                    "seconds": elapsed,
                }
                write_atomically(checkpoint, partial(torch.save, state))
            progress(count, float(value.detach()))
    return seconds + time.monotonic() - started


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
