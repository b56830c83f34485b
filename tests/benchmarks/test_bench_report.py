"""Reports: their numbers, their way through JSON, their tables."""

from dataclasses import replace

import pytest

from benchmarks.compare import changes, drift
from benchmarks.growth import fit
from benchmarks.memory import Memory
from benchmarks.report import Growth, PeerTime, Report, Row, environment, saving
from benchmarks.tables import format_seconds, markdown, overview
from benchmarks.timing import Time


def row(case, ours, theirs, *, listed=True, runs=7):
    slow = Time(theirs, theirs, theirs, runs)
    fast = Time(ours, ours * 0.9, ours * 1.1, 9)
    copy = Time(1e-6, 1e-6, 1e-6, 9)
    peer = PeerTime("scikit-image", "0.26.0", "Guo-Hall", True, slow, theirs / ours)
    return Row("thin", case, listed, 2, [100, 50], 10_000, fast, copy, [peer])


@pytest.fixture
def report():
    found = {"cpu": "a", "cores": 2, "system": "s", "python": "3", "packages": {"numpy": "2"}}
    rows = [row("one", 1e-3, 0.1), row("two", 1e-3, 0.4), row("three", 1e-3, 1e-3, listed=False)]
    return Report(1, False, found, rows, {"thin": Memory("one", 1000, 1000, 250)}, ["hrf: no data"])


def test_summaries_are_over_the_listed_cases(report):
    (summary,) = report.summaries()
    assert summary.geometric_mean == pytest.approx(200)
    assert (summary.least, summary.least_case) == (pytest.approx(100), "one")
    assert summary.cases == 2
    assert (summary.target_mean, summary.target_least) == (200, 15)
    report.rows = report.rows[2:]
    (summary,) = report.summaries()
    assert (summary.least, summary.least_case) == (pytest.approx(1), "three")


def test_unlisted_cases_have_their_own_target(report):
    rows = [replace(r, operation="skeletonize_3d", shape=[9, 10, 100]) for r in report.rows]
    report.rows = [replace(rows[0], images=3), *rows[1:]]
    listed, others = report.summaries()
    assert (listed.listed, listed.cases, listed.target_least) == (True, 2, 20)
    assert (others.listed, others.cases, others.target_least) == (False, 1, 8)
    assert (others.least_case, others.least) == ("three", pytest.approx(1))
    text = markdown(report)
    assert "least 100x on one (target 20), over 2 cases; geometric mean 1.00x, " in text
    assert "least 1.00x on three (target 8), over 1 other case" in text
    assert "| case | input | tubeskel | Mvoxel/s |" in text
    # 10000 voxels are less than three times the largest shape
    assert "| one | 3 up to 9 x 10 x 100 |" in text


def test_derived_numbers(report):
    assert report.rows[0].mpixel_per_s == pytest.approx(10)
    assert report.rows[0].over_copy == pytest.approx(1000)


def test_a_report_survives_json(report, tmp_path):
    report.growth = [Growth("thin", "batch", [1, 2], [report.rows[0].ours] * 2, 1.0, 0.0)]
    report.save(tmp_path / "new" / "folder.json")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["folder.json"]
    assert Report.load(tmp_path / "new" / "folder.json") == report


def test_a_run_that_fails_leaves_what_it_had_found(report, tmp_path):
    path, unfinished = tmp_path / "cpu.json", tmp_path / "cpu.unfinished.json"
    path.write_text("an earlier run")

    def stopped():
        with saving(path) as keep:
            keep(report)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert path.read_text() == "an earlier run"
    assert Report.load(unfinished) == report
    with saving(path) as keep:
        keep(report)
        keep(report)
    assert Report.load(path) == report
    assert not unfinished.exists()
    with saving(None) as keep:
        keep(report)


def test_files_of_one_machine_are_joined(report, tmp_path):
    other = Report(**{**vars(report), "rows": [replace(report.rows[0], operation="skeletonize")]})
    other.memory = {}
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for part, path in zip((report, other), paths, strict=True):
        part.save(path)
    joined = Report.load_all(paths)
    assert joined.operations() == ["thin", "skeletonize"]
    with pytest.raises(ValueError, match="more than one file holds thin"):
        Report.load_all([paths[0], paths[0]])
    other.environment = {**report.environment, "cpu": "b"}
    other.save(paths[1])
    with pytest.raises(ValueError, match="different machines: cpu is 'a' and 'b'"):
        Report.load_all(paths)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 0}', '{"rows": []}'])
def test_other_files_are_refused(text, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"file\.json (is not JSON|has benchmark schema)"):
        Report.load(path)


def test_markdown_is_a_table_with_its_summary(report):
    report.rows[1] = row("two", 1e-3, 200.0, runs=1)
    lines = markdown(report).splitlines()
    assert lines[0] == "**`thin(mask)`**"
    assert lines[2] == ("| case | input | tubeskel | Mpixel/s | copy | over copy | scikit-image |")
    assert lines[4] == ("| one | 2 of 100 x 50 | 1.00 ms | 10.0 | 1.00 µs | 1000 | 100x (100 ms) |")
    assert "| 200000x (200 s, 1 run) |" in lines[5]
    text = "\n".join(lines)
    assert "scikit-image 0.26.0 (Guo-Hall; same result, checked): geometric mean 4472x" in text
    assert "(target 200), least 100x on one (target 15), over 2 cases" in text
    assert "25% of the input's 0.0 MiB" in text
    assert lines[-1] == "Medians, one thread each; a, 2 cores; Python 3, numpy 2."


def test_peers_with_another_result_are_marked(report):
    other = replace(report.rows[0].peers[0], name="diplib", same_result=False, ratio=50)
    report.rows[0].peers.append(other)
    assert "| scikit-image | diplib † |" in markdown(report)
    cells = overview(report).splitlines()[2].strip("| ").split(" | ")
    assert cells[:3] == ["`thin(mask)`", "10.0", "1000"]
    assert cells[3:] == ["scikit-image 200x (least 100x)", "diplib 50.0x (least 50.0x)"]


def test_growth_has_a_table(report):
    times = [Time(1e-3, 1e-3, 1e-3, 7), Time(4e-3, 4e-3, 4e-3, 7)]
    report.growth = [Growth("thin", "pixels", [1000, 4000], times, 1.0, 0.02)]
    line = "| thin | pixels | 1,000 | 4,000 | 1.00 ms | 4.00 ms | 1.00 ± 0.02 |"
    assert line in markdown(report).splitlines()


def test_exponents():
    values = [1, 10, 100]
    assert fit(values, [2 * value**1.5 for value in values]) == pytest.approx((1.5, 0), abs=1e-9)
    exponent, error = fit(values, [1, 20, 100])
    assert exponent == pytest.approx(1)
    assert error > 0.1
    assert fit([1, 2], [1, 4]) == pytest.approx((2, 0))


def test_only_changes_beyond_noise_count(report):
    def after(factor):
        now = [replace(r, ours=scaled(r.ours, factor)) for r in report.rows[:1]]
        (change,) = changes(report, replace(report, rows=now))
        return change.slower, change.faster

    def scaled(time, factor):
        return Time(time.median * factor, time.low * factor, time.high * factor, time.runs)

    assert after(1.15) == (False, False)  # the quartiles, 10 % off, overlap
    assert after(1.3) == (True, False)
    assert after(0.7) == (False, True)
    assert drift(report, report) == 1


def test_runs_that_cannot_be_compared(report):
    with pytest.raises(ValueError, match="threads differ: 1 and 2"):
        changes(report, replace(report, threads=2))
    with pytest.raises(ValueError, match="no case in common"):
        changes(report, replace(report, rows=[]))
    with pytest.raises(ValueError, match="one of the two runs is a quick one"):
        changes(report, replace(report, quick=True))
    with pytest.raises(ValueError, match="gpu is None and 'H'"):
        changes(report, replace(report, environment={**report.environment, "gpu": {"name": "H"}}))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(170.2, "170 s"), (0.0123, "12.3 ms"), (4.5e-5, "45.0 µs"), (2e-9, "2.00 ns")],
)
def test_times_have_three_figures_and_a_unit(seconds, text):
    assert format_seconds(seconds) == text


def test_the_environment_names_the_oracle():
    assert environment()["packages"]["scikit-image"].startswith("0.26")
