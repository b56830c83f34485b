"""The commands end to end, on tiny cases: no time is asserted, only that the harness works."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cases, operations, peers
from benchmarks.cli import main
from benchmarks.report import Report
from benchmarks.runner import run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    chosen = {"thin": ["tree-512", "random-0.5"], "tube": ["tree-512"], "loss": ["2x2x64x64"]}
    peers = {"loss": ["--peers", "torch", "monai"]}  # compiling takes half a minute
    for command, names in chosen.items():
        path = folder / f"{command}.json"
        options = ["--quick", "--cases", *names, *peers.get(command, [])]
        assert main([command, *options, "--json", str(path)]) == 0
    return [folder / f"{command}.json" for command in chosen]


def test_a_quick_run_measures_every_side(files):
    report = Report.load(files[0])
    assert report.quick
    assert report.threads == 1
    assert [(row.operation, row.case) for row in report.rows] == [
        ("skeletonize", "tree-512"),
        ("skeletonize", "random-0.5"),
        ("thin", "tree-512"),
        ("thin", "random-0.5"),
    ]
    for row in report.rows:
        assert row.pixels == 512 * 512
        assert row.shape == [512, 512]
        assert row.peers[0].name == "scikit-image"
        for time in (row.ours, row.copy, *(peer.time for peer in row.peers)):
            assert 0 < time.low <= time.median <= time.high
            assert time.runs >= 3
        assert row.peers[0].ratio == row.peers[0].time.median / row.ours.median
    assert [Report.load(path).operations() for path in files[1:]] == [
        ["tubed_skeleton"],
        ["srl_loss", "dice_ce_srl_loss"],
    ]


def test_the_json_has_its_schema_and_no_paths(files):
    for path in files:
        text = path.read_text()
        assert str(ROOT) not in text
        assert str(Path.home()) not in text
        content = json.loads(text)
        assert content["schema"] == 1
        assert set(content) == {
            *("schema", "threads", "quick", "environment"),
            *("rows", "memory", "skipped", "summary"),
        }
        assert {"cpu", "cores", "system", "python", "packages"} == set(content["environment"])
        for summary in content["summary"]:
            assert summary["geometric_mean"] >= 0.999 * summary["least"] > 0
        for memory in content["memory"].values():
            assert memory["extra_bytes"] >= 0
            assert memory["input_bytes"] > 0


@pytest.mark.parametrize(
    ("command", "operation"), [("thin", "skeletonize_3d"), ("tube", "tubed_skeleton_3d")]
)
def test_a_quick_run_on_volumes(command, operation, tmp_path, capsys):
    path = tmp_path / "volumes.json"
    arguments = ["--quick", "--cases", "tubes-64", "--peers", "scikit-image", "--json", str(path)]
    assert main([command, "--dims", "3", *arguments]) == 0
    report = Report.load(path)
    (row,) = report.rows
    assert (row.operation, row.shape, row.pixels) == (operation, [64] * 3, 64**3)
    assert [peer.name for peer in row.peers] == ["scikit-image"]
    assert report.memory[operation].input_bytes == 64**3
    assert "Mvoxel/s" in capsys.readouterr().out


def test_dims_that_a_command_lacks():
    with pytest.raises(ValueError, match="loss has no operation in 3 dimensions"):
        run("loss", dims=3)


def test_python_m_benchmarks_runs_from_the_repository():
    command = [sys.executable, "-m", "benchmarks", "tube", "--quick", "--cases", "random-0.9"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "random-0.9" in done.stdout
    assert "quick run, not for quoting" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["thin", "--cases", "tree-513"], "unknown case 'tree-513'; choose from tree-512, "),
        (["loss", "--cases", "tree-512"], "unknown case 'tree-512'; choose from 12x2x512x512, "),
        (["tube", "--peers", "diplib"], "unknown peer 'diplib'; choose from scikit-image"),
        (["thin", "--threads", "0"], "threads must be at least 1, got 0"),
        (["thin", "--dims", "3", "--cases", "uav75"], "unknown case 'uav75'; choose from vesselnn"),
        (["tube", "--dims", "3", "--peers", "itk"], "unknown peer 'itk'; choose from scikit-image"),
        (["markdown"], "name at least one JSON file"),
        (["markdown", "absent.json"], "absent.json"),
    ],
)
def test_bad_input_is_named_and_exits_with_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_command_exits_with_2():
    with pytest.raises(SystemExit) as stopped:
        main(["thn"])
    assert stopped.value.code == 2


def test_no_peers_may_be_asked_for(tmp_path):
    path = tmp_path / "alone.json"
    arguments = ["tube", "--quick", "--cases", "random-0.5", "--json", str(path), "--peers"]
    assert main(arguments) == 0
    assert Report.load(path).rows[0].peers == []


def test_a_wrong_result_stops_the_run(monkeypatch, capsys):
    wrong = peers.Peer(
        *("liar", "tubed_skeleton", "none", "numpy", "numpy"),
        lambda module, threads: np.zeros_like,
    )
    monkeypatch.setattr(operations, "PEERS", (wrong,))
    assert main(["tube", "--quick", "--cases", "tree-512"]) == 1
    message = capsys.readouterr().err
    assert "tubed_skeleton on tree-512, image 0" in message
    assert "pixels differ between tubeskel and liar" in message


def test_what_is_missing_is_skipped_and_said(monkeypatch, tmp_path, capsys):
    absent = peers.Peer("absent", "tubed_skeleton", "", "no_such_module", "no-such-package", None)
    monkeypatch.setattr(operations, "PEERS", (absent,))
    monkeypatch.setattr(cases, "DATA", tmp_path)
    assert main(["tube", "--quick", "--cases", "uav75", "random-0.5"]) == 0
    printed = capsys.readouterr().out
    assert "not run: absent: no-such-package is not installed" in printed
    assert "not run: uav75: no ../shared/data/UAV75/test_lab/*.png" in printed
    assert main(["tube", "--quick", "--cases", "uav75"]) == 2
    volumes = ["--dims", "3", "--quick", "--cases", "topcow", "tubes-64"]
    assert main(["tube", *volumes]) == 0
    printed = capsys.readouterr().out
    assert "not run: topcow: no ../shared/data/TopCoW_roi_labels/*.nii.gz" in printed


def test_markdown_goes_between_the_markers_of_the_readme(files, tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- speed-table -->\nold\n<!-- /speed-table -->\nafter\n")
    names = [str(path) for path in files]
    for _ in range(2):  # a second time changes nothing
        assert main(["markdown", *names, "--readme", str(readme)]) == 0
        content = readme.read_text()
        assert content.startswith("before\n<!-- speed-table -->\n")
        assert content.endswith("\n<!-- /speed-table -->\nafter\n")
        assert "old" not in content
        assert content.count("| tree-512 | 512 x 512 |") == 3
    assert capsys.readouterr().out.count("srl_loss") == 2
    readme.write_text("no markers")
    assert main(["markdown", *names, "--readme", str(readme)]) == 2
    assert "lacks the lines <!-- speed-table -->" in capsys.readouterr().err
    assert readme.read_text() == "no markers"


def test_the_figure_is_drawn(files, tmp_path, capsys):
    out = tmp_path / "docs" / "speed.png"
    assert main(["figure", str(files[0]), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert main(["figure", str(files[2]), "--out", str(out)]) == 2
    assert "the figure needs skeletonize" in capsys.readouterr().err
