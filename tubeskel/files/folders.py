"""Which files to read, and where to write: a file to a file, a folder to a folder like it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .formats import SUFFIXES, format_of, require_library


@dataclass
class Plan:
    """What there is to do.

    Attributes
    ----------
    jobs : list of (Path, Path)
        Each file to read and the one to write.
    passed_over : Counter of str
        How many other things a folder holds, by suffix or kind.
    unreadable : list of OSError
        Folders inside that cannot be listed.
    """

    jobs: list[tuple[Path, Path]] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    unreadable: list[OSError] = field(default_factory=list)


def make_plan(source: Path, target: Path) -> Plan:
    """Pair the files of `source` with those to write at `target`.

    Raises
    ------
    ValueError
        If `source` does not exist or has nothing to read, if `target` is no place for it, or if an
        output would take the place of an input.
    ImportError
        If the library of a format is missing.
    """
    if not source.exists():
        raise ValueError(f"IN {source} does not exist")
    plan = _plan_folder(source, target) if source.is_dir() else _plan_file(source, target)
    inputs = {_identity(path) for path, _ in plan.jobs} - {None}
    for path, out in plan.jobs:
        if _identity(out) in inputs:
            raise ValueError(f"OUT would take the place of an input, {out}")
        require_library(path)
    return plan


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others, whatever its name; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _plan_file(source: Path, target: Path) -> Plan:
    known = format_of(source)
    if known is None:
        raise ValueError(f"IN {source} must be a folder or end in one of {SUFFIXES}")
    if target.is_dir():
        target = target / source.name
    if format_of(target) is not known:
        allowed = " or ".join(known.suffixes)
        raise ValueError(f"OUT {target} must be a folder that exists or end in {allowed}, as IN")
    return Plan([(source, target)])


def _plan_folder(source: Path, target: Path) -> Plan:
    if target.exists() and not target.is_dir():
        raise ValueError(f"IN is a folder and OUT {target} is none")
    written = _identity(target)
    if written == _identity(source):
        raise ValueError("OUT must be another folder than IN")
    plan = Plan()
    for parent, folders, names in os.walk(source, onerror=plan.unreadable.append):
        here = Path(parent)
        for name in sorted(folders):
            if name.startswith(".") or (here / name).is_symlink():
                plan.passed_over["hidden" if name.startswith(".") else "linked folder"] += 1
                folders.remove(name)
            elif _identity(here / name) == written:  # by an earlier run
                folders.remove(name)
        folders.sort()
        for name in sorted(names):
            path = here / name
            if name.startswith("."):
                plan.passed_over["hidden"] += 1
            elif format_of(path) is None:
                plan.passed_over[path.suffix.lower() or "no suffix"] += 1
            else:
                plan.jobs.append((path, target / path.relative_to(source)))
    if not plan.jobs and not plan.unreadable:
        raise ValueError(f"IN {source} holds no file that ends in one of {SUFFIXES}")
    return plan
