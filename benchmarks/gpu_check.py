"""``make gpu-check``: all that needs a GPU, on a machine that has one and no network.

Steps, in this order; ``--steps`` chooses among them:

- ``build``: compile for this GPU, in place, or take the libraries of a wheel;
- ``tests``: the tests marked ``cuda``: those special to it, and all others of what it can do;
- ``memcheck``, ``racecheck``, ``initcheck``, ``synccheck``: compute-sanitizer on small calls of
  every op;
- ``bench``: `benchmarks.gpu`.

Each file of tests and each operation of the benchmarks has a process of its own, which lasts no
longer than ``--limit``: after an error on the device a process can do nothing more there.

All output goes to files in ``--out``. What the steps found goes to ``gpu-check.json`` there and, as
a table, to ``gpu-check.md``, anew after each step; the table also to the terminal. The exit status
is 0 if every chosen step passed, 1 if one failed or could not run, 2 without a GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import device
from benchmarks.cases import Unavailable

ROOT = Path(__file__).resolve().parents[1]
OPTIONAL = {
    "cupy": "CuPy arrays are not tested",
    "PIL": "masks on disk are not read",
}
NEEDED = ("pytest", "pytest_timeout", "hypothesis", "scipy", "skimage", "rich")
NEEDED_TO_BUILD = ("pybind11", "setuptools", "ninja")
TOGETHER = 4  # processes, for tests that hardly load the GPU
# A process that waits for a kernel hears no signal.
TIMEOUT = ("--timeout=300", "--timeout-method=thread")
PYTEST = (sys.executable, "-m", "pytest", "-v", "-m", "cuda", *TIMEOUT)
NO_TESTS = 5  # pytest's exit status for a file that has none marked cuda


@dataclass(frozen=True)
class Found:
    """What a step found."""

    step: str
    passed: bool
    seconds: float
    note: str


@dataclass(frozen=True)
class Check:
    """A run of the steps."""

    out: Path
    wheel: Path | None = None
    quick: bool = False
    limit: float = 1800

    def log(self, name: str) -> Path:
        """Return the file that holds the output of a step, or of a part of it."""
        return self.out / f"{name}.log"

    def call(
        self, name: str, command: Sequence[str], passes: Sequence[int] = (0,), **environment: str
    ) -> str:
        """Run a command, its output in the log of this name; return its last line."""
        self.log(name).parent.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("wb") as log:
            try:
                done = subprocess.run(
                    command,
                    cwd=ROOT,
                    env={**os.environ, **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=self.limit,
                )
            except subprocess.TimeoutExpired:
                raise subprocess.SubprocessError(f"not done after {self.limit:g} s") from None
        lines = self.log(name).read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        if done.returncode not in passes:
            raise subprocess.SubprocessError(f"exit status {done.returncode}: {last}")
        return last

    def call_each(
        self, commands: Mapping[str, Sequence[str]], together: int = 1
    ) -> dict[str, str | subprocess.SubprocessError]:
        """Run commands, also after one that failed; return the last line or the error of each."""

        def call(name: str) -> str | subprocess.SubprocessError:
            try:
                return self.call(name, commands[name], passes=(0, NO_TESTS))
            except subprocess.SubprocessError as error:
                return error

        with ThreadPoolExecutor(together) as pool:
            return dict(zip(commands, pool.map(call, commands), strict=True))

    # ---- steps

    def build(self) -> str:
        """Compile for this GPU, or unpack the libraries of a wheel."""
        if self.wheel is not None:
            with zipfile.ZipFile(self.wheel) as wheel:
                libraries = [name for name in wheel.namelist() if name.endswith(".so")]
                wheel.extractall(ROOT, libraries)
            return f"{', '.join(libraries)} of {self.wheel.name}"
        import torch

        _require(NEEDED_TO_BUILD)
        capability = ".".join(map(str, torch.cuda.get_device_capability()))
        self.call(
            "build",
            [sys.executable, "setup.py", "build_ext", "--inplace"],
            TUBESKEL_CUDA="1",
            TUBESKEL_CUDA_ARCHS=capability,
        )
        return f"for compute capability {capability}"

    def tests(self) -> str:
        """Run the tests marked cuda."""

        def commands(*folders: str) -> dict[str, Sequence[str]]:
            files = (path for name in folders for path in (ROOT / "tests" / name).glob("test_*.py"))
            return {f"tests/{path.stem}": [*PYTEST, str(path)] for path in sorted(files)}

        # some of the first need most of the GPU's memory
        found = self.call_each(commands("cuda"))
        found |= self.call_each(commands("losses", "metrics", "morphology"), TOGETHER)
        counts: Counter[str] = Counter()
        for ended in found.values():
            for number, what in re.findall(r"(\d+) (passed|failed|skipped)", str(ended)):
                counts[what] += int(number)
        note = _all_passed(found, ", ".join(f"{n} {what}" for what, n in counts.items()))
        if not counts["passed"]:
            raise subprocess.SubprocessError(f"no test ran: {note}")
        return note

    def sanitizer(self, tool: str) -> str:
        """Run a tool of compute-sanitizer on a small call of every op."""
        program = _compute_sanitizer()
        command = [program, "--tool", tool, "--error-exitcode", "9", sys.executable]
        # PyTorch's cache would hide what lies beyond the end of a tensor.
        last = self.call(
            tool,
            [*command, "tests/cuda/call_every_op.py"],
            PYTORCH_NO_CUDA_MEMORY_CACHING="1",
            PYTHONPATH=str(ROOT),
        )
        if "every op was called" not in self.log(tool).read_text(errors="replace"):
            raise subprocess.SubprocessError(f"the program did not end: {last}")
        return last

    def bench(self) -> str:
        """Run the benchmarks."""
        from benchmarks import gpu_operations

        shutil.rmtree(self.out / "bench", ignore_errors=True)
        commands = {
            f"bench/{operation.name}": [
                *(sys.executable, "-m", "benchmarks.gpu", operation.name),
                *("--json", str(self.out / "bench" / f"{operation.name}.json")),
                *["--quick"] * self.quick,
            ]
            for operation in gpu_operations.OPERATIONS
        }
        return _all_passed(self.call_each(commands), f"{len(commands)} operations")

    # ---- results

    def write(self, found: Sequence[Found], missing: Sequence[str]) -> None:
        """Write what was found, as JSON and as a table."""
        text, benchmarks = table(found, missing), None
        parts = sorted((self.out / "bench").glob("*.json"))
        if parts and any(step.step == "bench" for step in found):
            from benchmarks import gpu
            from benchmarks.report import Report

            report = Report.load_all(parts)
            report.save(self.out / "bench.json")
            benchmarks = json.loads((self.out / "bench.json").read_text())
            text += "\n" + gpu.table(report)
        content = {"steps": [asdict(step) for step in found], "missing": list(missing)}
        content["benchmarks"] = benchmarks
        (self.out / "gpu-check.json").write_text(json.dumps(content, indent=1) + "\n")
        (self.out / "gpu-check.md").write_text(text)


def steps_of(check: Check) -> dict[str, Callable[[], str]]:
    """Return all steps by name, in their order."""
    tools = ("memcheck", "racecheck", "initcheck", "synccheck")
    sanitizers = {tool: lambda tool=tool: check.sanitizer(tool) for tool in tools}
    return {"build": check.build, "tests": check.tests, **sanitizers, "bench": check.bench}


def run(check: Check, names: Sequence[str], missing: Sequence[str] = ()) -> list[Found]:
    """Run these steps, also after one that failed, but not without a build; write each."""
    found: list[Found] = []
    steps = steps_of(check)
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        try:
            passed, note = True, steps[name]()
        except (Unavailable, subprocess.SubprocessError, OSError, zipfile.BadZipFile) as error:
            passed, note = False, str(error)
        found.append(Found(name, passed, time.perf_counter() - start, note))
        check.write(found, missing)
        print(f"{name}: {'passed' if passed else 'FAILED'}: {note}", file=sys.stderr, flush=True)
        if name == "build" and not passed:
            break
    return found


def table(found: Sequence[Found], missing: Sequence[str]) -> str:
    """Return what the steps found, as Markdown."""
    lines = ["| step | result | time | |", "|---|---|--:|---|"]
    for step in found:
        result = "passed" if step.passed else "FAILED"
        lines.append(f"| {step.step} | {result} | {step.seconds:.0f} s | {step.note} |")
    return "\n".join([*lines, "", *(f"- {line}" for line in missing), ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen steps; see the module's text."""
    names = list(steps_of(Check(ROOT)))
    parser = argparse.ArgumentParser(
        prog="gpu-check", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", nargs="+", choices=names, default=names)
    parser.add_argument("--wheel", type=Path, help="take its libraries instead of compiling")
    parser.add_argument("--quick", action="store_true", help="benchmark light cases only")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu-check")
    parser.add_argument("--limit", type=float, default=1800, help="seconds for a process")
    options = parser.parse_args(arguments)
    try:
        _require(NEEDED)
        device.require_gpu()
    except Unavailable as reason:
        print(f"gpu-check: {reason}", file=sys.stderr)
        return 2
    missing = [
        f"{name} is not installed: {lost}" for name, lost in OPTIONAL.items() if not _has(name)
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    check = Check(options.out.resolve(), options.wheel, options.quick, options.limit)
    found = run(check, options.steps, missing)
    print((check.out / "gpu-check.md").read_text())
    return 0 if all(step.passed for step in found) else 1


def _all_passed(found: Mapping[str, str | subprocess.SubprocessError], note: str) -> str:
    failures = [f"{name}: {ended}" for name, ended in found.items() if not isinstance(ended, str)]
    if failures:
        raise subprocess.SubprocessError("; ".join([note, *failures]))
    return note


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _require(modules: Sequence[str]) -> None:
    if lacking := [module for module in modules if not _has(module)]:
        raise Unavailable(f"not installed: {', '.join(lacking)}")


def _compute_sanitizer() -> str:
    places = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    path = os.pathsep.join([os.environ.get("PATH", ""), *(f"{p}/bin" for p in places if p)])
    program = shutil.which("compute-sanitizer", path=path)
    if program is None:
        raise Unavailable("no compute-sanitizer on the PATH or in CUDA_HOME")
    return program


if __name__ == "__main__":
    sys.exit(main())
