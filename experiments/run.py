"""``python experiments/run.py CONFIG``: the same as ``python -m experiments run CONFIG``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # The script's own folder would shadow installed modules; the repository root holds the package.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

    from experiments.cli import main

    sys.exit(main(["run", *sys.argv[1:]]))
