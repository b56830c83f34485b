"""The command line: ``run``, ``report`` and ``list``."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import tyro

from experiments import config as configs
from experiments.data import DATA_SETS
from experiments.errors import ConfigError, UserError
from experiments.losses import LOSSES
from experiments.validation import nearest

PROGRAM = "python -m experiments"
USAGE = f"""\
usage: {PROGRAM} run CONFIG [--FIELD VALUE ...]   train, score and report; continues after a kill
       {PROGRAM} run CONFIG --help                show the fields of a config
       {PROGRAM} report RUN [RUN ...]             write the report of one or more run folders
       {PROGRAM} list                             show data sets, losses and configs
"""
T = TypeVar("T")


@dataclass(frozen=True)
class ReportArguments:
    """Write the report of one or more run folders."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """run folders"""
    out: Path | None = None
    """folder of the report; by default report/ in the first run folder"""


def main(arguments: Sequence[str]) -> int:
    """Run a command; return the exit code: 0, or 2 after bad input, told in one line."""
    commands: dict[str, Callable[[Sequence[str]], None]] = {
        "run": run_command,
        "report": report_command,
        "list": list_command,
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if arguments else 2
    try:
        if arguments[0] not in commands:
            hint = nearest(arguments[0], commands)
            raise ConfigError(f"unknown command '{arguments[0]}': {hint}")
        commands[arguments[0]](arguments[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command continues", file=sys.stderr)
        return 130
    return 0


def run_command(arguments: Sequence[str]) -> None:
    """Train, score and report the config at ``arguments[0]``, the rest being overrides."""
    if not arguments or arguments[0].startswith("-"):
        raise ConfigError(f"run needs a config first: {PROGRAM} run CONFIG [--FIELD VALUE ...]")
    default = configs.load(Path(arguments[0]))
    parsed = parse(configs.Config, arguments[1:], f"{PROGRAM} run {arguments[0]}", default)
    config = configs.from_mapping(configs.to_mapping(parsed))

    from experiments.report import write_report
    from experiments.runner import run

    folder = run(config)
    print(f"report: {write_report([folder], folder.path / 'report')}")


def report_command(arguments: Sequence[str]) -> None:
    """Write the report of the run folders named."""
    parsed = parse(ReportArguments, arguments, f"{PROGRAM} report")
    if not parsed.runs:
        raise ConfigError(f"report needs run folders: {PROGRAM} report RUN [RUN ...]")

    from experiments.report import write_report
    from experiments.run_folder import RunFolder

    folders = [RunFolder.open(path) for path in parsed.runs]
    print(f"report: {write_report(folders, parsed.out or folders[0].path / 'report')}")


def list_command(arguments: Sequence[str]) -> None:
    """Print the data sets, losses and configs."""
    if arguments:
        raise ConfigError(f"list takes no arguments, got {' '.join(arguments)}")
    print("data sets")
    for name, data_set in DATA_SETS.items():
        print(f"  {name:16} {data_set.summary}")
    print("losses")
    for name, terms in LOSSES.items():
        print(f"  {name:16} {' + '.join(terms)}")
    print("configs")
    here = Path(__file__).resolve().parent
    for path in sorted((here / "configs").glob("*.yaml")):
        print(f"  {path.stem:16} {here.name}/configs/{path.name}")


def parse(kind: type[T], arguments: Sequence[str], program: str, default: T | None = None) -> T:
    """Parse flags with tyro, whose framed complaint becomes the one line of a ConfigError."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            if default is None:
                return tyro.cli(kind, args=list(arguments), prog=program)
            return tyro.cli(kind, args=list(arguments), prog=program, default=default)
    except SystemExit as stop:
        if not stop.code:
            raise  # --help
        raise ConfigError(one_line(complaint.getvalue())) from None


def one_line(complaint: str) -> str:
    """Return the first part of a framed message as one line, with its first proposal."""
    lines = [line.strip("╭╮╰╯│─ ") for line in complaint.splitlines()[1:]]
    message = " ".join(lines[: lines.index("")] if "" in lines else lines)
    if "Perhaps you meant:" in lines:
        message += f"; did you mean {lines[lines.index('Perhaps you meant:') + 1].split()[0]}?"
    return message
