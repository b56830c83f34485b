"""The commands of ``python -m benchmarks``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from benchmarks import figure as drawing
from benchmarks import runner, tables
from benchmarks.report import Report


@dataclass
class Options:
    """What all measuring commands understand."""

    quick: bool = False
    """Few repeats, one input a case, only light cases: checks the harness, not for quoting."""
    cases: tuple[str, ...] = ()
    """Only these cases."""
    peers: tuple[str, ...] | None = None
    """Only these peers; none if no name follows."""
    threads: int = 1
    """Threads of our side and of the peers that can use several."""
    json: Path | None = None
    """Write the results, with the environment, to this file."""


@dataclass
class MaskOptions(Options):
    """What the commands on masks understand besides."""

    dims: Literal[2, 3] = 2
    """Images or volumes."""


app = tyro.extras.SubcommandApp()
FLAT = tyro.conf.arg(name="")


@app.command
def thin(options: Annotated[MaskOptions, FLAT]) -> None:
    """Time skeletonize and, in 2D, thin on masks, beside all peers and np.copyto."""
    _measure("thin", options, options.dims)


@app.command
def tube(options: Annotated[MaskOptions, FLAT]) -> None:
    """Time tubed_skeleton on label maps, beside the recipe of the Skeleton Recall reference."""
    _measure("tube", options, options.dims)


@app.command
def loss(options: Annotated[Options, FLAT]) -> None:
    """Time the losses, forward and backward, beside the same formulae in eager PyTorch."""
    _measure("loss", options)


@app.command
def markdown(files: tyro.conf.Positional[tuple[Path, ...]], readme: Path | None = None) -> None:
    """Print the speed tables of JSON files as Markdown.

    Args:
        files: What --json wrote, of one machine.
        readme: Also put them between the speed-table markers of this file.
    """
    text = tables.markdown(_load(files))
    print(text)
    if readme is not None:
        tables.update_readme(readme, text)


@app.command
def figure(files: tyro.conf.Positional[tuple[Path, ...]], out: Path) -> None:
    """Draw mask, skeleton, tube and the speed of JSON files.

    Args:
        files: What --json wrote, of one machine.
        out: Picture to write; the suffix chooses the format.
    """
    drawing.draw(_load(files), out)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 2 for bad input, 1 for a result that is wrong."""
    try:
        app.cli(
            prog="python -m benchmarks",
            description="What tubeskel costs, against the peers and against copying its input.",
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except (ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except runner.Mismatch as error:
        print(f"benchmarks: wrong result: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(command: str, options: Options, dims: int | None = None) -> None:
    with Console(stderr=True).status(command) as status:
        report = runner.run(
            command,
            dims=dims,
            quick=options.quick,
            cases=options.cases,
            peers=options.peers,
            threads=options.threads,
            tell=status.update,
        )
    if not report.rows:
        raise ValueError("no case could be run: " + "; ".join(report.skipped))
    # a pipe has no width of its own
    tables.show(report, Console(width=None if sys.stdout.isatty() else 200))
    if options.json is not None:
        report.save(options.json)


def _load(files: Sequence[Path]) -> Report:
    if not files:
        raise ValueError("name at least one JSON file")
    return Report.load_all(files)
