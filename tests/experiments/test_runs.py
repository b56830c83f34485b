"""Runs: arms are paired, a killed run ends as an unbroken one, other configs are refused."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from experiments import runner, training
from experiments.batches import BatchStream
from experiments.config import from_mapping
from experiments.data import Dataset, Sample, splits
from experiments.errors import ConfigError, RunError
from experiments.files import write_text
from experiments.run_folder import Job, RunFolder
from experiments.scoring import load_label, metrics_of, prediction_path

ROOT = Path(__file__).resolve().parents[2]


class Killed(BaseException):
    """Stands for a kill: nothing in the program catches it."""


def outcome(folder):
    """Everything with numbers in it: logs, scores, final weights."""
    found = {}
    for job in folder.jobs():
        path = folder.job_path(job)
        found[job] = (
            (path / "log.jsonl").read_bytes(),
            (path / "scores.csv").read_bytes(),
            {
                name: value.numpy().tobytes()
                for name, value in torch.load(path / "checkpoint.pt")["network"].items()
            },
            {p.name: p.read_bytes() for p in (path / "predictions").iterdir()},
        )
    return found


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Return a function that runs a config unbroken, once for all tests."""
    done = {}

    def run(config):
        if "outcome" not in done:
            out = tmp_path_factory.mktemp("reference") / "run"
            done["outcome"] = outcome(runner.run(replace(config, out=str(out))))
        return done["outcome"]

    return run


def test_a_run_leaves_what_it_promises(config):
    folder = runner.run(config)
    assert len(folder.jobs()) == 4
    assert yaml.safe_load((folder.path / "config.yaml").read_text())["name"] == "tiny"
    (environment,) = folder.environments()
    assert environment["packages"]["torch"]
    assert str(folder.path) not in json.dumps(environment)
    tested = []
    for job in folder.jobs():
        path = folder.job_path(job)
        log = [json.loads(line) for line in (path / "log.jsonl").open()]
        assert [entry["iteration"] for entry in log] == [1, 2, 3, 4, 5, 6]
        for entry in log:
            terms = [entry["dice"], entry["ce"]]
            terms += [entry["srl"]] if job.arm == "dice_ce_srl" else []
            assert entry["loss"] == pytest.approx(sum(terms), abs=1e-5)
            assert -1 <= entry["srl"] <= 0
            assert entry["alpha"] == (job.arm == "dice_ce_srl")
        rates = [entry["learning_rate"] for entry in log]
        assert rates == [pytest.approx(0.01 * (1 - i / 6) ** 0.9) for i in range(6)]
        cost = json.loads((path / "cost.json").read_text())
        assert 0 < cost["median_step_seconds"] < cost["training_seconds"]
        assert cost["peak_memory_bytes"] > 1e6
        assert cost["parameters"] > 1000
        rows = list(csv.DictReader((path / "scores.csv").open()))
        assert {row["region"] for row in rows} == {"image"}
        assert all(0 <= float(row["dice"]) <= 1 for row in rows)
        assert set(metrics_of(2)) < set(rows[0])
        for row in rows:
            label = load_label(prediction_path(path, row["image"]), 2)
            assert label.shape == (48, 48)
            assert label.max() <= 1
        tested += [row["image"] for row in rows if job.arm == "dice_ce"]
        assert not [name for name in os.listdir(path) if name.startswith(".")]
    assert sorted(tested) == [f"tubes_{i:03d}" for i in range(6)]


def test_a_job_of_an_arm_with_other_fields_is_refused(mapping):
    """Also where the arm was taken from the config, and came back with other fields."""
    arms = mapping["arms"]
    folder = RunFolder.create(from_mapping(mapping))
    job = Job("dice_ce_srl", 0, 0)
    folder.job_path(job).mkdir(parents=True)
    folder.note_arm(job)
    write_text(folder.job_path(job) / "scores.csv", "")
    assert folder.is_done(job)
    RunFolder.create(from_mapping(mapping | {"arms": {"dice_ce": arms["dice_ce"]}}))
    changed = {"loss": "dice_ce_srl", "radius": 3}
    again = RunFolder.create(from_mapping(mapping | {"arms": arms | {"dice_ce_srl": changed}}))
    with pytest.raises(RunError, match="was made with radius = 2, not 3"):
        again.is_done(job)
    (folder.job_path(job) / "arm.yaml").unlink()
    assert again.is_done(job)


def test_volumes_of_several_classes_are_trained_and_scored(mapping, tmp_path):
    """Thick slices, ignored pixels, a field of view, and a network sized by nnU-Net's rules."""
    rng = np.random.default_rng(0)

    def volume(name):
        label = rng.integers(0, 3, (4, 10, 10)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
        view = np.ones(label.shape, bool)
        view[..., :5] = False
        image = label[None] + rng.normal(size=(1, *label.shape)).astype(np.float32)
        return Sample(name, image.astype(np.float32), label, view, ~view, (4.0, 1.0, 1.0))

    mapping |= {"preset": "nnunet3d", "overlap": 0.0, "gradients": {"every": 2}}
    mapping["network"] = {"width": 2}
    mapping["train"] = {"iterations": 2, "batch_size": 2, "crop": [4, 16, 32], "foreground": 0.5}
    mapping["arms"] = {
        "per_class": {"loss": "dice_ce_srl", "per_class": True, "lower_tubes": "max_pool"},
        "alone": {"loss": "dice_ce_cldice", "deep_supervision": False, "start": 0.5},
    }
    folder = RunFolder.create(from_mapping(mapping))
    dataset = Dataset((volume("a"), volume("b")), ("background", "x", "y"), ("a",), ("b",))
    for job in folder.jobs():
        part = splits(dataset, 2)[job.fold]
        runner.run_job(folder, job, dataset, part, torch.device("cpu"), lambda *_: None)
        path = folder.job_path(job)
        assert len((path / "log.jsonl").read_text().splitlines()) == 2
        assert len((path / "gradients.jsonl").read_text().splitlines()) == 1
        rows = list(csv.DictReader((path / "scores.csv").open()))
        assert [(row["class"], row["region"]) for row in rows] == [
            (name, region) for region in ("image", "field_of_view") for name in ("x", "y")
        ]
        assert load_label(prediction_path(path, rows[0]["image"], 3), 3).shape == (4, 40, 40)


def test_arms_get_the_same_batches_and_initial_weights(config, monkeypatch):
    batches, weights = {}, {}
    original_batch, original_train = BatchStream.batch, training.train
    current = []

    def batch(self, iteration):
        result = original_batch(self, iteration)
        batches.setdefault(current[-1], []).append(result)
        return result

    def train(network, loss, stream, settings, folder, progress):
        current.append((folder.parent.name, folder.name))
        weights[current[-1]] = [value.clone() for value in network.state_dict().values()]
        return original_train(network, loss, stream, settings, folder, progress)

    monkeypatch.setattr(BatchStream, "batch", batch)
    monkeypatch.setattr(runner, "train", train)
    runner.run(config)
    for fold in ("fold0_seed0", "fold1_seed0"):
        baseline, other = batches["dice_ce", fold], batches["dice_ce_srl", fold]
        assert len(baseline) == len(other) == 6
        for one, two in zip(baseline, other, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
        initial = zip(weights["dice_ce", fold], weights["dice_ce_srl", fold], strict=True)
        assert all(torch.equal(a, b) for a, b in initial)


@pytest.mark.parametrize("stop", [1, 3, 4, 6, 9])
def test_a_killed_run_ends_with_the_same_numbers(config, reference, monkeypatch, stop):
    original, count = BatchStream.batch, [0]

    def batch(self, iteration):
        count[0] += 1
        if count[0] == stop:
            raise Killed
        return original(self, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(BatchStream, "batch", batch)
        with pytest.raises(Killed):
            runner.run(config)
    assert outcome(runner.run(config)) == reference(config)


@pytest.mark.parametrize(
    "rest", [b'{"iteration": 4, "lo', b'{"iteration": 5, "loss": 1}\n', b"\xff"]
)
def test_what_a_kill_left_in_the_log_is_dropped(config, reference, monkeypatch, rest):
    original = BatchStream.batch

    def batch(self, iteration):
        if iteration == 3:
            raise Killed
        return original(self, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(BatchStream, "batch", batch)
        with pytest.raises(Killed):
            runner.run(config)
    folder = RunFolder.open(RunFolder.create(config).path)
    with (folder.job_path(Job("dice_ce", 0, 0)) / "log.jsonl").open("ab") as log:
        log.write(rest)
    assert outcome(runner.run(config)) == reference(config)


def test_a_kill_while_scoring_is_mended(config, reference):
    folder = runner.run(config)
    path = folder.job_path(Job("dice_ce_srl", 1, 0))
    (path / "scores.csv").unlink()
    next((path / "predictions").iterdir()).unlink()
    assert outcome(runner.run(config)) == reference(config)


def test_a_process_killed_for_good_is_continued_by_the_same_command(mapping, reference, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(mapping))
    command = [sys.executable, "-m", "experiments", "run", str(path)]
    log = tmp_path / "run" / "jobs" / "dice_ce" / "fold0_seed0" / "log.jsonl"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    deadline = time.monotonic() + 120
    while not log.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    config = from_mapping(mapping)
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert f"report: {config.out}/report/report.html" in done.stdout
    assert outcome(RunFolder.create(config)) == reference(config)


def test_a_finished_run_is_not_trained_again(config, monkeypatch):
    runner.run(config)
    monkeypatch.setattr(runner, "train", lambda *_: pytest.fail("trained again"))
    runner.run(config)


def test_another_config_in_the_run_folder_is_refused(config):
    RunFolder.create(config)
    other = replace(config, train=replace(config.train, iterations=7))
    with pytest.raises(RunError, match=r"train.iterations = 6, not 7: choose another folder"):
        RunFolder.create(other)


def test_a_folder_with_other_things_is_refused(config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").touch()
    with pytest.raises(RunError, match="exists and is no run folder"):
        RunFolder.create(config)


def test_a_run_folder_is_used_by_one_process_at_a_time(config):
    folder = RunFolder.create(config)
    with folder.locked(), pytest.raises(RunError, match="in use"), folder.locked():
        pass


def test_a_loss_that_is_not_finite_stops_the_run(config):
    settings = replace(config.train, learning_rate=1e30, gradient_clip=1e30)
    with pytest.raises(RunError, match=r"dice_ce.fold0_seed0: the loss is .* at iteration"):
        runner.run(replace(config, train=settings))


def test_a_missing_gpu_is_named(config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RunError, match="PyTorch finds no GPU"):
        runner.run(replace(config, device="cuda"))


def test_a_data_set_without_split_needs_folds(mapping, folder):
    mapping["data"] = {"name": "folder", "root": str(folder)}
    with pytest.raises(ConfigError, match="no split of its own"):
        runner.run(from_mapping(mapping))


def test_training_lowers_the_loss(config):
    folder = runner.run(
        replace(config, train=replace(config.train, iterations=40, learning_rate=0.05))
    )
    for job in folder.jobs():
        log = [json.loads(line) for line in (folder.job_path(job) / "log.jsonl").open()]
        assert sum(e["loss"] for e in log[-5:]) / 5 < log[0]["loss"] - 0.1
