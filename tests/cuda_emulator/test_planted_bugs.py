"""Bugs planted in the kernels: their tests catch them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import emulated as harness
import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("source", "right", "wrong", "tests"),
    [
        pytest.param(
            "pack_bits.cu",
            "  __syncthreads();\n",
            "",
            "test_emulated_pack_bits.py",
            id="packing without a barrier",
        ),
        pytest.param(
            "pack_bits.cu",
            "kTileChunks + int(kWordColumns) / kItems;",
            "kTileChunks + int(kWordColumns) / kItems - 1;",
            "test_emulated_pack_bits.py",
            id="packing with a halo too narrow by one",
        ),
        pytest.param(
            "thin_tile.h",
            "sub_iteration<Rules, 0>();\n      __syncthreads();\n",
            "sub_iteration<Rules, 0>();\n",
            "test_emulated_thin.py",
            id="thinning without a barrier between sub-iterations",
        ),
        pytest.param(
            "thin_tile.h",
            "height = held_.height * kBlockRows + 2;",
            "height = held_.height * kBlockRows + 1;",
            "test_emulated_thin.py",
            id="thinning with a rim too narrow by one",
        ),
        pytest.param(
            "thin_lee.cu",
            "} while (answer & kDoubt);",
            "} while (false);",
            "test_emulated_lee.py",
            id="tiles that do not look again",
        ),
        pytest.param(
            "components.cu",
            "} while (vote.any(said));",
            "} while (vote.any(said) && false);",
            "test_emulated_lee.py",
            id="a flood of one round",
        ),
        pytest.param(
            "compound_sums.cu",
            "if (!in_shared) return;\n  __syncthreads();\n",
            "if (!in_shared) return;\n",
            "test_emulated_compound.py",
            id="sums of warps that are not done",
        ),
        pytest.param(
            "soft_cldice.cu",
            "by_eroded_[by_eroded == by_eroded_[0]];",
            "by_eroded_[0];",
            "test_emulated_soft_cldice.py",
            id="derivatives that take the place of those still to be read",
        ),
    ],
)
def test_a_planted_bug_is_caught(source, right, wrong, tests):
    text = (harness.REPOSITORY / "csrc" / "cuda" / source).read_text()
    assert text.count(right) == 1
    library = harness.build_ops(source, text.replace(right, wrong))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(HERE / tests), "-qx", "-p", "no:cacheprovider"],
        env={**os.environ, "TUBESKEL_EMULATED_LIBRARY": str(library)},
        cwd=harness.REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "1 failed" in done.stdout, done.stdout
