"""The commands end to end, on tiny cases: no time is asserted, only that the harness works."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import cases, growth, operations, peers, timing
from benchmarks.cli import main
from benchmarks.operations import OPERATIONS
from benchmarks.report import Report
from benchmarks.runner import run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    chosen = {"thin": ["tree-512", "random-0.5"], "tube": ["tree-512"], "loss": ["2x2x64x64"]}
    for command, names in chosen.items():
        path = folder / f"{command}.json"
        alone = ["--peers", "scikit-image"] if command == "thin" else []
        assert main([command, "--quick", "--cases", *names, "--json", str(path), *alone]) == 0
    return [folder / f"{command}.json" for command in chosen]


def test_a_quick_run_measures_every_side(files):
    report = Report.load(files[0])
    assert report.quick
    assert report.threads == 1
    assert [(row.operation, row.case) for row in report.rows] == [
        ("skeletonize", "tree-512"),
        ("skeletonize", "random-0.5"),
        ("skeletonize_lee", "tree-512"),
        ("skeletonize_lee", "random-0.5"),
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
        ["srl_loss", "dice_ce_srl_loss", "soft_cldice_loss"],
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
            *("rows", "memory", "skipped", "growth", "summary"),
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
        (["thin", "--sizes", "32", "--cases", "tree-33"], "choose from tree-32, horse-32, "),
        (["thin", "--sizes", "8"], "sizes must be at least 16, got 8"),
        (["growth", "--cases", "tree-512"], "growth has inputs of its own"),
        (["metrics", "--device", "cuda"], "metrics has no operation on cuda"),
        (["thin", "--compare", "absent.json"], "absent.json"),
        (["loss", "--cases", "tree-512"], "unknown case 'tree-512'; choose from 12x2x512x512, "),
        (["tube", "--peers", "itk"], "unknown peer 'itk'; choose from scikit-image"),
        (["thin", "--threads", "0"], "threads must be at least 1, got 0"),
        (["thin", "--dims", "3", "--cases", "uav75"], "unknown case 'uav75'; choose from vesselnn"),
        (["tube", "--dims", "3", "--peers", "opencv"], "unknown peer 'opencv'; choose from scikit"),
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
    assert main(["tube", "--quick", "--cases", "tree-512", "--dims", "2"]) == 1
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


def test_markdown_goes_into_the_readme_and_a_page(files, tmp_path, capsys):
    readme, page = tmp_path / "README.md", tmp_path / "page.md"
    readme.write_text("before\n<!-- speed-table -->\nold\n<!-- /speed-table -->\nafter\n")
    names = [str(path) for path in files]
    for _ in range(2):  # a second time changes nothing
        assert main(["markdown", *names, "--readme", str(readme), "--page", str(page)]) == 0
        content = readme.read_text()
        assert content.startswith("before\n<!-- speed-table -->\n| call |")
        assert content.endswith("\n<!-- /speed-table -->\nafter\n")
        assert "old" not in content
        assert content.count("| `thin(mask)` |") == 1
        assert page.read_text().startswith("# Benchmarks\n")
        assert page.read_text().count("| tree-512 | 512 x 512 |") == 4
    assert capsys.readouterr().out.count("`srl_loss(") == 2
    readme.write_text("no markers")
    assert main(["markdown", *names, "--readme", str(readme)]) == 2
    assert "lacks the lines <!-- speed-table -->" in capsys.readouterr().err
    assert readme.read_text() == "no markers"


@pytest.mark.parametrize(
    ("command", "sizes", "operations"),
    [
        ("thin", ["32"], ["skeletonize", "skeletonize_lee", "thin", "skeletonize_3d"]),
        ("dilate", ["32", "48"], ["dilate", "dilate_3d"]),
        ("tube", ["32"], ["tubed_skeleton", "tubed_skeleton_3d"]),
        ("metrics", ["32"], ["cldice", "betti_numbers", "cldice_3d", "betti_numbers_3d"]),
        ("loss", ["32"], ["srl_loss", "dice_ce_srl_loss", "soft_cldice_loss"]),
    ],
)
def test_every_operation_at_small_sizes_agrees_with_every_peer(
    command, sizes, operations, tmp_path, capsys
):
    path, picture = tmp_path / "sized.json", tmp_path / "sized.png"
    files = ["--json", str(path), "--plot", str(picture)]
    assert main([command, "--quick", "--sizes", *sizes, *files, "--markdown"]) == 0
    report = Report.load(path)
    assert report.operations() == operations
    suites = {o.name: o.suite for o in OPERATIONS}
    for name in operations:
        found = [row.case for row in report.rows if row.operation == name]
        assert found == [case.name for case in cases.cases_of(suites[name], list(map(int, sizes)))]
    assert capsys.readouterr().out.count("\n| case | input | tubeskel | ") == len(operations)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_a_training_step_is_made_of(tmp_path, capsys):
    path = tmp_path / "step.json"
    assert main(["train-step", "--quick", "--json", str(path), "--markdown"]) == 0
    (row,) = Report.load(path).rows
    assert [peer.name for peer in row.peers] == ["scikit-image", "step", "step-srl"]
    assert "| of the step | scikit-image | step † | step-srl † |" in capsys.readouterr().out


def test_a_run_is_compared_with_an_earlier_one(tmp_path, capsys):
    path, changed = tmp_path / "old.json", tmp_path / "changed.json"
    run_it = ["tube", "--quick", "--cases", "random-0.5", "--peers", "scikit-image"]
    assert main([*run_it, "--json", str(path)]) == 0
    report = Report.load(path)
    for factor, status in ((1e-6, 1), (1e6, 0)):
        (row,) = report.rows
        times = {field: getattr(row.ours, field) * factor for field in ("median", "low", "high")}
        row = replace(row, ours=replace(row.ours, **times))
        replace(report, rows=[row]).save(changed)
        assert main([*run_it, "--compare", str(changed)]) == status
        printed = capsys.readouterr()
        assert "tubed_skeleton on random-0.5: " in printed.out
        assert ("slower than before: tubed_skeleton on random-0.5" in printed.err) is bool(status)


def test_growth_is_measured_and_drawn(monkeypatch, tmp_path, capsys):
    wanted = ("foreground", "threads")
    few = [one for one in growth.series() if one.operation == "thin" and one.quantity in wanted]
    monkeypatch.setattr(growth, "series", lambda: iter(few))
    path, picture = tmp_path / "growth.json", tmp_path / "growth.png"
    assert main(["growth", "--quick", "--json", str(path), "--plot", str(picture)]) == 0
    report = Report.load(path)
    found = report.growth[0]
    assert (found.operation, found.quantity) == ("thin", "foreground")
    assert found.values == [8 * 4 * 1024, 16 * 4 * 1024]
    assert len(found.times) == 2
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "how our time grows" in capsys.readouterr().out


def test_the_figure_is_drawn(files, tmp_path, capsys):
    out = tmp_path / "docs" / "speed.png"
    assert main(["figure", str(files[0]), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert main(["figure", str(files[2]), "--out", str(out)]) == 2
    assert "the figure needs skeletonize" in capsys.readouterr().err


def test_a_peer_that_takes_too_long_is_spared_larger_cases(monkeypatch, tmp_path, capsys):
    def slow(module, threads):
        clock = SimpleNamespace(perf_counter=partial(next, count(0, 1000)))
        monkeypatch.setattr(timing, "time", clock)
        return lambda mask: mask

    peer = peers.Peer("slow", "dilate", "", "numpy", "numpy", slow, same_result=False)
    monkeypatch.setattr(operations, "PEERS", (peer,))
    path = tmp_path / "slow.json"
    sizes = ["--sizes", "16", "32", "--cases", "tree-16", "tree-32"]
    assert main(["dilate", "--quick", "--dims", "2", *sizes, "--json", str(path)]) == 0
    assert [len(row.peers) for row in Report.load(path).rows] == [1, 0]
    assert "not run: slow on tree-32: dilate would take about 8000 s" in capsys.readouterr().out
