"""What a run found: plain records that go to JSON and come back."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.memory import Memory
from benchmarks.peers import PEERS
from benchmarks.timing import Time

SCHEMA = 1


@dataclass(frozen=True)
class PeerTime:
    """One peer on one case; ``ratio`` is its median over ours."""

    name: str
    version: str
    algorithm: str
    same_result: bool
    time: Time
    ratio: float


@dataclass(frozen=True)
class Row:
    """One operation on one case: ours, the copy of the input, the peers.

    On a GPU also the time of a call from Python, of one whose input is in the cache, the time that
    its bytes take at the bandwidth of a copy, and what we mean to need, in seconds.
    """

    operation: str
    case: str
    listed: bool
    images: int
    shape: list[int]
    pixels: int
    ours: Time
    copy: Time
    peers: list[PeerTime]
    called: Time | None = None
    warm: Time | None = None
    floor: float | None = None
    target: float | None = None

    @property
    def mpixel_per_s(self) -> float:
        """Pixels (voxels) of all images over our median, in millions a second."""
        return self.pixels / self.ours.median / 1e6

    @property
    def over_copy(self) -> float:
        """Our median over that of copying the input once."""
        return self.ours.median / self.copy.median


@dataclass(frozen=True)
class Growth:
    """How our time grows with a quantity: time ~ quantity^exponent, give or take the error."""

    operation: str
    quantity: str
    values: list[float]
    times: list[Time]
    exponent: float
    error: float


@dataclass(frozen=True)
class Summary:
    """How far one operation is ahead of one peer, over the listed cases or over the others."""

    operation: str
    peer: str
    same_result: bool
    listed: bool
    cases: int
    geometric_mean: float
    target_mean: float | None
    least: float
    least_case: str
    target_least: float | None


@dataclass
class Report:
    """Everything a run found."""

    threads: int
    quick: bool
    environment: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    memory: dict[str, Memory] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)

    def operations(self) -> list[str]:
        """Return the names of the operations, in the order they ran."""
        return list(dict.fromkeys(row.operation for row in self.rows))

    def summaries(self) -> list[Summary]:
        """Return a summary for each operation and peer over its listed cases.

        Another one covers the other cases if they have a target or are all there is.
        """
        found = []
        for operation in self.operations():
            rows = [row for row in self.rows if row.operation == operation]
            for name in dict.fromkeys(peer.name for row in rows for peer in row.peers):
                found += _summarise(operation, name, rows)
        return found

    def save(self, path: Path) -> None:
        """Write JSON, whole or not at all."""
        content = {"schema": SCHEMA, **asdict(self)}
        content["summary"] = [asdict(summary) for summary in self.summaries()]
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".part")
        try:
            unfinished.write_text(json.dumps(content, indent=1) + "\n")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Report:
        """Read what `save` wrote; ValueError if it is something else."""
        try:
            content = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is not JSON: {error}") from None
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema != SCHEMA:
            raise ValueError(f"{path} has benchmark schema {schema!r}; this version reads {SCHEMA}")
        return cls(
            threads=content["threads"],
            quick=content["quick"],
            environment=content["environment"],
            rows=[_row(row) for row in content["rows"]],
            memory={name: Memory(**found) for name, found in content["memory"].items()},
            skipped=content["skipped"],
            growth=[_growth(found) for found in content.get("growth", [])],
        )

    @classmethod
    def load_all(cls, paths: Iterable[Path]) -> Report:
        """Read several files of one machine as one report; ValueError if they do not belong."""
        first, *others = [cls.load(path) for path in paths]
        for other in others:
            first.check_comparable(other)
            if repeated := set(first.operations()) & set(other.operations()):
                raise ValueError(f"more than one file holds {', '.join(sorted(repeated))}")
            first.quick |= other.quick
            first.environment["packages"].update(other.environment["packages"])
            first.rows += other.rows
            first.memory.update(other.memory)
            first.skipped += other.skipped
            first.growth += other.growth
        return first

    def check_comparable(self, other: Report) -> None:
        """Raise ValueError unless the other was made on the same machine with as many threads."""
        for name in ("cpu", "cores", "gpu"):
            mine, theirs = (_machine(found.environment, name) for found in (self, other))
            if mine != theirs:
                raise ValueError(
                    f"the files come from different machines: {name} is {mine!r} and {theirs!r}"
                )
        if other.threads != self.threads:
            raise ValueError(f"threads differ: {self.threads} and {other.threads}")


@contextmanager
def saving(path: Path | None) -> Iterator[Callable[[Report], None]]:
    """Save a report that grows: beside the file until the run has ended well, then as the file.

    A run that fails or is stopped leaves what it found in ``name.unfinished.json``, and the file of
    an earlier run as it was. Without a path nothing is written.
    """
    if path is None:
        yield lambda report: None
        return
    unfinished = path.with_name(f"{path.stem}.unfinished.json")
    yield lambda report: report.save(unfinished)
    unfinished.replace(path)


def environment() -> dict[str, Any]:
    """Return what a reader needs to judge the numbers; nothing that names a person or a path."""
    packages = {}
    for name in ("tubeskel", "numpy", *sorted({peer.distribution for peer in PEERS})):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": packages,
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _machine(environment: dict[str, Any], name: str) -> Any:
    found = environment.get(name)
    return found["name"] if isinstance(found, dict) else found


def _row(content: dict[str, Any]) -> Row:
    peers = [PeerTime(**{**peer, "time": Time(**peer["time"])}) for peer in content["peers"]]
    names = [name for name in ("ours", "copy", "called", "warm") if content.get(name)]
    times = {name: Time(**content[name]) for name in names}
    return Row(**{**content, **times, "peers": peers})


def _growth(content: dict[str, Any]) -> Growth:
    return Growth(**{**content, "times": [Time(**time) for time in content["times"]]})


def _summarise(operation: str, name: str, rows: list[Row]) -> list[Summary]:
    peer = next((p for p in PEERS if (p.operation, p.name) == (operation, name)), None)
    rows = [row for row in rows if any(p.name == name for p in row.peers)]
    listed = [row for row in rows if row.listed]
    others = [row for row in rows if not row.listed]
    targets = (peer.target_mean, peer.target_least) if peer else (None, None)
    target_others = peer.target_unlisted if peer else None
    found = []
    if listed:
        found.append(_summary(listed, name, *targets))
    if others and (target_others is not None or not listed):
        found.append(_summary(others, name, None, target_others))
    return found


def _summary(
    rows: list[Row], name: str, target_mean: float | None, target_least: float | None
) -> Summary:
    found = [(peer, row.case) for row in rows for peer in row.peers if peer.name == name]
    slowest, case = min(found, key=lambda pair: pair[0].ratio)
    return Summary(
        operation=rows[0].operation,
        peer=name,
        same_result=slowest.same_result,
        listed=rows[0].listed,
        cases=len(found),
        geometric_mean=math.exp(sum(math.log(peer.ratio) for peer, _ in found) / len(found)),
        target_mean=target_mean,
        least=slowest.ratio,
        least_case=case,
        target_least=target_least,
    )
