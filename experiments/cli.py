"""The command line: ``run``, ``study``, ``report``, ``describe``, ``evaluate`` and others."""

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
from experiments.data import DATA_SETS, DataConfig
from experiments.errors import ConfigError, UserError
from experiments.losses import LOSSES
from experiments.validation import nearest

PROGRAM = "python -m experiments"
USAGE = f"""\
usage: {PROGRAM} run CONFIG [--FIELD VALUE ...]   train, score and report; continues after a kill
       {PROGRAM} run CONFIG --help                show the fields of a config
       {PROGRAM} study CONFIG [--workers N]       run and report several data sets, arms and seeds
       {PROGRAM} report RUN [RUN ...]             report of run folders or a study's folder
       {PROGRAM} describe DATA_SET [--data.FIELD VALUE ...]  what a tube leaves of the masks
       {PROGRAM} export-nnunet CONFIG --id N      write its data set and folds for nnU-Net
       {PROGRAM} evaluate --predictions DIR --labels DIR    score any predictions, 2D or 3D
       {PROGRAM} list                             show data sets, losses and configs
"""
T = TypeVar("T")


@dataclass(frozen=True)
class ReportArguments:
    """Write the report of one or more run folders."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """run folders, or folders of studies"""
    out: Path | None = None
    """folder of the report; by default report/ in the first folder"""


@dataclass(frozen=True)
class DescribeArguments:
    """Show what a data set is made of; where tube and mask are one, SRL is plain recall."""

    data: DataConfig
    radius: int = 2
    """radius of the tube, in pixels"""
    per_class: bool = False
    """thin each class by itself; by default the union of all classes"""


@dataclass(frozen=True)
class EvaluateArguments:
    """Score label maps (png, tif, npy, nii, nii.gz) against those of the same names."""

    predictions: Path
    """folder of predictions, such as nnU-Net's output"""
    labels: Path
    """folder of the ground truth"""
    out: Path | None = None
    """folder of scores.csv and scores.md; by default scores/ in the predictions' folder"""
    ignore: int | None = None
    """value of the ground truth whose pixels are not scored"""
    fields_of_view: Path | None = None
    """folder of masks with the labels' names: scores are also of what is inside"""


@dataclass(frozen=True)
class StudyArguments:
    """Run a study, and write its report; the same command continues it and retries what failed."""

    config: tyro.conf.Positional[Path]
    """YAML file of the study"""
    workers: int = 1
    """processes of one thread each on this machine; 1 trains in this process"""
    dask: str | None = None
    """address of a Dask scheduler whose workers train, such as tcp://host:8786"""


def main(arguments: Sequence[str]) -> int:
    """Run a command; return the exit code.

    0: done; 1: jobs of a study failed; 2: bad input, told in one line; 130: interrupted.
    """
    commands: dict[str, Callable[[Sequence[str]], int]] = {
        "run": run_command,
        "study": study_command,
        "report": report_command,
        "describe": describe_command,
        "export-nnunet": export_nnunet_command,
        "evaluate": evaluate_command,
        "list": list_command,
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if arguments else 2
    try:
        if arguments[0] not in commands:
            hint = nearest(arguments[0], commands)
            raise ConfigError(f"unknown command '{arguments[0]}': {hint}")
        return commands[arguments[0]](arguments[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command continues", file=sys.stderr)
        return 130


def run_command(arguments: Sequence[str]) -> int:
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
    return 0


def study_command(arguments: Sequence[str]) -> int:
    """Run a study; tell the jobs that failed, and return 1 if there are any."""
    parsed = parse(StudyArguments, arguments, f"{PROGRAM} study")
    if parsed.workers < 1:
        raise ConfigError(f"--workers {parsed.workers}: allowed is at least 1")

    from experiments.report import write_report
    from experiments.study import load, run_study

    study = load(parsed.config)
    folders, failures = run_study(study, parsed.workers, parsed.dask)
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    print(f"report: {write_report(folders, study.out / 'report', study.name)}")
    return 1 if failures else 0


def report_command(arguments: Sequence[str]) -> int:
    """Write the report of the run folders named."""
    parsed = parse(ReportArguments, arguments, f"{PROGRAM} report")
    if not parsed.runs:
        raise ConfigError(f"report needs run folders: {PROGRAM} report RUN [RUN ...]")

    from experiments.report import write_report
    from experiments.run_folder import RunFolder

    folders = [folder for path in parsed.runs for folder in RunFolder.open_all(path)]
    print(f"report: {write_report(folders, parsed.out or parsed.runs[0] / 'report')}")
    return 0


def describe_command(arguments: Sequence[str]) -> int:
    """Describe the data set named ``arguments[0]``, the rest being its fields."""
    name = next(iter(arguments), "")
    if name not in DATA_SETS:
        raise ConfigError(f"describe {name or '...'}: data set, {nearest(name, DATA_SETS)}")
    default = DescribeArguments(DATA_SETS[name](name))
    parsed = parse(DescribeArguments, arguments[1:], f"{PROGRAM} describe {name}", default)
    if parsed.radius < 0:
        raise ConfigError(f"--radius {parsed.radius}: allowed is at least 0")

    from experiments.data.describe import describe
    from experiments.report.tables import facts_table

    facts = describe(parsed.data.load(), parsed.radius, parsed.per_class)
    print(facts_table(facts).markdown())
    return 0


def export_nnunet_command(arguments: Sequence[str]) -> int:
    """Write the data set of a config, and its folds, for nnU-Net."""
    from experiments.nnunet_export import ExportArguments, export

    print(f"written: {export(parse(ExportArguments, arguments, f'{PROGRAM} export-nnunet'))}")
    return 0


def evaluate_command(arguments: Sequence[str]) -> int:
    """Score a folder of predictions."""
    parsed = parse(EvaluateArguments, arguments, f"{PROGRAM} evaluate")

    from experiments.evaluate import evaluate_folders

    out = parsed.out or parsed.predictions / "scores"
    print(
        evaluate_folders(
            parsed.predictions, parsed.labels, out, parsed.ignore, parsed.fields_of_view
        )
    )
    print(f"scores: {out / 'scores.csv'}")
    return 0


def list_command(arguments: Sequence[str]) -> int:
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
    return 0


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
