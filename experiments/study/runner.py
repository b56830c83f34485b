"""Runs the jobs of a study: one after another here, on processes here, or on a Dask cluster.

A job that fails is noted in its folder and does not stop the others; jobs that are done are kept,
so the same command continues after a kill and tries again what failed.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from experiments.data import DataConfig, Dataset
from experiments.data import splits as split_data
from experiments.errors import RunError
from experiments.progress import RunProgress
from experiments.run_folder import Job, RunFolder
from experiments.runner import choose_device, run_job
from experiments.study.config import Study
from experiments.training import Progress

if TYPE_CHECKING:
    from distributed import Client

SECONDS_TO_CONNECT = 30
# Weights are drawn from PyTorch's generator, which the threads of a process share.
ONE_AT_A_TIME = threading.Lock()
LOADED: dict[str, Any] = {}
"""The data set that was loaded last, and its config."""


@dataclass(frozen=True)
class Task:
    """A job of one of the runs."""

    folder: RunFolder
    job: Job

    def __str__(self) -> str:
        return f"{self.folder.config.name}: {self.job}"

    @property
    def iterations(self) -> int:
        """Return the length of the training."""
        return self.folder.config.train.iterations


@dataclass(frozen=True)
class Failure:
    """A job that failed, and why, in one line."""

    task: Task
    reason: str

    def __str__(self) -> str:
        return f"{self.task}: {self.reason}"


def run_study(
    study: Study, workers: int = 1, dask: str | None = None
) -> tuple[list[RunFolder], list[Failure]]:
    """Train and score all jobs that are not done yet.

    Parameters
    ----------
    study : Study
    workers : int, optional
        Above 1: processes of one thread each on this machine.
    dask : str, optional
        Address of the scheduler of a Dask cluster, whose workers see the same folders.

    Returns
    -------
    folders : list of RunFolder
        One for each data set.
    failures : list of Failure

    Raises
    ------
    UserError
        If a folder holds another run or is in use, or no cluster answers.
    """
    folders = [RunFolder.create(config) for config in study.runs]
    failures = []
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(folder.locked())
        tasks = in_order(folders)
        waiting = [task for task in tasks if not task.folder.is_done(task.job)]
        iterations = sum(task.iterations for task in waiting)
        progress = stack.enter_context(RunProgress(len(tasks), len(waiting), iterations))
        if dask is None and workers == 1:
            outcomes = one_after_another(waiting, progress)
        else:
            client = stack.enter_context(connect(workers, dask))
            outcomes = on_cluster(client, waiting, progress, threads=0 if dask else 1)
        for task, reason in outcomes:
            if reason:
                failures.append(Failure(task, reason))
    return folders, failures


def in_order(folders: list[RunFolder]) -> list[Task]:
    """Return all jobs, seed by seed, so that a study that is stopped has whole comparisons."""
    tasks = [Task(folder, job) for folder in folders for job in folder.jobs()]
    return sorted(tasks, key=lambda task: task.folder.config.seeds.index(task.job.seed))


def one_after_another(tasks: list[Task], progress: RunProgress) -> Iterator[tuple[Task, str]]:
    """Run the tasks in this process; give each with the reason of its failure, or ''."""
    for task in tasks:
        show = progress.job(str(task), task.iterations)
        threads = task.folder.config.threads
        yield task, attempt(task.folder.path, task.job, threads, show)


def on_cluster(
    client: Client, tasks: list[Task], progress: RunProgress, threads: int
) -> Iterator[tuple[Task, str]]:
    """Run the tasks on the workers of a cluster, the first ones first."""
    from distributed import as_completed

    by_future = {}
    for number, task in enumerate(tasks):
        path = task.folder.path.resolve()
        own_threads = threads or task.folder.config.threads
        future = client.submit(
            attempt, path, task.job, own_threads, pure=False, priority=-number, key=f"{path}-{task}"
        )
        by_future[future] = task
    for future in as_completed(by_future):
        task = by_future[future]
        try:
            reason = future.result()
        except Exception as error:  # the worker died, or does not have this package
            reason = one_line(error)
            task.folder.note_failure(task.job, reason + "\n")
        progress.done(str(task), task.iterations)
        yield task, reason


@contextmanager
def connect(workers: int, address: str | None) -> Iterator[Client]:
    """Connect to a cluster, or start one of `workers` processes on this machine."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise RunError("several workers need the package 'distributed'") from None

    if address is None:
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(address, timeout=SECONDS_TO_CONNECT)
    except (OSError, ValueError) as error:
        raise RunError(f"no Dask scheduler answers at {address}: {one_line(error)}") from None
    with client:
        yield client


def attempt(path: Path, job: Job, threads: int = 0, show: Progress | None = None) -> str:
    """Run one job of the run folder at `path`; return why it failed, or ''."""
    folder = RunFolder.open(path)
    try:
        with ONE_AT_A_TIME, folder.locked(job):
            device = choose_device(folder.config)
            if threads:
                torch.set_num_threads(threads)
            dataset = load_data(folder.config.data)
            part = split_data(dataset, folder.config.data.folds)[job.fold]
            run_job(folder, job, dataset, part, device, show or (lambda count, loss: None))
    except Exception as error:
        folder.note_failure(job, traceback.format_exc())
        return one_line(error)
    folder.note_failure(job, "")
    return ""


def load_data(config: DataConfig) -> Dataset:
    """Load a data set once for the jobs in a row that use it."""
    if LOADED.get("config") != config:  # a config may hold dicts, and so has no hash
        LOADED.clear()
        LOADED.update(config=config, dataset=config.load())
    return LOADED["dataset"]


def one_line(error: BaseException) -> str:
    """Return an error as one line."""
    return " ".join(str(error).split()) or type(error).__name__
