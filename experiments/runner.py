"""Runs a config: trains and scores every job that is not done yet."""

from __future__ import annotations

import json

import numpy as np
import torch

from experiments.batches import BatchStream, Store
from experiments.config import Config
from experiments.data import Dataset, Split, splits
from experiments.environment import environment
from experiments.errors import RunError
from experiments.files import write_text
from experiments.losses import ArmLoss
from experiments.memory import keep_freed_memory
from experiments.networks import build_network
from experiments.progress import RunProgress
from experiments.run_folder import Job, RunFolder
from experiments.scoring import score
from experiments.training import Progress, train


def run(config: Config) -> RunFolder:
    """Train and score all arms, folds and seeds; jobs that are done are kept.

    Raises
    ------
    UserError
        If the data set is not as expected, the folder holds another run, or the device is missing.
    """
    device = choose_device(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    dataset = config.data.load()
    parts = splits(dataset, config.data.folds)
    folder = RunFolder.create(config)
    with folder.locked():
        jobs = folder.jobs()
        waiting = [job for job in jobs if not folder.is_done(job)]
        iterations = config.train.iterations
        with RunProgress(len(jobs), len(waiting), len(waiting) * iterations) as progress:
            for job in waiting:
                show = progress.job(str(job), iterations)
                run_job(folder, job, dataset, parts[job.fold], device, show)
    return folder


def run_job(
    folder: RunFolder,
    job: Job,
    dataset: Dataset,
    part: Split,
    device: torch.device,
    progress: Progress,
) -> None:
    """Train and score one job, from its checkpoint if there is one."""
    config = folder.config
    if device.type == "cpu":
        keep_freed_memory()
    path = folder.job_path(job)
    path.mkdir(parents=True, exist_ok=True)
    folder.note_arm(job)
    folder.note_environment(job, environment(device))
    channels, classes = part.train[0].image.shape[0], dataset.classes
    store = Store(part.train, device)
    stream = BatchStream(
        store, config.train, config.augment, job.seed, job.fold, dataset.mirror_axes
    )
    network = build_network(
        config.network,
        config.train.crop,
        channels,
        len(classes),
        job.seed,
        job.fold,
        tuple(np.median(store.spacings, axis=0)),
    ).to(device)
    loss = ArmLoss(config.arms[job.arm], config.network.head_weights, config.terms)
    cost = train(network, loss, stream, config, path, progress)
    write_text(
        path / "cost.json",
        json.dumps(
            {
                "training_seconds": cost.training_seconds,
                "median_step_seconds": cost.median_step_seconds,
                "peak_memory_bytes": cost.peak_memory_bytes,
                "parameters": sum(weight.numel() for weight in network.parameters()),
            }
        ),
    )
    score(network, part.test, classes, config, path, dataset.mirror_axes)


def choose_device(config: Config) -> torch.device:
    """Return the device that the config asks for.

    Raises
    ------
    RunError
        If it asks for a GPU and there is none.
    """
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise RunError("device = 'cuda': PyTorch finds no GPU here; take --device cpu")
    return torch.device("cuda" if available and config.device != "cpu" else "cpu")
