from __future__ import annotations

import pytest

import tubeskel
from tubeskel import _cli


@pytest.fixture
def command(capsys):
    """A function: run a command, return its exit code and what it prints on both streams."""

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = _cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    yield run
    tubeskel.set_num_threads(None)
