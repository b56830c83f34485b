"""The folder of one run: what is in it and where.

config.yaml            the resolved config
environment.json       versions, processor, ...: one entry for each distinct one
jobs/ARM/fold0_seed0/  log.jsonl, checkpoint.pt, cost.json, predictions/ID.png, scores.csv
report/                report.html, report.md and its figures
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from experiments.config import Config, load, to_mapping, to_yaml
from experiments.errors import RunError
from experiments.files import write_text


@dataclass(frozen=True)
class Job:
    """One training: an arm on a fold with a seed."""

    arm: str
    fold: int
    seed: int

    def __str__(self) -> str:
        return f"{self.arm}, fold {self.fold}, seed {self.seed}"


@dataclass(frozen=True)
class RunFolder:
    """A run folder and its config."""

    path: Path
    config: Config

    @classmethod
    def create(cls, config: Config) -> RunFolder:
        """Make the folder of `config`, or continue the one that is there.

        Raises
        ------
        RunError
            If the folder holds a run of another config, or is something else.
        """
        path = Path(config.out)
        if (path / "config.yaml").is_file():
            _check_same(load(path / "config.yaml"), config, path)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunError(f"{path} exists and is no run folder: choose another with --out")
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / "config.yaml", to_yaml(config))
        return cls(path, config)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run folder.

        Raises
        ------
        RunError
            If there is none.
        """
        if not (path / "config.yaml").is_file():
            raise RunError(f"{path} is no run folder: it has no config.yaml")
        return cls(path, load(path / "config.yaml"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from running in this folder; the system unlocks after a kill."""
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"{self.path} is in use by another process") from None
            yield

    def jobs(self) -> list[Job]:
        """Return all jobs, the arms of one fold and seed one after another."""
        folds = range(max(1, self.config.data.folds))
        combinations = product(self.config.seeds, folds, self.config.arms)
        return [Job(arm, fold, seed) for seed, fold, arm in combinations]

    def job_path(self, job: Job) -> Path:
        """Return the folder of a job."""
        return self.path / "jobs" / job.arm / f"fold{job.fold}_seed{job.seed}"

    def is_done(self, job: Job) -> bool:
        """Tell whether a job is trained and scored."""
        return (self.job_path(job) / "scores.csv").is_file()

    def environments(self) -> list[dict[str, Any]]:
        """Return the environments in which parts of the run were made."""
        path = self.path / "environment.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []

    def add_environment(self, entry: dict[str, Any]) -> None:
        """Note an environment, if it is new."""
        known = self.environments()
        if entry not in known:
            write_text(self.path / "environment.json", json.dumps([*known, entry], indent=2) + "\n")


def _check_same(old: Config, new: Config, path: Path) -> None:
    """Raise RunError, naming the first different field, unless the configs are the same."""
    before, after = flatten(to_mapping(old)), flatten(to_mapping(new))
    for name in dict.fromkeys([*before, *after]):
        if name != "out" and before.get(name) != after.get(name):
            raise RunError(
                f"{path} holds a run with {name} = {before.get(name)!r}, not "
                f"{after.get(name)!r}: choose another folder with --out, or delete it"
            )


def flatten(mapping: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one dict with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in mapping.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
