"""The commands of ``python -m benchmarks``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import figure as drawing
from benchmarks import gpu, plots, runner, tables
from benchmarks import growth as series
from benchmarks.cases import Unavailable
from benchmarks.compare import changes, drift
from benchmarks.report import Report, environment, saving


@dataclass
class Options:
    """What all measuring commands understand."""

    device: Literal["cpu", "cuda"] = "cpu"
    """Where the inputs are and the work is done."""
    dims: Literal[2, 3] | None = None
    """Only operations on images or on volumes; all by default."""
    sizes: tuple[int, ...] = ()
    """Generated cases of these sizes, in pixels a side, instead of the usual ones."""
    cases: tuple[str, ...] = ()
    """Only these cases."""
    peers: tuple[str, ...] | None = None
    """Only these peers; none if no name follows."""
    threads: int | Literal["all"] = 1
    """Threads of our side and of the peers that can use several."""
    quick: bool = False
    """Few repeats, one input a case, only light cases: checks the harness, not for quoting."""
    json: Path | None = None
    """Write the results, with the environment, to this file."""
    compare: Path | None = None
    """Say what got slower or faster than in this file of an earlier --json; 1 if slower."""
    plot: Path | None = None
    """Draw bars of all cases and curves of how time grows."""
    markdown: bool = False
    """Print Markdown instead of tables for a terminal."""


class Slower(Exception):
    """Cases that take longer than in an earlier run, beyond noise."""


app = tyro.extras.SubcommandApp()
FLAT = tyro.conf.arg(name="")


@app.command
def thin(options: Annotated[Options, FLAT]) -> None:
    """Time skeletonize and thin."""
    _measure("thin", options)


@app.command
def dilate(options: Annotated[Options, FLAT]) -> None:
    """Time dilate by a diamond of radius 2."""
    _measure("dilate", options)


@app.command
def tube(options: Annotated[Options, FLAT]) -> None:
    """Time tubed_skeleton on label maps, beside the recipe of the Skeleton Recall reference."""
    _measure("tube", options)


@app.command
def loss(options: Annotated[Options, FLAT]) -> None:
    """Time the losses, forward and backward, beside the same formulas in PyTorch."""
    _measure("loss", options)


@app.command
def metrics(options: Annotated[Options, FLAT]) -> None:
    """Time clDice and Betti numbers."""
    _measure("metrics", options)


@app.command
def train_step(options: Annotated[Options, FLAT]) -> None:
    """Time what the Skeleton Recall Loss adds to a training step of a DynUNet."""
    _measure("train-step", options)


@app.command
def growth(options: Annotated[Options, FLAT]) -> None:
    """Time how cost grows with pixels, foreground, tube width, batch and threads."""
    _measure("growth", options)


@app.command(name="all")
def everything(options: Annotated[Options, FLAT]) -> None:
    """Time all of these."""
    _measure("all", options)


@app.command
def markdown(
    files: tyro.conf.Positional[tuple[Path, ...]],
    readme: Path | None = None,
    page: Path | None = None,
) -> None:
    """Print the speed tables of JSON files as Markdown.

    Args:
        files: What --json wrote, of one machine.
        readme: Also put an overview between the speed-table markers of this file.
        page: Also write all tables to this file.
    """
    report = _load(files)
    print(tables.markdown(report))
    if readme is not None:
        tables.update_readme(readme, tables.overview(report))
    if page is not None:
        page.write_text(tables.page(report))


@app.command
def figure(
    files: tyro.conf.Positional[tuple[Path, ...]], out: Path, speed: Path | None = None
) -> None:
    """Draw mask, skeleton, tube and the speed of JSON files.

    Args:
        files: What --json wrote, of one machine.
        out: Picture to write; the suffix chooses the format.
        speed: Also draw what --plot draws, here.
    """
    report = _load(files)
    drawing.draw(report, out)
    if speed is not None:
        plots.draw(report, speed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 2 for bad input, 1 for a result that is wrong or slower than before."""
    try:
        app.cli(
            prog="python -m benchmarks",
            description="What tubeskel costs, against the peers and against copying its input.",
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except (ValueError, OSError, Unavailable) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except runner.Mismatch as error:
        print(f"benchmarks: wrong result: {error}", file=sys.stderr)
        return 1
    except Slower as error:
        print(f"benchmarks: slower than before: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(command: str, options: Options) -> None:
    old = None if options.compare is None else Report.load(options.compare)
    with Console(stderr=True).status(command) as status, saving(options.json) as keep:
        run = _on_cpu if options.device == "cpu" else _on_gpu
        report = run(command, options, status.update, keep)
        if not (report.rows or report.growth):
            raise ValueError("no case could be run: " + "; ".join(report.skipped))
        keep(report)
    _show(report, options.markdown)
    if options.plot is not None:
        plots.draw(report, options.plot)
    if old is not None:
        _compare(old, report)


def _on_cpu(
    command: str, options: Options, tell: Callable[[str], None], keep: Callable[[Report], None]
) -> Report:
    threads = (os.cpu_count() or 1) if options.threads == "all" else options.threads
    chosen = bool(options.cases or options.sizes or options.peers is not None)
    if command == "growth":
        if chosen:
            raise ValueError("growth has inputs of its own: no --cases, --sizes or --peers")
        report = Report(threads, options.quick, environment())
    else:
        report = runner.run(
            command,
            dims=options.dims,
            sizes=options.sizes,
            quick=options.quick,
            cases=options.cases,
            peers=options.peers,
            threads=threads,
            tell=tell,
            keep=keep,
        )
    if command == "growth" or (command == "all" and not chosen):
        report.growth = series.run(
            quick=options.quick, threads=threads, dims=options.dims, tell=tell
        )
    return report


def _on_gpu(
    command: str, options: Options, tell: Callable[[str], None], keep: Callable[[Report], None]
) -> Report:
    return gpu.run(
        command=command,
        dims=options.dims,
        sizes=options.sizes,
        quick=options.quick,
        names=options.cases,
        peers=options.peers,
        tell=tell,
        keep=keep,
    )


def _show(report: Report, as_markdown: bool) -> None:
    if "gpu" in report.environment:
        text = gpu.table(report)
        if as_markdown or not sys.stdout.isatty():
            print(text)
        else:
            Console().print(Markdown(text))
    elif as_markdown:
        print(tables.markdown(report))
    else:
        # a pipe has no width of its own
        tables.show(report, Console(width=None if sys.stdout.isatty() else 200))


def _compare(old: Report, new: Report) -> None:
    found = changes(old, new)
    for change in found:
        if change.slower or change.faster:
            print(f"{change.operation} on {change.case}: {change.ratio:.2f}x the time of before")
    print(f"{len(found)} cases compared; copying takes {drift(old, new):.2f}x the time of before")
    if slower := [f"{c.operation} on {c.case}" for c in found if c.slower]:
        raise Slower(", ".join(slower))


def _load(files: Sequence[Path]) -> Report:
    if not files:
        raise ValueError("name at least one JSON file")
    return Report.load_all(files)
