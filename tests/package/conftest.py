from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.fixture
def python():
    """A function: run code in a fresh interpreter, return what it prints."""

    def run(code: str, *options: str) -> str:
        command = [sys.executable, *options, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
