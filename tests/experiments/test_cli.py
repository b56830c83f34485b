"""The command line: overrides, help, and one clear line with exit code 2 for bad input."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from experiments import cli
from experiments.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(mapping, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(mapping, sort_keys=False))
    return str(path)


def fails(capsys, *arguments):
    """Return the one line that a bad command leaves."""
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    return line


def test_run_trains_scores_and_reports_with_overrides(path, capsys, tmp_path):
    out = tmp_path / "elsewhere"
    arguments = ["--train.iterations", "2", "--out", str(out), "--arms.dice-ce-srl.alpha", "0.5"]
    arguments += ["--network.filters", "4", "4", "8", "--data.folds", "0", "--data.noise", "0.1"]
    assert cli.main(["run", path, *arguments]) == 0
    assert capsys.readouterr().out == f"report: {out}/report/report.html\n"
    config = RunFolder.open(out).config
    assert config.train.iterations == 2
    assert config.arms["dice_ce_srl"].alpha == 0.5
    assert config.network.filters == (4, 4, 8)
    assert cli.main(["report", str(out), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "report.html").is_file()


def test_list_shows_data_sets_losses_and_configs(capsys):
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    for name in ("synthetic_tubes", "topomortar", "folder", "dice_ce_srl", "demo"):
        assert name in text


def test_describe_shows_what_a_tube_leaves_of_the_masks(capsys):
    fields = "--data.count 4 --data.size 64 --data.gaps 0 --data.lumen 0.5 --data.widths 12 12"
    shares = {}
    for options in ([], ["--per-class"], ["--radius", "20"]):
        assert cli.main(["describe", "synthetic_tubes", *fields.split(), *options]) == 0
        rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if "|" in line]
        shares[tuple(options)] = {row[1].strip(): float(row[4]) for row in rows[2:]}
    assert shares["--radius", "20"] == {"wall": 1, "lumen": 1}
    # Around the skeleton of the union there is little wall.
    assert shares[()]["wall"] < 0.3 < 0.9 < shares["--per-class",]["wall"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "describe ...: data set, known: "),
        (["synthetic"], "describe synthetic: data set, did you mean 'synthetic_tubes'?"),
        (["hrf", "--radius", "-1"], "--radius -1: allowed is at least 0"),
        (["hrf", "--data.root", "nowhere"], "data.root: there is no folder nowhere"),
    ],
)
def test_describe_says_what_is_wrong(capsys, arguments, message):
    assert message in fails(capsys, "describe", *arguments)


def test_help_shows_every_field(path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", path, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in ("--train.iterations", "--data.count", "--arms.dice-ce-srl.alpha", "--seeds"):
        assert field in text


def test_usage(capsys):
    assert cli.main(["--help"]) == 0
    assert cli.main([]) == 2
    assert "continues after a kill" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trian.iterations", "2"], "did you mean --train.iterations?"),
        (["--train.iterations", "two"], "--train.iterations"),
        (["--train.iterations", "0"], "train.iterations = 0: allowed is at least 1"),
        (["--train.iterations"], "--train.iterations"),
        (["--device", "tpu"], "--device"),
        (["--arms.dice-ce.loss", "dise"], "arms.dice_ce.loss = 'dise': unknown loss"),
        (["--data.name", "folder"], "data.count"),
        (["surplus"], "surplus"),
    ],
)
def test_a_bad_override_is_named(path, capsys, arguments, message):
    assert message in fails(capsys, "run", path, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "unknown command 'rnu': did you mean 'run'?"),
        (["run"], "run needs a config first"),
        (["run", "--seeds", "1"], "run needs a config first"),
        (["run", "nowhere.yaml"], "cannot read config nowhere.yaml"),
        (["report"], "report needs run folders"),
        (["report", "nowhere"], "nowhere is no run folder"),
        (["list", "all"], "list takes no arguments, got all"),
    ],
)
def test_a_bad_command_is_named(capsys, arguments, message):
    assert message in fails(capsys, *arguments)


def test_bad_data_is_named(path, mapping, capsys):
    mapping["data"] = {"name": "folder", "root": "nowhere", "folds": 2}
    Path(path).write_text(yaml.safe_dump(mapping))
    assert "there is no folder nowhere" in fails(capsys, "run", path)


def test_the_script_runs_from_any_folder(tmp_path):
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), "nowhere.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot read config nowhere.yaml")


def test_interruption_is_told_without_a_traceback(path, capsys, monkeypatch):
    from experiments import runner

    def interrupted(config):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupted)
    assert cli.main(["run", path]) == 130
    assert "the same command continues" in capsys.readouterr().err
