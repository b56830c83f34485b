"""The benchmarks for a GPU, as far as they go without one: on the CPU, timed by its clock."""

from __future__ import annotations

import importlib.util
import time

import numpy as np
import pytest
import torch

from benchmarks import cases, device, gpu, gpu_operations, operations
from benchmarks.cli import main
from benchmarks.report import Report
from benchmarks.timing import Time


@pytest.fixture
def pretended(monkeypatch):
    """A GPU that is the CPU."""

    def clock(calls):
        samples = []
        for call in calls:
            start = time.perf_counter()
            call()
            samples.append(time.perf_counter() - start)
        return Time.of(samples)

    described = {"name": "none", "capability": "0.0", "multiprocessors": 1}
    described |= {"cuda": "0", "torch": torch.__version__}
    monkeypatch.setattr(device, "describe", lambda: described)
    monkeypatch.setattr(device, "measure_floors", lambda: device.Floors(1e10, 1e-6, 5e-6))
    monkeypatch.setattr(device, "copies_for", lambda size: 2)
    monkeypatch.setattr(device, "device_time", clock)
    monkeypatch.setattr(device, "called_time", clock)
    monkeypatch.setattr(gpu, "to_gpu", lambda item: item)


def test_a_quick_run_ends_in_a_table_and_a_file(pretended, tmp_path, capsys):
    path = tmp_path / "gpu.json"
    assert gpu.main(["--quick", "--json", str(path)]) == 0
    text = capsys.readouterr().out
    assert "a copy moves 0.01 TB/s" in text
    assert "1.00 µs a kernel in a graph" in text
    assert "quick run, not for quoting" in text
    report = Report.load(path)
    names = ["tree-512", "tubes-64", *["2x2x64x64"] * 3, "2d-4x64x64"]
    assert [row.case for row in report.rows] == names
    for row in report.rows:
        assert row.called is not None
        assert row.warm is not None
        assert row.floor is not None
        assert row.floor > 0
        assert f"| {row.case} | " in text
    assert report.rows[0].shape == [4, 512, 512]
    assert report.rows[0].floor == pytest.approx(2 * 4 * 512 * 512 / 1e10)
    assert report.rows[0].peers[0].name == "scikit-image, one core and copies"
    for row in report.rows[2:5]:
        assert row.peers[0].name == "torch, called"
    assert report.rows[3].target == pytest.approx(report.rows[3].floor / 0.85)
    assert [peer.name for peer in report.rows[5].peers][1:] == ["step, called", "step-srl, called"]


def test_the_command_line_reaches_it(pretended, capsys):
    assert main(["dilate", "--device", "cuda", "--sizes", "32", "--dims", "3"]) == 0
    printed = capsys.readouterr().out
    assert "| cube-32 | 1 x 32 x 32 x 32 |" in printed
    missing = importlib.util.find_spec("cupy") is None
    assert ("not run: cupy: cupy-cuda13x is not installed" in printed) == missing
    assert main(["loss", "--device", "cuda", "--cases", "horse-1024"]) == 2
    assert "unknown operation or case 'horse-1024'" in capsys.readouterr().err


def test_the_bytes_of_a_loss():
    logits, tube = torch.zeros(1, 2, 4, 10), torch.zeros(1, 4, 10, dtype=torch.int16)
    tube[0, 0, 7:9] = 1  # pixels 7 and 8 are in two sectors of eight floats
    tube[0, 3, 9] = 1  # pixel 39 in a third
    item = cases.LossInput(logits, tube, tube)
    (operation,) = [o for o in gpu_operations.OPERATIONS if o.name == "srl_loss"]
    assert operation.least_bytes(item) == 2 * 80 + 320 + 3 * 2 * 32
    (operation,) = [o for o in gpu_operations.OPERATIONS if o.name == "dice_ce_srl_loss"]
    assert operation.least_bytes(item) == 2 * (2 * 80 + 320) + 320
    (operation,) = [o for o in gpu_operations.OPERATIONS if o.name == "soft_cldice_loss"]
    assert operation.least_bytes(item) == 2 * (80 + 320) + 320


def test_every_case_has_inputs(monkeypatch):
    # what is on the images does not matter here, and drawing them takes a minute
    monkeypatch.setattr(cases, "vessel_tree", lambda size, seed=0: np.eye(size, dtype=bool))
    monkeypatch.setattr(cases, "vessel_tubes", lambda size, seed=0: np.ones((size,) * 3, bool))
    for operation in gpu_operations.OPERATIONS:
        case = operation.cases[0]
        item = case.load()
        shape = operations.main_array(item).shape
        assert len(shape) >= 3, f"{operation.name} works on batches"
        assert operation.on_cpu.name == operation.name


def test_a_wrong_result_stops_the_run(pretended, monkeypatch, tmp_path, capsys):
    wrong = gpu_operations.GpuOperation(
        *("thin", "wrong(x)", lambda item: item * torch.rand(1)),
        *(gpu_operations.pixels_that_differ, lambda item: 1),
        (
            gpu_operations.GpuCase("one", lambda: torch.zeros(1, 2, 2)),
            gpu_operations.GpuCase("two", lambda: torch.ones(1, 2, 2)),
        ),
    )
    monkeypatch.setattr(gpu, "OPERATIONS", (wrong,))
    assert gpu.main(["--json", str(tmp_path / "gpu.json")]) == 1
    assert "thin on two: 4 of 4 pixels differ between CPU and GPU" in capsys.readouterr().err
    (path,) = tmp_path.iterdir()
    assert path.name == "gpu.unfinished.json"
    assert [row.case for row in Report.load(path).rows] == ["one"]


def test_unknown_names_are_refused(pretended, capsys):
    assert gpu.main(["horse-1025"]) == 1
    assert "unknown operation or case 'horse-1025'" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so(capsys):
    assert gpu.main([]) == 2
    assert "benchmarks.gpu: " in capsys.readouterr().err
