"""Compiles the small C++ programs of this folder against ``csrc``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def compiled(tmp_path_factory, repository):
    """A function: compile a source of this folder, run it, return its standard output."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler was found")
    folder = tmp_path_factory.mktemp("programs")

    def run(name: str, *options: str, arguments: tuple[str, ...] = ()) -> str:
        source = Path(__file__).parent / name
        program = folder / "-".join([source.stem, *options]).replace("=", "").replace("/", "")
        if not program.exists():
            command = [*compiler.split(), "-std=c++17", "-I", str(repository / "csrc"), *options]
            subprocess.run([*command, str(source), "-o", str(program)], check=True)
        answer = subprocess.run(
            [str(program), *arguments], check=True, capture_output=True, text=True
        )
        return answer.stdout

    return run
