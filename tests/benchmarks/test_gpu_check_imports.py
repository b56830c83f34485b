"""The tests that `make gpu-check` runs are found without the packages that it does without."""

from __future__ import annotations

import ast
import sys

import pytest

from benchmarks import gpu_check

ALWAYS_THERE = {"numpy", "torch", "tubeskel", "PIL", "imageio"}  # two that scikit-image needs


@pytest.mark.parametrize("folder", ["cuda", "helpers", "losses", "metrics", "morphology"])
def test_a_file_of_tests_imports_only_what_is_there(repository, folder):
    tests = repository / "tests"
    own = {path.stem for path in (tests / "helpers").glob("*.py")}
    allowed = sys.stdlib_module_names | ALWAYS_THERE | own | set(gpu_check.NEEDED)
    for path in (tests / folder).glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            else:
                names = {node.module} if isinstance(node, ast.ImportFrom) else set()
            missing = {name.partition(".")[0] for name in names} - allowed
            assert not missing, f"{path.name} imports {missing}"
