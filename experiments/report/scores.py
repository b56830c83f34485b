"""The per-image scores of a run, paired over the arms."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.data import Dataset
from experiments.errors import RunError
from experiments.run_folder import Job, RunFolder
from experiments.scoring import COUNTS, METRICS, VIEW, WHOLE

REGIONS = {WHOLE: "whole image", VIEW: "field of view"}
"""How the regions are called in words."""


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

    @property
    def heading(self) -> str:
        """Return the label, with % where values are in percent."""
        return self.label + (" %" if self.factor == 100 else "")


COLUMNS = (
    Column("dice", "DSC", 100, True),
    Column("cldice", "clDice", 100, True),
    Column("jaccard", "JSI", 100, True),
    Column("false_negative_rate", "FNR", 100, False),
    Column("false_positive_rate", "FPR", 100, False),
    Column("betti_0_error", "Betti-0 error", 1, False),
    Column("betti_1_error", "Betti-1 error", 1, False),
    Column("betti_2_error", "Betti-2 error", 1, False),
)


@dataclass(frozen=True)
class Scores:
    """Scores of the jobs that are done for every arm.

    Attributes
    ----------
    images : tuple of str
        Ids of the scored images, sorted.
    seeds : tuple of int
    regions : tuple of str
        Where was scored, the primary one first: inside the field of view if every image has one,
        otherwise the whole image.
    classes : tuple of str
        Foreground classes.
    jobs : tuple of Job
        The jobs that count.
    missing : int
        Number of jobs left out, because they or their partners are not done.
    values : dict
        arm -> (regions, classes, seeds, images, METRICS + COUNTS) float64; NaN where a seed has no
        score of an image, or the score file has no counts.
    units : tuple of str
        For each image what it counts as in the statistics: its group, such as a patient, or itself.
    """

    images: tuple[str, ...]
    seeds: tuple[int, ...]
    regions: tuple[str, ...]
    classes: tuple[str, ...]
    jobs: tuple[Job, ...]
    missing: int
    values: dict[str, np.ndarray]
    units: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The metrics of which there is a score: of images, there is no Betti-2 error."""
        known = [~np.isnan(values).all(axis=(0, 1, 2, 3)) for values in self.values.values()]
        return tuple(c for c in COLUMNS if any(there[METRICS.index(c.metric)] for there in known))

    @property
    def primary(self) -> str:
        """The region that is tested and put into words."""
        return self.regions[0]

    def where(self, region: str = "") -> str:
        """Return ", " and the region, the primary one if none is given; "" if there is one only."""
        return f", {REGIONS[region or self.primary]}" if len(self.regions) > 1 else ""

    def table(self, arm: str, metric: str, region: str = "", of_class: str = "") -> np.ndarray:
        """Return (seeds, images) in a region, by default the primary one.

        Scores are the mean over the foreground classes, or of one of them.
        """
        place = self.regions.index(region or self.primary)
        values = self.values[arm][place, ..., METRICS.index(metric)]
        return values[self.classes.index(of_class)] if of_class else _mean(values, axis=0)

    def by_unit(self, table: np.ndarray) -> np.ndarray:
        """Return (seeds, units), the means over the images of each unit."""
        names = np.array(self.units)
        columns = [_mean(table[:, names == name], axis=1) for name in dict.fromkeys(self.units)]
        return np.stack(columns, axis=1)

    def per_image(self, arm: str, metric: str, region: str = "") -> np.ndarray:
        """Return one score for each image, (N,), the mean over the seeds."""
        return _mean(self.table(arm, metric, region), axis=0)

    def per_seed(self, arm: str, metric: str, region: str = "") -> np.ndarray:
        """Return one score for each seed, (S,), the mean over the images."""
        return _mean(self.table(arm, metric, region), axis=1)

    def pooled(self, arm: str, region: str = "") -> dict[str, np.ndarray]:
        """Return metrics of counts summed over the images, (S,), the mean over the classes.

        Empty where the score files have no counts.
        """
        counts = self.values[arm][self.regions.index(region or self.primary), ..., len(METRICS) :]
        if np.isnan(counts).all():
            return {}
        sums = np.moveaxis(np.nansum(counts, axis=2), -1, 0)  # (COUNTS, classes, seeds)
        return {metric: _mean(values, axis=0) for metric, values in ratios(*sums).items()}

    def empty(self, arm: str, region: str) -> EmptyMasks:
        """Count the empty masks of all classes and seeds whose pixels were counted."""
        counts = self.values[arm][self.regions.index(region), ..., len(METRICS) :]
        known = counts[~np.isnan(counts).any(axis=-1)]  # (masks, COUNTS)
        return empty_masks(*known.T[:3])


@dataclass(frozen=True)
class EmptyMasks:
    """How many of the masks, each of a class of an image, are empty, on which side."""

    masks: int
    both: int
    truth: int
    """ground truth alone"""
    prediction: int
    """prediction alone"""


def empty_masks(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> EmptyMasks:
    """Count the empty masks from the counts of pixels of each, (N,)."""
    truth, prediction = tp + fn == 0, tp + fp == 0
    return EmptyMasks(
        len(tp),
        int(np.sum(truth & prediction)),
        int(np.sum(truth & ~prediction)),
        int(np.sum(~truth & prediction)),
    )


def ratios(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics that counts decide; NaN where there is nothing to count."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "dice": 2 * tp / (2 * tp + fp + fn),
            "jaccard": tp / (tp + fp + fn),
            "false_negative_rate": fn / (tp + fn),
            "false_positive_rate": fp / (fp + tn),
        }


def complete_jobs(folder: RunFolder) -> list[Job]:
    """Return the jobs whose fold and seed is done for every arm."""
    arms = folder.config.arms
    return [
        job
        for job in folder.jobs()
        if all(folder.is_done(Job(arm, job.fold, job.seed)) for arm in arms)
    ]


def read_rows(folder: RunFolder, job: Job) -> list[dict[str, str]]:
    """Read the score file of a job; without a region, a row is of the whole image."""
    with (folder.job_path(job) / "scores.csv").open(encoding="utf-8", newline="") as file:
        return [{"region": WHOLE} | row for row in csv.DictReader(file)]


def read_scores(folder: RunFolder, dataset: Dataset | None = None) -> Scores:
    """Read all scores of a run; the data set tells which images belong to one group.

    Raises
    ------
    RunError
        If no fold and seed is done for every arm.
    """
    jobs = complete_jobs(folder)
    if not jobs:
        raise RunError(f"{folder.path}: no fold and seed is done for every arm yet")
    rows = [(job, row) for job in jobs for row in read_rows(folder, job)]
    classes = tuple(dict.fromkeys(row["class"] for _, row in rows))
    images = tuple(sorted({row["image"] for _, row in rows}))
    viewed = {row["image"] for _, row in rows if row["region"] == VIEW}
    regions: tuple[str, ...] = (WHOLE, VIEW) if viewed else (WHOLE,)
    if len(viewed) == len(images):
        regions = (VIEW, WHOLE)
    seeds = tuple(sorted({job.seed for job in jobs}))
    shape = (len(regions), len(classes), len(seeds), len(images), len(METRICS) + len(COUNTS))
    values = {arm: np.full(shape, np.nan) for arm in folder.config.arms}
    places = [{key: i for i, key in enumerate(keys)} for keys in (regions, classes, seeds, images)]
    for job, row in rows:
        keys = (row["region"], row["class"], job.seed, row["image"])
        place = tuple(known[key] for known, key in zip(places, keys, strict=True))
        values[job.arm][place] = [float(row.get(name, "nan")) for name in (*METRICS, *COUNTS)]
    missing = len(folder.jobs()) - len(jobs)
    groups = {s.id: f"group {s.group}" for s in dataset.samples if s.group} if dataset else {}
    units = tuple(groups.get(image, image) for image in images)
    return Scores(images, seeds, regions, classes, tuple(jobs), missing, values, units)


def read_lines(folder: RunFolder, jobs: Sequence[Job], name: str) -> list[list[dict[str, Any]]]:
    """Read a file of JSON lines of each job, those that lack it left out."""
    paths = [folder.job_path(job) / name for job in jobs]
    texts = [path.read_text(encoding="utf-8") for path in paths if path.is_file()]
    return [[json.loads(line) for line in text.splitlines()] for text in texts]


def read_curves(folder: RunFolder, scores: Scores, arm: str) -> dict[str, np.ndarray]:
    """Read the logs of an arm.

    Returns
    -------
    dict of str to numpy.ndarray
        Logged name -> (jobs, entries); "iteration" is among the names.
    """
    logs = read_lines(folder, [job for job in scores.jobs if job.arm == arm], "log.jsonl")
    return {name: np.array([[e[name] for e in log] for log in logs]) for name in logs[0][0]}


def read_costs(folder: RunFolder, scores: Scores, arm: str) -> dict[str, float]:
    """Return the mean cost of one training of an arm; NaN for what was not measured."""
    paths = [folder.job_path(job) / "cost.json" for job in scores.jobs if job.arm == arm]
    costs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    names = ("training_seconds", "median_step_seconds", "peak_memory_bytes", "parameters")
    table = np.array([[cost.get(name) or np.nan for name in names] for cost in costs], dtype=float)
    return dict(zip(names, _mean(table, axis=0), strict=True))


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean of what is not NaN; NaN, without a warning, where there is nothing."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(there, values, 0).sum(axis=axis) / there.sum(axis=axis)
