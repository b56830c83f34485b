"""A report as tables: for the terminal, and as Markdown for the README."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from benchmarks.memory import Memory
from benchmarks.operations import OPERATIONS
from benchmarks.report import Report, Row, Summary
from benchmarks.timing import Time

BEGIN, END = "<!-- speed-table -->", "<!-- /speed-table -->"


def show(report: Report, console: Console) -> None:
    """Print the tables of all operations, with the spread of the times."""
    console.print(_environment(report), highlight=False, soft_wrap=True)
    for operation in report.operations():
        header, rows = _table(report, operation, spread=True)
        table = Table(title=_title(operation), title_justify="left", title_style="bold")
        for column in header:
            justify: Literal["left", "right"] = "left" if column in ("case", "input") else "right"
            table.add_column(column, justify=justify, no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        for line in _notes(report, operation):
            console.print(f"  {line}", highlight=False, soft_wrap=True)
    for reason in report.skipped:
        console.print(f"not run: {reason}", style="yellow", markup=False, soft_wrap=True)


def markdown(report: Report) -> str:
    """Return the tables of all operations as Markdown."""
    blocks = []
    for operation in report.operations():
        header, rows = _table(report, operation, spread=False)
        lines = [
            f"**`{_title(operation)}`**",
            "",
            "| " + " | ".join(header) + " |",
            "|" + "|".join("---" if c in ("case", "input") else "--:" for c in header) + "|",
            *("| " + " | ".join(row) + " |" for row in rows),
            "",
            *(f"- {line}" for line in _notes(report, operation)),
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, _environment(report)])


def update_readme(readme: Path, text: str) -> None:
    """Put the text between the markers of a file; ValueError if they are not there."""
    content = readme.read_text()
    head, begin, rest = content.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{readme} lacks the lines {BEGIN} and {END}")
    readme.write_text(f"{head}{begin}\n{text}\n{end}{tail}")


def format_seconds(seconds: float) -> str:
    """Return three figures with a unit that suits them."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{_figures(seconds / scale)} {unit}"
    return f"{_figures(seconds / 1e-9)} ns"


def _figures(value: float) -> str:
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def _time(time: Time, spread: bool) -> str:
    text = format_seconds(time.median)
    if time.runs == 1:
        return f"{text} (1 run)"
    if not spread:
        return text
    # half the distance between the quartiles, as a share of the median
    return f"{text} ±{(time.high - time.low) / 2 / time.median:.0%}"


def _title(operation: str) -> str:
    return next((o.title for o in OPERATIONS if o.name == operation), operation)


def _speed(operation: str) -> str:
    volumes = any(o.name == operation and o.dims == 3 for o in OPERATIONS)
    return "Mvoxel/s" if volumes else "Mpixel/s"


def _table(report: Report, operation: str, *, spread: bool) -> tuple[list[str], list[list[str]]]:
    rows = [row for row in report.rows if row.operation == operation]
    names = list(dict.fromkeys(peer.name for row in rows for peer in row.peers))
    # the paired columns: a peer's time, and how many times ours that is
    header = ["case", "input", "tubeskel", _speed(operation), "copy", "over copy"]
    header += [column for name in names for column in (name, "ratio")]
    return header, [_cells(row, names, spread) for row in rows]


def _cells(row: Row, names: list[str], spread: bool) -> list[str]:
    cells = [
        row.case,
        _input(row),
        _time(row.ours, spread),
        _figures(row.mpixel_per_s),
        format_seconds(row.copy.median),
        _figures(row.over_copy),
    ]
    peers = {peer.name: peer for peer in row.peers}
    for name in names:
        if name in peers:
            cells += [_time(peers[name].time, spread), f"{_figures(peers[name].ratio)}x"]
        else:
            cells += ["", ""]
    return cells


def _input(row: Row) -> str:
    shape = " x ".join(map(str, row.shape))
    if row.images == 1:
        return shape
    alike = row.pixels == row.images * math.prod(row.shape)
    return f"{row.images} {'of' if alike else 'up to'} {shape}"


def _notes(report: Report, operation: str) -> list[str]:
    peers = {p.name: p for row in report.rows if row.operation == operation for p in row.peers}
    summaries = [s for s in report.summaries() if s.operation == operation]
    notes = []
    for name, peer in peers.items():
        result = "same result, checked" if peer.same_result else "another result, not compared"
        ahead = "; ".join(_ahead(summary) for summary in summaries if summary.peer == name)
        notes.append(f"{name} {peer.version} ({peer.algorithm}; {result}): {ahead}")
    if operation in report.memory:
        notes.append(_memory(report.memory[operation]))
    return notes


def _ahead(summary: Summary) -> str:
    mean = f"geometric mean {_figures(summary.geometric_mean)}x"
    if summary.target_mean is not None:
        mean += f" (target {summary.target_mean:g})"
    least = f"least {_figures(summary.least)}x on {summary.least_case}"
    if summary.target_least is not None:
        least += f" (target {summary.target_least:g})"
    which = f"{'' if summary.listed else 'other '}case{'s' if summary.cases > 1 else ''}"
    return f"{mean}, {least}, over {summary.cases} {which}"


def _memory(memory: Memory) -> str:
    share = memory.extra_bytes / memory.input_bytes
    return (
        f"peak extra memory on {memory.case}: {memory.extra_bytes / 2**20:.1f} MiB, "
        f"{share:.0%} of the input's {memory.input_bytes / 2**20:.1f} MiB, result not counted"
    )


def _environment(report: Report) -> str:
    found = report.environment
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    one = report.threads == 1
    threads = "one thread each" if one else f"up to {report.threads} threads each"
    quick = "; quick run, not for quoting" if report.quick else ""
    return (
        f"Medians, {threads}; {found['cpu']}, {found['cores']} cores; "
        f"Python {found['python']}, {packages}{quick}."
    )
