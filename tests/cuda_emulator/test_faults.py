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


def start(kind: str, output: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with open(output, "w") as file:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=harness.environment(kind),
            cwd=harness.REPOSITORY,
            stdout=file,
            stderr=file,
        )


@pytest.fixture(scope="module", autouse=True)
def suites(tmp_path_factory):
    """Processes that test all kernels on a build of each kind, beside what is tested here."""
    # Sanitizers report from below Python, and the process ends with that.
    options = ["-vx", "--capture=sys", "-p", "no:cacheprovider"]
    started = {}
    for kind in ("sanitizers", "races"):
        output = tmp_path_factory.mktemp(kind) / "output"
        started[kind] = start(kind, output, "-m", "pytest", str(HERE), *options), output
    yield started
    for process, _ in started.values():
        process.kill()
        process.wait()


@pytest.fixture
def report_of(tmp_path):
    """A function: call a toy on a build of a kind, return all that is said about it."""

    def report(kind: str, toy: str, arguments: str) -> str:
        code = CALL_TOY.format(arguments=arguments)
        toys = str(HERE / "kernels" / "toys.cu")
        output = tmp_path / "output"
        start(kind, output, "-c", code, str(HERE.parent / "helpers"), toys, toy).wait()
        return output.read_text()

    return report


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
def test_sanitizers_see_faults(report_of, toy, arguments, report):
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
def test_races_are_seen(report_of, how, blocks, race):
    found = report_of("races", "race", f"{how}, {blocks}, place, flags")
    assert ("race in global memory: thread " if race else "clean") in found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["races", "sanitizers"])
def test_all_kernels_are_without_faults(suites, kind):
    process, output = suites[kind]
    assert process.wait() == 0, output.read_text()[-10000:]
