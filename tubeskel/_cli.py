"""The command line: ``python -m tubeskel skeletonize`` and ``... tube``, for files and folders."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ._config import show_config
from ._threads import set_num_threads
from .files import make_plan, make_tube_file

Job = tuple[Path, Path]

DESCRIPTION = """\
Skeletons and tubes of masks in files. Without a command: show what was built and what this
machine offers."""

RULES = """\
IN is a file or a folder, of which all files are read, those in folders inside
it too. OUT is a file of the same format, or a folder, where each file gets the
name that it has in IN. A file that is there already is replaced.

formats:
  .png           grey, palette (its index is the label), or equal channels
  .tif .tiff     a stack is one volume, unless --spatial-dims 2 is given
  .nii .nii.gz   affine and header are kept
  .npy           an array of two or three axes
All but npy need the extra "files": pip install "tubeskel[files]"

A mask or label map holds whole numbers. 0 is background, every other value is
foreground. In OUT a pixel has the value that it has in IN, or 0: a mask of 0
and 255 becomes one of 0 and 255, and a label map keeps its classes. What holds
many different values is an image, and refused.

A file that cannot be read or is no mask is named and passed over, and the exit
code is 1. Each file is written whole or not at all. A volume is thinned with
its axes in the order z, y, x."""


def main(arguments: Sequence[str]) -> int:
    """Run a command.

    Returns
    -------
    int
        The exit code: 0, 1 if a file failed, 130 if the command was stopped.

    Raises
    ------
    SystemExit
        With code 2 after bad usage, 0 after ``--help``.
    """
    if not arguments:
        show_config()
        return 0
    try:
        return _make_files(**vars(_parser().parse_args(arguments)))
    except KeyboardInterrupt:
        print("stopped; what is written is whole", file=sys.stderr)
        return 130


def _make_files(
    command: argparse.ArgumentParser,
    source: Path,
    target: Path,
    threads: int | None,
    **options: Any,
) -> int:
    set_num_threads(threads)
    try:
        plan = make_plan(source, target)
    except (ValueError, ImportError) as error:
        command.error(str(error))
    for folder in plan.unreadable:
        _complain(folder.filename, folder)
    failed = len(plan.unreadable)
    written = 0
    for path, out in _with_progress(plan.jobs):
        try:
            make_tube_file(path, out, **options)
            written += 1
        except (OSError, ValueError, MemoryError) as error:
            _complain(path, error)
            failed += 1
    others = ", ".join(f"{n} {kind}" for kind, n in plan.passed_over.items())
    print(f"{written} written, {failed} failed" + (f"; passed over: {others}" if others else ""))
    return 1 if failed else 0


def _complain(path: Path | str, error: Exception) -> None:
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"error: {path}: {text}", file=sys.stderr)


def _with_progress(jobs: Sequence[Job]) -> Iterable[Job]:
    """Show a bar if somebody looks on, and rich is there."""
    if not sys.stderr.isatty() or importlib.util.find_spec("rich") is None:
        return jobs
    from rich.console import Console
    from rich.progress import track

    return track(jobs, "files", console=Console(stderr=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tubeskel", description=DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_command(commands, "skeletonize", "thin masks to their skeletons").set_defaults(radius=0)
    tube = _add_command(commands, "tube", "thin masks, and widen the skeletons within the masks")
    tube.add_argument(
        "--radius", type=_at_least(0), default=2, metavar="N", help="in pixels; default: 2"
    )
    return parser


def _add_command(commands: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    """Add a command with the options that all have."""
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose.capitalize()}.",
        epilog=RULES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=command)
    add = command.add_argument
    add("source", metavar="IN", type=Path, help="file or folder to read")
    add("target", metavar="OUT", type=Path, help="file or folder to write")
    add(
        "--method",
        choices=("zhang", "lee"),
        help="rules of thinning; default: zhang for images, lee for volumes",
    )
    add("--per-class", action="store_true", help="thin each label by itself, not their union")
    add("--ignore-index", type=int, metavar="LABEL", help="a label that is background")
    add(
        "--keep-components",
        action="store_true",
        help="keep a voxel of each solid that Lee's method would delete whole",
    )
    add(
        "--spatial-dims",
        type=int,
        choices=(2, 3),
        help="how many of the last axes are spatial; those before are a batch",
    )
    add(
        "--max-labels",
        type=_at_least(1),
        default=64,
        metavar="N",
        help="refuse what has more different values, beside 0; default: 64",
    )
    add("--threads", type=_at_least(1), metavar="N", help="default: one for each CPU")
    return command


def _at_least(minimum: int) -> Callable[[str], int]:
    """Return a parser of integers that are large enough."""

    def parse(text: str) -> int:
        if text.isdecimal() and int(text) >= minimum:
            return int(text)
        raise argparse.ArgumentTypeError(f"must be an integer of at least {minimum}, got {text!r}")

    return parse
