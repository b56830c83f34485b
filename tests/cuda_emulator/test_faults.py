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
{statement}
print("unnoticed")
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


@pytest.mark.parametrize(
    ("statement", "report"),
    [
        ("toys.write_shared(3, 0)", "unnoticed"),
        ("toys.write_shared(4, 0)", "write_shared_kernel"),
        ("toys.write_shared(-1, 0)", "write_shared_kernel"),
        ("toys.write_shared(24, 100)", "unnoticed"),
        ("toys.write_shared(25, 100)", "write_shared_kernel"),
        ("toys.write_global(ctypes.create_string_buffer(4000), 999)", "unnoticed"),
        ("toys.write_global((ctypes.c_int * 1000)(), 1000)", "write_global_kernel"),
        ("toys.overflow(31)", "unnoticed"),
        ("toys.overflow(32)", "shift exponent 32 is too large"),
    ],
)
def test_sanitizers_see_faults(statement, report):
    toys = str(HERE / "kernels" / "toys.cu")
    code = CALL_TOY.format(statement=statement)
    done = run("sanitizers", "-c", code, str(HERE.parent / "helpers"), toys)
    assert report in done.stdout
    assert (done.returncode == 0) == (report == "unnoticed"), done.stdout


@pytest.mark.parametrize("kind", ["sanitizers", "races"])
def test_all_kernels_are_without_faults(kind):
    # Sanitizers report from below Python, and the process ends with that.
    done = run(kind, "-m", "pytest", str(HERE), "-vx", "--capture=sys", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-10000:]
