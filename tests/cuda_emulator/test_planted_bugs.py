"""Bugs planted in the kernels: the suites catch them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import emulated as harness
import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("source", "right", "wrong", "suite"),
    [
        pytest.param(
            "pack_bits.cu",
            "column < columns",
            "column <= columns",
            "test_pack_bits.py",
            id="a pixel too many",
        ),
    ],
)
def test_a_planted_bug_is_caught(source, right, wrong, suite):
    text = (harness.REPOSITORY / "csrc" / "cuda" / source).read_text()
    assert text.count(right) == 1
    library = harness.build_ops(source, text.replace(right, wrong))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(HERE / suite), "-q", "-p", "no:cacheprovider"],
        env={**os.environ, "TUBESKEL_EMULATED_LIBRARY": str(library)},
        cwd=harness.REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert re.search(r"\d+ failed", done.stdout), done.stdout
    assert "error" not in done.stdout.splitlines()[-1], done.stdout
