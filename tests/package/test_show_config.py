"""`tubeskel.show_config()` and `python -m tubeskel`."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

import tubeskel
from tubeskel import _array


@pytest.fixture
def shown(capsys):
    def show() -> dict[str, str]:
        tubeskel.show_config()
        lines = capsys.readouterr().out.splitlines()
        return {line[:17].strip(): line[18:] for line in lines}

    return show


def test_versions(shown):
    rows = shown()
    assert rows["tubeskel"] == tubeskel.__version__
    assert rows["Python"] == platform.python_version()
    assert rows["NumPy"] == np.__version__
    assert rows["PyTorch"] == version("torch")
    assert rows["machine"] == platform.machine()


def test_instruction_sets_found_and_used(shown):
    found = _array.available_instruction_sets()
    assert found[0] == "baseline"
    before = _array.instruction_set()
    try:
        for name in found:
            _array.use_instruction_set(name)
            assert shown()["instruction sets"] == f"{', '.join(found)}; in use: {name}"
    finally:
        _array.use_instruction_set(before)


def test_threads(shown, threads):
    threads(3)
    assert shown()["threads"] == "3"


def test_cuda(shown):
    archs = [arch for arch in _array.CUDA_ARCHITECTURES.split(";") if arch]
    expected = f"built for {', '.join(archs)}" if archs else "not built"
    assert shown()["CUDA kernels"] == expected


def test_the_command_prints_the_same(capsys):
    command = [sys.executable, "-m", "tubeskel"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    tubeskel.show_config()
    assert printed.stdout == capsys.readouterr().out
    assert printed.stderr == ""
