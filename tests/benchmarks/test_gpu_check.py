"""The check on a machine with a GPU, as far as it goes without one."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest
import torch

from benchmarks import device, gpu_check
from benchmarks.gpu_check import ROOT, Check, main, run
from benchmarks.report import Report

FLOORS = {"copy_bandwidth": 1e12, "launch_in_graph": 1e-6, "launch_from_python": 5e-6}
GPU = {"name": "none", "capability": "0.0", "multiprocessors": 1, "cuda": "0", "torch": "2"}
GPU |= {"floors": FLOORS}
REPORTED = {"cpu": "a", "cores": 2, "system": "s", "python": "3", "packages": {}, "gpu": GPU}


@pytest.fixture
def check(tmp_path):
    return Check(tmp_path, quick=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_fails_and_says_so(repository, tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("gpu-check: ")
    assert "CUDA" in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_named(monkeypatch, capsys):
    monkeypatch.setattr(gpu_check, "NEEDED", ("json", "no_such_module"))
    assert main([]) == 2
    assert "gpu-check: not installed: no_such_module" in capsys.readouterr().err


def test_a_failed_command_fails_its_step(check):
    with pytest.raises(subprocess.SubprocessError, match="exit status 3: last words"):
        check.call("tests", [sys.executable, "-c", "print('last words\\n'); raise SystemExit(3)"])
    assert check.call("tests", [sys.executable, "-c", "print('fine')"]) == "fine"
    assert check.log("tests").read_text() == "fine\n"


def test_a_command_that_hangs_fails_its_step(tmp_path):
    check = Check(tmp_path, limit=0.2)
    with pytest.raises(subprocess.SubprocessError, match=r"not done after 0\.2 s"):
        check.call("tests", [sys.executable, "-c", "import time; time.sleep(60)"])


def test_all_steps_run_and_are_written(monkeypatch, tmp_path, capsys):
    def call(self, step, command, passes=(0,), **environment):
        if step == "racecheck":
            raise subprocess.SubprocessError("exit status 9: a race")
        if not step.startswith("tests/"):
            self.log(step).write_text("every op was called\n")
        return "== 2 passed, 1 skipped, 7 deselected in 0.1s =="

    monkeypatch.setattr(Check, "call", call)
    monkeypatch.setattr(device, "require_gpu", lambda: torch)
    monkeypatch.setattr(gpu_check, "_compute_sanitizer", lambda: "compute-sanitizer")
    monkeypatch.setattr(gpu_check, "OPTIONAL", {"no_such_module": "nothing is lost"})
    names = ["tests", "memcheck", "racecheck", "initcheck"]
    assert main(["--steps", *names, "--out", str(tmp_path)]) == 1
    content = json.loads((tmp_path / "gpu-check.json").read_text())
    assert [step["step"] for step in content["steps"]] == names
    assert [step["passed"] for step in content["steps"]] == [True, True, False, True]
    assert content["missing"] == ["no_such_module is not installed: nothing is lost"]
    assert content["benchmarks"] is None
    text = capsys.readouterr().out
    assert text == (tmp_path / "gpu-check.md").read_text() + "\n"
    assert "| racecheck | FAILED |" in text
    assert "exit status 9: a race" in text
    files = len([*ROOT.glob("tests/cuda/test_*.py"), *ROOT.glob("tests/[lm][oe]*/test_*.py")])
    assert f"| tests | passed | 0 s | {2 * files} passed, {files} skipped |" in text


def test_every_part_runs_and_those_that_fail_are_named(monkeypatch, check):
    def call(self, name, command, passes=(0,), **environment):
        if name in ("tests/test_lee_cuda", "bench/thin"):
            raise subprocess.SubprocessError("exit status 1: 1 failed, 4 passed")
        if name.startswith("bench/"):
            self.log(name).parent.mkdir(exist_ok=True)
            Report(1, True, REPORTED).save(self.log(name).with_suffix(".json"))
        return "3 passed"

    monkeypatch.setattr(Check, "call", call)
    tests, bench = run(check, ["tests", "bench"])
    assert not tests.passed
    assert tests.note.endswith(
        " passed, 1 failed; tests/test_lee_cuda: exit status 1: 1 failed, 4 passed"
    )
    assert not bench.passed
    assert "; bench/thin: exit status 1" in bench.note
    content = json.loads((check.out / "gpu-check.json").read_text())
    assert content["benchmarks"]["environment"]["gpu"] == GPU


def test_nothing_runs_after_a_failed_build(monkeypatch, check):
    def build(self):
        raise subprocess.SubprocessError("no nvcc")

    monkeypatch.setattr(Check, "build", build)
    assert [(step.step, step.passed) for step in run(check, ["build", "tests"])] == [
        ("build", False)
    ]


def test_without_compute_sanitizer_its_steps_fail(monkeypatch, check, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setattr(gpu_check.shutil, "which", lambda name, path: None)
    (step,) = run(check, ["memcheck"])
    assert not step.passed
    assert "no compute-sanitizer" in step.note


def test_the_libraries_of_a_wheel(monkeypatch, tmp_path):
    wheel = tmp_path / "tubeskel-0.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tubeskel/_torch.abi3.so", "library")
        archive.writestr("tubeskel/losses.py", "not this")
    monkeypatch.setattr(gpu_check, "ROOT", tmp_path)
    (step,) = run(Check(tmp_path, wheel), ["build"])
    assert step.passed
    assert (tmp_path / "tubeskel" / "_torch.abi3.so").read_text() == "library"
    assert not (tmp_path / "tubeskel" / "losses.py").exists()
    (step,) = run(Check(tmp_path, tmp_path / "absent.whl"), ["build"])
    assert not step.passed
