"""Lee's rules as boolean functions of 26 bit planes, compiled and checked by a C++ program."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_the_rules_equal_their_independent_statement(tmp_path):
    program = tmp_path / "lee_rules"
    source = Path(__file__).parent / "lee_rules.cpp"
    subprocess.run(["g++", "-std=c++17", "-O2", str(source), "-o", str(program)], check=True)
    result = subprocess.run([str(program)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
