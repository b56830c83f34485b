"""The check on a machine with a GPU, as far as it goes without one."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest
import torch

from benchmarks import device, gpu_check
from benchmarks.gpu_check import Check, main, run


@pytest.fixture
def check(tmp_path):
    return Check(tmp_path, None, True)


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


def test_all_steps_run_and_are_written(monkeypatch, tmp_path, capsys):
    def call(self, step, command, **environment):
        if step == "racecheck":
            raise subprocess.SubprocessError("exit status 9: a race")
        self.log(step).write_text("every op was called\n")
        return f"{step} done"

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
    (step,) = run(Check(tmp_path, wheel, False), ["build"])
    assert step.passed
    assert (tmp_path / "tubeskel" / "_torch.abi3.so").read_text() == "library"
    assert not (tmp_path / "tubeskel" / "losses.py").exists()
    (step,) = run(Check(tmp_path, tmp_path / "absent.whl", False), ["build"])
    assert not step.passed
