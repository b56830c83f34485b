"""What this build and this machine offer."""

from __future__ import annotations

import importlib.util
import platform
from importlib.metadata import version

import numpy as np

from . import _array
from ._threads import get_num_threads
from ._version import __version__


def show_config() -> None:
    """Print version, instruction sets, threads, CUDA and PyTorch.

    Examples
    --------
    >>> import tubeskel
    >>> tubeskel.show_config()  # doctest: +ELLIPSIS
    tubeskel          ...
    """
    found = _array.available_instruction_sets()
    rows = {
        "tubeskel": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "PyTorch": version("torch") if importlib.util.find_spec("torch") else "not installed",
        "machine": platform.machine(),
        "instruction sets": f"{', '.join(found)}; in use: {_array.instruction_set()}",
        "threads": str(get_num_threads()),
        "CUDA kernels": f"built for {archs}" if (archs := _cuda_archs()) else "not built",
    }
    for name, value in rows.items():
        print(f"{name:<17} {value}")


def _cuda_archs() -> str:
    return ", ".join(filter(None, _array.CUDA_ARCHITECTURES.split(";")))
