"""Studies: expansion of the YAML, resume after a kill, failures that stop nothing, a cluster."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from experiments import cli
from experiments import runner as run_runner
from experiments.config import to_mapping
from experiments.data import Folder
from experiments.errors import ConfigError, RunError
from experiments.run_folder import Job, RunFolder
from experiments.study import load, run_study
from experiments.study import runner as study_runner
from experiments.study.config import merge

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "experiments" / "configs").glob("study_*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_every_study_in_the_repository_is_valid(path):
    assert load(path).name == path.stem


@pytest.fixture
def study_mapping(mapping, tmp_path):
    """Two data sets, two arms and one seed: four trainings of a second."""
    data = mapping.pop("data") | {"folds": 0}
    mapping["train"] |= {"iterations": 2}
    mapping["data_sets"] = {
        "plain": {"data": data},
        "gaps": {"data": data | {"gaps": 0.5}, "train": {"iterations": 3}},
    }
    return mapping | {"name": "both", "out": str(tmp_path / "study")}


@pytest.fixture
def path(study_mapping, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study_mapping, sort_keys=False))
    return path


@pytest.fixture
def broken(study_mapping, path):
    """The same study, one of its data sets missing."""
    study_mapping["data_sets"]["gone"] = {"data": {"name": "folder", "root": "nowhere", "folds": 2}}
    study_mapping["data_sets"] = dict(reversed(study_mapping["data_sets"].items()))
    path.write_text(yaml.safe_dump(study_mapping, sort_keys=False))
    return path


def weights(folder):
    """Return the trained weights of every job."""
    states = (torch.load(folder.job_path(job) / "checkpoint.pt") for job in folder.jobs())
    return [state["network"] for state in states]


def same(one, two):
    return all(
        torch.equal(a[name], b[name]) for a, b in zip(one, two, strict=True) for name in a | b
    )


def test_each_data_set_becomes_a_run_with_its_own_changes(path, tmp_path):
    study = load(path)
    plain, gaps = study.runs
    assert (study.name, study.out) == ("both", tmp_path / "study")
    assert (plain.name, plain.out) == ("plain", str(tmp_path / "study" / "plain"))
    assert (plain.train.iterations, gaps.train.iterations) == (2, 3)
    assert gaps.train.batch_size == plain.train.batch_size == 2
    ours, theirs = to_mapping(plain), to_mapping(gaps)
    changed = {name for name in ours if ours[name] != theirs[name]}
    assert changed == {"name", "out", "data", "train"}


def test_mappings_are_merged_lists_replaced_and_null_takes_away():
    shared = {"a": {"x": 1, "y": 2}, "b": [1, 2], "c": 3}
    own = {"a": {"y": 4, "x": None}, "b": [5], "d": 6}
    assert merge(shared, own) == {"a": {"y": 4}, "b": [5], "c": 3, "d": 6}
    assert shared == {"a": {"x": 1, "y": 2}, "b": [1, 2], "c": 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_sets": {}}, "data_sets names each data set"),
        ({"data": {"name": "folder"}}, "data stands below each entry of data_sets"),
        ({"out": None}, "out = None: allowed is a text"),
        ({"data_sets": {"a": None}}, "data_sets.a = None: allowed is data with other fields"),
        ({"data_sets": {"a/b": {}}}, "data_sets.a/b: allowed are letters"),
        ({"data_sets": {"a": {"out": "x"}}}, "data_sets.a: name and out are those of the study"),
        ({"data_sets": {"a": {}}}, "data_sets.a: missing field 'data'"),
        ({"trian": {}}, "data_sets.plain: unknown field 'trian': did you mean 'train'?"),
    ],
)
def test_a_bad_study_is_named(study_mapping, path, change, message):
    path.write_text(yaml.safe_dump(study_mapping | change, sort_keys=False))
    with pytest.raises(ConfigError) as error:
        load(path)
    assert message in str(error.value)


def test_a_study_runs_reports_and_reports_again(path, tmp_path, capsys):
    assert cli.main(["study", str(path)]) == 0
    page = tmp_path / "study" / "report" / "report.html"
    assert capsys.readouterr().out == f"report: {page}\n"
    assert "plain" in page.read_text()
    assert "gaps" in page.read_text()
    out = tmp_path / "again"
    assert cli.main(["report", str(tmp_path / "study"), "--out", str(out)]) == 0
    assert (out / "report.html").is_file()


def test_whole_comparisons_come_first(study_mapping, path):
    study_mapping["seeds"] = [7, 3]
    path.write_text(yaml.safe_dump(study_mapping, sort_keys=False))
    folders = [RunFolder.create(config) for config in load(path).runs]
    order = [(t.folder.config.name, t.job.seed) for t in study_runner.in_order(folders)]
    assert order == [(name, seed) for seed in (7, 3) for name in ("plain",) * 2 + ("gaps",) * 2]


def test_a_failed_job_is_told_and_tried_again(broken, capsys):
    assert cli.main(["study", str(broken)]) == 1
    captured = capsys.readouterr()
    failed = [line for line in captured.err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 4  # two arms, two folds
    assert "failed: gone: dice_ce, fold 0, seed 0: data.root: there is no folder nowhere" in failed
    gone, gaps, plain = (RunFolder.open(Path(config.out)) for config in load(broken).runs)
    assert all(folder.is_done(job) for folder in (gaps, plain) for job in folder.jobs())
    note = gone.job_path(Job("dice_ce", 1, 0)) / "error.txt"
    assert "DataError: data.root" in note.read_text()


def test_a_job_that_failed_once_can_succeed(path, monkeypatch):
    def fails(*arguments):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(run_runner, "train", fails)
        folders, failures = run_study(load(path))
    assert [failure.reason for failure in failures] == ["MemoryError"] * 4
    notes = [folder.job_path(job) / "error.txt" for folder in folders for job in folder.jobs()]
    assert all(note.is_file() for note in notes)
    assert run_study(load(path))[1] == []
    assert not any(note.exists() for note in notes)


def test_a_data_set_is_loaded_once_for_the_jobs_in_a_row(monkeypatch):
    loads = []
    monkeypatch.setattr(Folder, "load", lambda self: loads.append(self) or object())
    one, two = (Folder("folder", classes={"vein": value}) for value in (1, 2))
    assert study_runner.load_data(one) is study_runner.load_data(one)
    assert study_runner.load_data(two) is not study_runner.load_data(one)
    assert loads == [one, two, one]


def test_a_finished_study_is_not_trained_again(path, monkeypatch):
    run_study(load(path))
    monkeypatch.setattr(study_runner, "attempt", lambda *_: pytest.fail("trained again"))
    assert run_study(load(path))[1] == []


def test_a_study_grows_by_seeds_and_arms(study_mapping, path, monkeypatch):
    run_study(load(path))
    study_mapping["seeds"] = [0, 1]
    study_mapping["arms"]["ce_srl"] = {"loss": "ce_srl"}
    path.write_text(yaml.safe_dump(study_mapping, sort_keys=False))
    tried = []
    monkeypatch.setattr(study_runner, "attempt", lambda _, job, *rest: tried.append(job) or "")
    run_study(load(path))
    assert len(tried) == 2 * (6 - 2)
    study_mapping["arms"]["dice_ce_srl"]["alpha"] = 0.5
    path.write_text(yaml.safe_dump(study_mapping, sort_keys=False))
    with pytest.raises(RunError, match=r"arms.dice_ce_srl.alpha = 1.0, not 0.5"):
        run_study(load(path))


def test_a_study_killed_for_good_is_continued_by_the_same_command(study_mapping, path, tmp_path):
    command = [sys.executable, "-m", "experiments", "study", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    first = tmp_path / "study" / "plain" / "jobs" / "dice_ce" / "fold0_seed0" / "scores.csv"
    deadline = time.monotonic() + 120
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = first.stat().st_mtime_ns
    folders, failures = run_study(load(path))
    assert failures == []
    assert first.stat().st_mtime_ns == before
    study_mapping["out"] = str(tmp_path / "unbroken")
    path.write_text(yaml.safe_dump(study_mapping, sort_keys=False))
    unbroken, _ = run_study(load(path))
    for one, two in zip(folders, unbroken, strict=True):
        assert same(weights(one), weights(two))


def test_a_cluster_of_two_workers_does_what_one_process_does(broken, study_mapping, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
    ) as cluster:
        folders, failures = run_study(load(broken), dask=cluster.scheduler_address)
    assert [failure.task.folder.config.name for failure in failures] == ["gone"] * 4
    study_mapping["out"] = str(tmp_path / "alone")
    broken.write_text(yaml.safe_dump(study_mapping, sort_keys=False))
    alone, _ = run_study(load(broken))
    for one, two in zip(folders[1:], alone[1:], strict=True):
        assert same(weights(one), weights(two))


def test_a_worker_process_that_dies_fails_its_job(path, monkeypatch):
    pytest.importorskip("distributed")
    import dask

    def attempt_or_die(folder, job, threads):
        if (folder.name, job.arm) == ("plain", "dice_ce"):
            os._exit(1)
        return ""

    monkeypatch.setattr(study_runner, "attempt", attempt_or_die)
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        folders, failures = run_study(load(path), workers=2)
    failed = {str(failure.task): failure for failure in failures}
    failure = failed["plain: dice_ce, fold 0, seed 0"]
    note = folders[0].job_path(failure.task.job) / "error.txt"
    assert "workers died" in note.read_text()
    assert len(failed) < 4  # what stood in the line of the dead worker may be counted too


def test_no_cluster_at_the_address_is_named(path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(study_runner, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(RunError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1"):
        run_study(load(path), dask="tcp://127.0.0.1:1")


def test_a_bad_number_of_workers_is_named(path, capsys):
    assert cli.main(["study", str(path), "--workers", "0"]) == 2
    assert "--workers 0: allowed is at least 1" in capsys.readouterr().err
