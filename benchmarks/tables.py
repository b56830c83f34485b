"""A report as tables: for the terminal, and as Markdown for the README."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Literal

from rich.console import Console
from rich.table import Table

from benchmarks.memory import Memory
from benchmarks.operations import OPERATIONS, Operation
from benchmarks.report import Growth, Report, Row, Summary
from benchmarks.timing import Time

BEGIN, END = "<!-- speed-table -->", "<!-- /speed-table -->"
OTHER = "†"  # marks peers whose result differs from ours by definition
LEFT = ("case", "input", "call", "with", "same result", "another result")
PAGE = """# Benchmarks

![The speed of every side on every case](speed.png)

Written by `make bench`. "Copy" is `np.copyto` of the input (of a loss: one copy of the logits), the
least that any method could take. A peer's cell is its median over ours, with its own time in
brackets; in a training step all sides are shares of the step without the loss. † marks peers whose
result differs from ours by definition; the results of all others are compared with ours on every
run.
"""


def show(report: Report, console: Console) -> None:
    """Print the tables of all operations, with the spread of the times."""
    console.print(_environment(report), highlight=False, soft_wrap=True)
    for title, header, rows, notes in _blocks(report, spread=True):
        table = Table(title=title, title_justify="left", title_style="bold")
        for column in header:
            justify: Literal["left", "right"] = "left" if column in LEFT else "right"
            table.add_column(column, justify=justify, no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        for line in notes:
            console.print(f"  {line}", highlight=False, soft_wrap=True)
    for reason in report.skipped:
        console.print(f"not run: {reason}", style="yellow", markup=False, soft_wrap=True)


def markdown(report: Report) -> str:
    """Return the tables of all operations as Markdown."""
    blocks = []
    for title, header, rows, notes in _blocks(report, spread=False):
        heading = f"**{title}**" if title == GROWTH else f"**`{title}`**"
        lines = [heading, "", *_markdown_table(header, rows), "", *(f"- {line}" for line in notes)]
        blocks.append("\n".join(lines).rstrip())
    return "\n\n".join([*blocks, _environment(report)])


def page(report: Report) -> str:
    """Return the tables of all operations as a page of documentation."""
    return f"{PAGE}\n{markdown(report)}\n"


def overview(report: Report) -> str:
    """Return one line an operation as Markdown: its speed and how far it is ahead of whom."""
    header = ["call", "Mpixel/s or Mvoxel/s", "over copy", "same result", "another result"]
    lines = []
    for operation in report.operations():
        rows = [row for row in report.rows if row.operation == operation]
        summaries = [s for s in report.summaries() if s.operation == operation]
        # a peer with two summaries is told of by that over the listed cases, which comes first
        first = list({s.peer: s for s in reversed(summaries)}.values())[::-1]
        lines.append(
            [
                f"`{_title(operation)}`",
                _figures(median(row.mpixel_per_s for row in rows)),
                _figures(median(row.over_copy for row in rows)),
                *(
                    ", ".join(
                        f"{s.peer} {_figures(s.geometric_mean)}x (least {_figures(s.least)}x)"
                        for s in first
                        if s.same_result is same and s.peer != _whole(operation)
                    )
                    for same in (True, False)
                ),
            ]
        )
    table = "\n".join(_markdown_table(header, lines))
    return f"{table}\n\nSpeeds are of the median case. {_environment(report)}"


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
        return f"{text}, 1 run"
    if not spread:
        return text
    # half the distance between the quartiles, as a share of the median
    return f"{text} ±{(time.high - time.low) / 2 / time.median:.0%}"


GROWTH = "how our time grows"


def _blocks(
    report: Report, *, spread: bool
) -> Iterator[tuple[str, list[str], list[list[str]], list[str]]]:
    """Give title, header, rows and notes of every table."""
    for operation in report.operations():
        header, rows = _table(report, operation, spread=spread)
        yield _title(operation), header, rows, _notes(report, operation)
    if report.growth:
        header = ["call", "with", "from", "to", "time from", "time to", "exponent"]
        yield GROWTH, header, [_growth(found) for found in report.growth], []


def _growth(found: Growth) -> list[str]:
    ends = (0, -1)
    return [
        found.operation,
        found.quantity,
        *(f"{found.values[end]:,.0f}" for end in ends),
        *(format_seconds(found.times[end].median) for end in ends),
        f"{found.exponent:.2f} ± {found.error:.2f}",
    ]


def _markdown_table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(header) + " |",
        "|" + "|".join("---" if column in LEFT else "--:" for column in header) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _operation(name: str) -> Operation | None:
    return next((operation for operation in OPERATIONS if operation.name == name), None)


def _title(name: str) -> str:
    operation = _operation(name)
    return operation.title if operation else name


def speed_unit(name: str) -> str:
    """Return what the speed of an operation is counted in."""
    operation = _operation(name)
    return "Mvoxel/s" if operation and operation.dims == 3 else "Mpixel/s"


def _whole(name: str) -> str | None:
    operation = _operation(name)
    return operation.share_of if operation else None


def _table(report: Report, operation: str, *, spread: bool) -> tuple[list[str], list[list[str]]]:
    rows = [row for row in report.rows if row.operation == operation]
    peers = {peer.name: peer for row in rows for peer in row.peers}
    whole = _whole(operation)
    if whole not in peers:
        whole = None
    header = ["case", "input", "tubeskel", speed_unit(operation), "copy", "over copy"]
    header += [f"of the {whole}"] * (whole is not None)
    header += [name + ("" if peer.same_result else f" {OTHER}") for name, peer in peers.items()]
    return header, [_cells(row, list(peers), whole, spread) for row in rows]


def _cells(row: Row, names: list[str], whole: str | None, spread: bool) -> list[str]:
    cells = [
        row.case,
        _input(row),
        _time(row.ours, spread),
        _figures(row.mpixel_per_s),
        format_seconds(row.copy.median),
        _figures(row.over_copy),
    ]
    peers = {peer.name: peer for peer in row.peers}
    if whole is not None:
        cells.append(f"{1 / peers[whole].ratio:.2%}" if whole in peers else "")
    for name in names:
        if name not in peers:
            cells.append("")
        elif whole in peers:
            share = peers[name].ratio / peers[whole].ratio
            cells.append(f"{share:.1%} ({_time(peers[name].time, spread)})")
        else:
            ratio = _figures(peers[name].ratio)
            cells.append(f"{ratio}x ({_time(peers[name].time, spread)})")
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
