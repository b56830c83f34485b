"""The run: every operation on every case, beside every peer and the copy of its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.cases import Case, Unavailable, cases_of
from benchmarks.memory import peak_memory
from benchmarks.operations import (
    COMMANDS,
    OPERATIONS,
    Operation,
    copier,
    main_array,
    pixels,
    set_threads,
)
from benchmarks.peers import Function, Peer
from benchmarks.report import PeerTime, Report, Row, environment
from benchmarks.timing import QUICK, THOROUGH, Effort, in_turn, settle_heap

OURS, COPY = "tubeskel", "copy"


class Mismatch(Exception):
    """A timed result that should equal a peer's does not."""


def run(
    command: str,
    *,
    dims: int | None = None,
    sizes: Sequence[int] = (),
    quick: bool = False,
    cases: Sequence[str] = (),
    peers: Sequence[str] | None = None,
    threads: int = 1,
    tell: Callable[[str], None] = lambda message: None,
    keep: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Time all operations of a subcommand.

    Parameters
    ----------
    command : str
        Subcommand, one of `operations.COMMANDS`, or ``"all"``.
    dims : int, optional
        Only operations on images (2) or on volumes (3).
    sizes : sequence of int, optional
        Generated cases of these sizes instead of the usual ones.
    quick : bool
        Few repeats, one input a case and, unless they are named, only the light cases.
    cases, peers : sequence of str, optional
        Names to restrict the run to; no ``peers`` at all if that is empty.
    threads : int
        For our side and for those peers that can use several.
    tell : callable, optional
        Gets a line about what is being done.
    keep : callable, optional
        Gets the report after each case, as far as it has come.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        An unknown command, case or peer, dims that the command lacks, sizes below 16, or fewer
        than 1 threads.
    Mismatch
        A result of ours differs from that of a peer with the same result by definition.
    """
    _check_names("command", [command], [*COMMANDS, "all"])
    operations = [o for o in OPERATIONS if command in ("all", o.command) and dims in (None, o.dims)]
    if not operations:
        raise ValueError(f"{command} has no operation in {dims} dimensions")
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if any(size < 16 for size in sizes):
        raise ValueError(f"sizes must be at least 16, got {min(sizes)}")
    suites = {o.suite: cases_of(o.suite, sizes) for o in operations}
    _check_names("case", cases, [case.name for suite in suites.values() for case in suite])
    _check_names("peer", peers or (), [p.name for operation in operations for p in operation.peers])

    settle_heap()
    report = Report(threads, quick, environment())
    for operation in operations:
        chosen = _chosen(suites[operation.suite], cases, quick and not sizes)
        if chosen:
            set_threads(threads, operation)
            sides, missing = _load_peers(operation, peers, threads, quick)
            report.skipped += missing
            _run(operation, chosen, sides, report, tell, keep)
    report.skipped = list(dict.fromkeys(report.skipped))
    return report


def _run(
    operation: Operation,
    cases: Sequence[Case],
    peers: dict[Peer, Function],
    report: Report,
    tell: Callable[[str], None],
    keep: Callable[[Report], None],
) -> None:
    """Time one operation on its cases and add what was found to the report.

    A peer is spared a case of which smaller ones of its family say that it would take too long, if
    time grows as pixels to the power of 1.5: with the area and the width of what is in it.
    """
    effort = QUICK if report.quick else THOROUGH
    largest, largest_size = None, 0
    pace: dict[tuple[Peer, str], float] = {}
    for case in cases:
        tell(f"{operation.name}: {case.name}")
        try:
            inputs = [operation.prepare(i) for i in case.load()[: 1 if report.quick else None]]
        except Unavailable as reason:
            report.skipped.append(f"{case.name}: {reason}")
            continue
        family = case.name.rpartition("-")[0]
        work = sum(pixels(item) ** 1.5 for item in inputs)
        expected = {peer: pace.get((peer, family), 0.0) * work for peer in peers}
        for peer, seconds in expected.items():
            if seconds > effort.patience:
                report.skipped.append(
                    f"{peer.name} on {case.name}: {operation.name} would take about {seconds:.0f} s"
                )
        patient = {p: call for p, call in peers.items() if expected[p] <= effort.patience}
        row = _time(operation, case, inputs, patient, effort)
        report.rows.append(row)
        keep(report)
        for peer, found in zip(patient, row.peers, strict=True):
            if family:
                pace[peer, family] = found.time.median / work
        size = max(main_array(item).nbytes for item in inputs)
        if size > largest_size:
            largest, largest_size = case.name, size
    if largest is not None:
        tell(f"{operation.name}: memory of {largest}")
        memory = peak_memory(operation, largest, report.threads)
        if memory is not None:
            report.memory[operation.name] = memory


def compare(operation: Operation, peer: Peer, case: Case, ours: Any, theirs: Any) -> None:
    """Raise `Mismatch` if results that are equal by definition differ; each is a list."""
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if difference := operation.difference(mine, other):
            raise Mismatch(
                f"{operation.name} on {case.name}, image {index}: {difference} "
                f"between tubeskel and {peer.name} {peer.version}"
            )


def _time(
    operation: Operation,
    case: Case,
    inputs: list[Any],
    peers: dict[Peer, Function],
    effort: Effort,
) -> Row:
    copies = [copier(item) for item in inputs]
    same = {peer.name: peer for peer in peers if peer.same_result}
    latest: dict[str, Any] = {}

    def check(side: str, result: Any) -> None:
        """Compare each result of ours with the peers', and each of theirs with ours."""
        if side == OURS or side in same:
            latest[side] = result
        for name in same if side == OURS else {side} & set(same):
            if name in latest and OURS in latest:
                compare(operation, same[name], case, latest[OURS], latest[name])

    def over_inputs(function: Callable[[Any], Any]) -> Callable[[], list[Any]]:
        return lambda: [function(item) for item in inputs]

    sides: dict[str, Callable[[], Any]] = {OURS: over_inputs(operation.ours)}
    sides |= {peer.name: over_inputs(function) for peer, function in peers.items()}
    sides[COPY] = lambda: [copy() for copy in copies]
    times = in_turn(sides, effort, check)
    return Row(
        operation=operation.name,
        case=case.name,
        listed=case.listed,
        images=len(inputs),
        shape=list(main_array(max(inputs, key=pixels)).shape),
        pixels=sum(pixels(item) for item in inputs),
        ours=times[OURS],
        copy=times[COPY],
        peers=[
            PeerTime(
                peer.name,
                peer.version,
                peer.algorithm,
                peer.same_result,
                times[peer.name],
                times[peer.name].median / times[OURS].median,
            )
            for peer in peers
        ],
    )


def _load_peers(
    operation: Operation, names: Sequence[str] | None, threads: int, quick: bool
) -> tuple[dict[Peer, Function], list[str]]:
    found, missing = {}, []
    for peer in operation.peers:
        if peer.name not in names if names is not None else quick and not peer.quick:
            continue
        try:
            found[peer] = peer.load(threads)
        except Unavailable as reason:
            missing.append(f"{peer.name}: {reason}")
    return found, missing


def _chosen(suite: Sequence[Case], names: Sequence[str], quick: bool) -> list[Case]:
    if names:
        return [case for case in suite if case.name in names]
    return [case for case in suite if case.quick or not quick]


def _check_names(kind: str, names: Sequence[str], allowed: Sequence[str]) -> None:
    for name in names:
        if name not in allowed:
            choices = ", ".join(dict.fromkeys(allowed))
            raise ValueError(f"unknown {kind} {name!r}; choose from {choices}")
