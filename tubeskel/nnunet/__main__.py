"""``python -m tubeskel.nnunet path`` and ``... check``, which tells whether nnU-Net finds them."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import inspect
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from . import TRAINER_FOLDER

VARIABLE = "nnUNet_extTrainer"
DESCRIPTION = f"""\
Trainers with tubeskel's losses for nnU-Net v2. Version 2.8 and newer find them in the folders that
{VARIABLE} lists, after

    export {VARIABLE}="$(python -m tubeskel.nnunet path)"
"""


def main(arguments: Sequence[str]) -> int:
    """Run a command; return the exit code: 0, or 1 if a trainer is not found."""
    parser = argparse.ArgumentParser(
        prog="python -m tubeskel.nnunet",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("path", help=f"print the folder to put into {VARIABLE}")
    commands.add_parser("check", help="test that nnU-Net finds each trainer, and name them")
    if parser.parse_args(arguments).command == "path":
        print(TRAINER_FOLDER)
        return 0
    return check()


def check() -> int:
    """Look for each trainer as nnU-Net does; print what is found, or what to do."""
    if importlib.util.find_spec("nnunetv2") is None:
        return _advise('nnU-Net is not installed: pip install "tubeskel[nnunet]"')
    import nnunetv2
    from nnunetv2 import paths
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from .trainers import TRAINERS

    print(f"nnU-Net {version('nnunetv2')}")
    if "unpack_dataset" in inspect.signature(nnUNetTrainer).parameters:
        return _advise("this version is too old for the trainers: install 2.8 or newer")
    if not hasattr(paths, VARIABLE):
        own = Path(nnunetv2.__path__[0], "training", "nnUNetTrainer")
        stub = TRAINER_FOLDER / "tubeskel_trainers.py"
        if not (own / stub.name).exists():
            return _advise(
                f"this version looks for trainers in its own folder only: install 2.8 or newer, or "
                f"do\n    cp {stub} {own}"
            )
    elif str(TRAINER_FOLDER) not in os.environ.get(VARIABLE, "").split(os.pathsep):
        return _advise(
            f"nnU-Net does not look here yet:\n"
            f'    export {VARIABLE}="$(python -m tubeskel.nnunet path)"\n'
            f"Folders that are in it already stay if they are joined by '{os.pathsep}'."
        )
    lost = [name for name, trainer in TRAINERS.items() if _found(name) is not trainer]
    for name in TRAINERS:
        print(f"  {name:40} {'NOT FOUND' if name in lost else 'found'}")
    return 1 if lost else 0


def _found(name: str) -> type | None:
    """Return the trainer of this name that nnU-Net finds."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
        except ImportError:  # before 2.8
            import nnunetv2
            from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

            folder = str(Path(nnunetv2.__path__[0], "training", "nnUNetTrainer"))
            return recursive_find_python_class(folder, name, "nnunetv2.training.nnUNetTrainer")
        try:
            return recursive_find_trainer_class_by_name(name)
        except RuntimeError:
            return None


def _advise(what: str) -> int:
    print(what, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
