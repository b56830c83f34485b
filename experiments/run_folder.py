"""The folder of one run: what is in it and where.

config.yaml            the resolved config
jobs/ARM/fold0_seed0/  log.jsonl, gradients.jsonl, checkpoint.pt, cost.json, scores.csv,
                       predictions/ID.png (ID.nii.gz in 3D);
                       arm.yaml: the fields of the arm that was trained;
                       environment.json: versions, processor, ..., one entry for each distinct
                       one; error.txt: why the last attempt failed
report/                report.html, report.md, its tables and figures
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

import yaml

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

        Seeds and arms may be added or taken away; whatever else made the jobs that are there must
        be the same.

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

    @classmethod
    def open_all(cls, path: Path) -> list[RunFolder]:
        """Open a run folder, or all of those in the folder of a study.

        Raises
        ------
        RunError
            If there is none.
        """
        inside = sorted(path.glob("*/config.yaml"))
        if inside and not (path / "config.yaml").is_file():
            return [cls.open(file.parent) for file in inside]
        return [cls.open(path)]

    @contextmanager
    def locked(self, job: Job | None = None) -> Iterator[None]:
        """Keep other processes from this folder, or from one job; a kill unlocks it."""
        path = self.job_path(job) if job else self.path / "run"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                where = path if job else self.path
                raise RunError(f"{where} is in use by another process") from None
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
        """Tell whether a job is trained and scored.

        Raises
        ------
        RunError
            If its folder holds a job of an arm with other fields.
        """
        self.check_arm(job)
        return (self.job_path(job) / "scores.csv").is_file()

    def check_arm(self, job: Job) -> None:
        """Raise RunError if the folder of a job was made by an arm with other fields."""
        path = self.job_path(job) / "arm.yaml"
        if not path.is_file():
            return
        before, now = yaml.safe_load(path.read_text(encoding="utf-8")), self._arm_fields(job)
        for name in before:
            if name in now and before[name] != now[name]:
                raise RunError(
                    f"{path.parent} was made with {name} = {before[name]!r}, not {now[name]!r}: "
                    "name the arm otherwise, or delete the folder"
                )

    def note_arm(self, job: Job) -> None:
        """Note the fields of the arm that a job trains, or check them against those noted."""
        self.check_arm(job)
        write_text(self.job_path(job) / "arm.yaml", yaml.safe_dump(self._arm_fields(job)))

    def _arm_fields(self, job: Job) -> dict[str, Any]:
        arm: dict[str, Any] = to_mapping(self.config)["arms"][job.arm]
        del arm["against"]  # which the report alone reads
        return arm

    def note_environment(self, job: Job, entry: dict[str, Any]) -> None:
        """Note an environment in which a part of a job was made, if it is new."""
        path = self.job_path(job) / "environment.json"
        known = _read_list(path)
        if entry not in known:
            write_text(path, json.dumps([*known, entry], indent=2) + "\n")

    def environments(self) -> list[dict[str, Any]]:
        """Return the distinct environments in which parts of the run were made."""
        distinct: list[dict[str, Any]] = []
        for job in self.jobs():
            entries = _read_list(self.job_path(job) / "environment.json")
            distinct += [entry for entry in entries if entry not in distinct]
        return distinct

    def note_failure(self, job: Job, text: str) -> None:
        """Note why a job failed; an empty text says that it did not."""
        path = self.job_path(job) / "error.txt"
        if text:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
        else:
            path.unlink(missing_ok=True)


def _read_list(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def _check_same(old: Config, new: Config, path: Path) -> None:
    """Raise RunError, naming the first field that differs for a job of both configs."""
    before, after = flatten(_of_jobs(old, new)), flatten(_of_jobs(new, old))
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            raise RunError(
                f"{path} holds a run with {name} = {before.get(name)!r}, not "
                f"{after.get(name)!r}: choose another folder with --out, or delete it"
            )


def _of_jobs(config: Config, other: Config) -> dict[str, Any]:
    """Return the fields that decide the outcome of a job, of the arms that both configs have."""
    mapping = to_mapping(config)
    del mapping["out"], mapping["seeds"]
    mapping["arms"] = {name: arm for name, arm in mapping["arms"].items() if name in other.arms}
    for arm in mapping["arms"].values():
        del arm["against"]  # which the report alone reads
    return mapping


def flatten(mapping: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one dict with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in mapping.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
