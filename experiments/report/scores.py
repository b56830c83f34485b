"""The per-image scores of a run, paired over the arms."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from experiments.errors import RunError
from experiments.run_folder import Job, RunFolder
from experiments.scoring import METRICS


@dataclass(frozen=True)
class Column:
    """How a metric is shown: its name, its factor, and whether more is better."""

    metric: str
    label: str
    factor: float
    more_is_better: bool

    @property
    def unit(self) -> str:
        """Return what differences are counted in."""
        return "percentage points" if self.factor == 100 else ""


COLUMNS = (
    Column("dice", "DSC", 100, True),
    Column("cldice", "clDice", 100, True),
    Column("jaccard", "JSI", 100, True),
    Column("false_negative_rate", "FNR", 100, False),
    Column("false_positive_rate", "FPR", 100, False),
    Column("betti_0_error", "Betti-0 error", 1, False),
    Column("betti_1_error", "Betti-1 error", 1, False),
)


@dataclass(frozen=True)
class Scores:
    """Scores of the jobs that are done for every arm.

    Attributes
    ----------
    images : tuple of str
        Ids of the scored images, sorted.
    seeds : tuple of int
    jobs : tuple of Job
        The jobs that count.
    missing : int
        Number of jobs left out, because they or their partners are not done.
    values : dict
        arm -> (seeds, images, metrics) float64, the mean over the foreground classes; NaN where a
        seed has no score of an image.
    """

    images: tuple[str, ...]
    seeds: tuple[int, ...]
    jobs: tuple[Job, ...]
    missing: int
    values: dict[str, np.ndarray]

    def per_image(self, arm: str, metric: str) -> np.ndarray:
        """Return one score for each image, (N,), the mean over the seeds."""
        return np.nanmean(self.values[arm][..., METRICS.index(metric)], axis=0)

    def per_seed(self, arm: str, metric: str) -> np.ndarray:
        """Return one score for each seed, (S,), the mean over the images."""
        return np.nanmean(self.values[arm][..., METRICS.index(metric)], axis=1)


def complete_jobs(folder: RunFolder) -> list[Job]:
    """Return the jobs whose fold and seed is done for every arm."""
    arms = folder.config.arms
    return [
        job
        for job in folder.jobs()
        if all(folder.is_done(Job(arm, job.fold, job.seed)) for arm in arms)
    ]


def read_scores(folder: RunFolder) -> Scores:
    """Read all scores of a run.

    Raises
    ------
    RunError
        If no fold and seed is done for every arm.
    """
    jobs, arms = folder.jobs(), list(folder.config.arms)
    paired = complete_jobs(folder)
    if not paired:
        raise RunError(f"{folder.path}: no fold and seed is done for every arm yet")
    found: dict[tuple[str, int, str], list[list[float]]] = defaultdict(list)
    for job in paired:
        with (folder.job_path(job) / "scores.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found[job.arm, job.seed, row["image"]].append([float(row[m]) for m in METRICS])
    images = tuple(sorted({image for _, _, image in found}))
    seeds = tuple(sorted({seed for _, seed, _ in found}))
    nothing = [[np.nan] * len(METRICS)]
    values = {
        arm: np.array(
            [[np.mean(found.get((arm, s, i), nothing), axis=0) for i in images] for s in seeds]
        )
        for arm in arms
    }
    return Scores(images, seeds, tuple(paired), len(jobs) - len(paired), values)


def read_curves(folder: RunFolder, scores: Scores, arm: str) -> dict[str, np.ndarray]:
    """Read the logs of an arm.

    Returns
    -------
    dict of str to numpy.ndarray
        Logged name -> (jobs, entries); "iteration" is among the names.
    """
    logs = []
    for job in scores.jobs:
        if job.arm == arm:
            text = (folder.job_path(job) / "log.jsonl").read_text(encoding="utf-8")
            logs.append([json.loads(line) for line in text.splitlines()])
    return {name: np.array([[e[name] for e in log] for log in logs]) for name in logs[0][0]}


def training_minutes(folder: RunFolder, scores: Scores, arm: str) -> float:
    """Return the mean time of one training of an arm, in minutes."""
    costs = [folder.job_path(job) / "cost.json" for job in scores.jobs if job.arm == arm]
    seconds = [json.loads(path.read_text(encoding="utf-8"))["training_seconds"] for path in costs]
    return float(np.mean(seconds)) / 60
