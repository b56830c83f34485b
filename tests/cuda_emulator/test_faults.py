"""Faults that do not show in results: they are seen in toys, and the kernels have none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import emulated as harness
import pytest

HERE = Path(__file__).parent

CALL_TOY = """
import ctypes, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import emulated
toys = emulated.Library(emulated.build("toys", [Path(sys.argv[2])])).functions
toy = toys[sys.argv[3]]
toy.restype = ctypes.c_char_p
place, flags, thousand = (ctypes.c_int * 2)(), (ctypes.c_int * 2)(), (ctypes.c_int * 1000)()
report = toy({arguments})
print(report.decode() if report else "clean")
"""


def run(kind: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=harness.environment(kind),
        cwd=harness.REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def report_of(kind: str, toy: str, arguments: str) -> str:
    toys = str(HERE / "kernels" / "toys.cu")
    code = CALL_TOY.format(arguments=arguments)
    return run(kind, "-c", code, str(HERE.parent / "helpers"), toys, toy).stdout


@pytest.mark.parametrize(
    ("toy", "arguments", "report"),
    [
        ("write_shared", "3, 0", "clean"),
        ("write_shared", "4, 0", "AddressSanitizer: global-buffer-overflow"),
        ("write_shared", "-1, 0", "AddressSanitizer: global-buffer-overflow"),
        ("write_shared", "24, 100", "clean"),
        ("write_shared", "25, 100", "AddressSanitizer: heap-buffer-overflow"),
        ("write_global", "thousand, 999", "clean"),
        ("write_global", "thousand, 1000", "AddressSanitizer: heap-buffer-overflow"),
        ("overflow", "31", "clean"),
        ("overflow", "32", "shift exponent 32 is too large"),
    ],
)
def test_sanitizers_see_faults(toy, arguments, report):
    found = report_of("sanitizers", toy, arguments)
    assert report in found
    assert report == "clean" or f"{toy}_kernel" in found


@pytest.mark.parametrize(
    ("how", "blocks", "race"),
    [
        pytest.param(0, 1, True, id="plain writes"),
        pytest.param(0, 2, True, id="plain writes of two blocks"),
        pytest.param(1, 1, False, id="of the same value"),
        pytest.param(2, 2, False, id="atomic writes"),
        pytest.param(3, 2, True, id="an atomic write and a plain read"),
        pytest.param(4, 2, False, id="fences on both sides"),
        pytest.param(5, 2, True, id="a fence on one side"),
        pytest.param(6, 1, False, id="a barrier of the warp"),
        pytest.param(7, 1, True, id="a vote of the warp"),
        pytest.param(8, 1, False, id="neighbouring bytes"),
    ],
)
def test_races_are_seen(how, blocks, race):
    found = report_of("races", "race", f"{how}, {blocks}, place, flags")
    assert ("race in global memory: thread " if race else "clean") in found


@pytest.mark.parametrize("kind", ["sanitizers", "races"])
def test_all_kernels_are_without_faults(kind):
    # Sanitizers report from below Python, and the process ends with that.
    done = run(kind, "-m", "pytest", str(HERE), "-vx", "--capture=sys", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-10000:]
