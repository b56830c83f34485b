"""The report: its numbers are those of the score files, its words say no more than they show."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from itertools import product

import imageio.v3 as iio
import numpy as np
import pytest
from scipy import stats

from experiments.config import ArmConfig, from_mapping, to_mapping
from experiments.data import Sample, SyntheticTubes
from experiments.errors import RunError
from experiments.files import write_text
from experiments.report import figures, write_report
from experiments.report.document import Figure, Listing, Paragraph, Table, to_html, to_markdown
from experiments.report.findings import Contrast, Finding, contrasts, find, verdict
from experiments.report.scores import COLUMNS, Scores, read_scores
from experiments.report.sections import example_figure, facts_of
from experiments.report.tables import arms_table
from experiments.run_folder import Job, RunFolder
from experiments.scoring import COUNTS, METRICS, metrics_of, prediction_path, save_label
from experiments.statistics import Comparison, crossed_error

BASE = "dice_ce"
AGAINST = Contrast("dice_ce_srl", "dice_ce", ("dice_ce_srl",), ("dice_ce",))


def fake_job(folder, job, images, offset):
    """Write what a finished job leaves, with scores that are known."""
    path = folder.job_path(job)
    (path / "predictions").mkdir(parents=True)
    with (path / "scores.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "class", *metrics_of(2)])
        for sample in images:
            number = int(sample.id[-3:])
            rate = 0.5 + 0.01 * number + offset
            scores = {"betti_0_error": number, "betti_1_error": 3.0, "euler_error": 1.0}
            rows.writerow([sample.id, "tube", *(scores.get(m, rate) for m in metrics_of(2))])
            save_label(prediction_path(path, sample.id), np.roll(sample.label, 2), 2)
    entries = [
        {"iteration": i, "loss": 1 / i, "dice": 1 / i, "ce": 1 / i, "srl": -1 + 1 / i}
        for i in range(1, 7)
    ]
    write_text(path / "log.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
    write_text(path / "cost.json", '{"training_seconds": 90, "parameters": 5}')


@pytest.fixture
def run(mapping):
    """A finished run of two arms, two folds and two seeds, with made-up scores."""
    return finished(mapping)


def finished(mapping):
    """Make the folder of a finished run with two seeds and made-up scores."""
    mapping["seeds"] = [0, 1]
    folder = RunFolder.create(from_mapping(mapping))
    samples = folder.config.data.load().samples
    for job in folder.jobs():
        tested = samples[job.fold :: 2]
        offset = {"dice_ce": 0.0, "dice_ce_srl": 0.02}[job.arm] + 0.1 * job.seed
        fake_job(folder, job, tested, offset)
    folder.note_environment(folder.jobs()[0], {"python": "3.x"})
    return folder


def test_scores_are_averaged_over_seeds_for_each_image(run):
    scores = read_scores(run)
    assert scores.images == tuple(f"tubes_{i:03d}" for i in range(6))
    assert scores.missing == 0
    expected = 0.5 + 0.01 * np.arange(6) + 0.05
    np.testing.assert_allclose(scores.per_image("dice_ce", "dice"), expected)
    np.testing.assert_allclose(scores.per_seed("dice_ce", "dice"), [0.525, 0.625])
    np.testing.assert_allclose(scores.per_image("dice_ce", "betti_0_error"), np.arange(6))


def test_jobs_without_their_partner_are_left_out(run):
    (run.job_path(Job("dice_ce", 0, 1)) / "scores.csv").unlink()
    scores = read_scores(run)
    assert scores.missing == 2
    np.testing.assert_allclose(scores.per_image("dice_ce_srl", "dice")[0], 0.52)
    text = write_report([run], run.path / "report").with_name("report.md").read_text()
    assert "2 of 8 trainings are left out" in text


def test_a_run_with_nothing_done_is_refused(config):
    with pytest.raises(RunError, match="no fold and seed is done for every arm"):
        write_report([RunFolder.create(config)], RunFolder.create(config).path / "report")


class Resources(HTMLParser):
    """Collects what a page loads, and checks that its tags close."""

    def __init__(self):
        super().__init__()
        self.open, self.loaded, self.images = [], [], 0

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                self.images += tag == "img"
                self.loaded.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_no_other_file(run):
    page = Resources()
    text = write_report([run], run.path / "report").read_text()
    page.feed(text)
    assert page.open == []
    assert page.images == 3
    assert all(value.startswith("data:image/png;base64,") for value in page.loaded)
    assert "url(" not in text


def test_markdown_and_page_say_the_same(run):
    path = write_report([run], run.path / "report")
    page, markdown = path.read_text(), path.with_suffix(".md").read_text()
    for text in (page, markdown):
        assert "57.50 ± 1.87" in text  # mean and standard deviation of 55, 56, ..., 60
        assert "59.50 ± 1.87" in text
        # 6 images: p = 2 / 2^6 is not below 0.05 any more once corrected for seven metrics
        assert "too few images for any finding" in text
        assert "no difference larger than" not in text
        assert "smallest p-value that the test over images can give is 0.031, 0.22 after" in text
        assert "Units of the statistics: the 6 images." in text
        assert "number of metrics (Holm)" in text
        assert "prove" not in text
        assert "Dice + CCE + SRL" in text
        assert "6 images in 6 groups; tube of radius 2" in text
        assert "8 trainings of 6 iterations: 2 folds, 2 seeds, 2 arms" in text
        assert "15000.0 (mean, with monitoring)" in text  # cost files from before the median
        assert '"python": "3.x"' in text.replace("&quot;", '"')
    for name in re.findall(r"\]\((\S+\.png)\)", markdown):
        assert iio.imread(path.parent / name).ndim == 3


def test_several_runs_make_one_report(run, mapping, tmp_path):
    out = tmp_path / "both"
    text = write_report([run, run], out).read_text()
    assert text.count("<h2>") == 3  # differences, and the two runs
    assert (out / "0_curves.png").is_file()
    assert (out / "1_curves.png").is_file()


def test_a_data_set_that_is_gone_leaves_the_rest(run, monkeypatch):
    from experiments.errors import DataError

    def gone(self):
        raise DataError("there is no folder x")

    monkeypatch.setattr(SyntheticTubes, "load", gone)
    text = write_report([run], run.path / "report").read_text()
    assert (
        "No facts, no pictures and no groups of images, since the data set cannot be read: "
        "there is no folder x"
    ) in text


BETTER, WORSE = "higher by 1.00 percentage points: better", "lower by 1.00 percentage points: worse"


@pytest.mark.parametrize(
    ("mean", "p", "wide_p", "seeds", "column", "expected"),
    [
        (1.0, 0.01, 0.02, 3, 0, BETTER),
        (-1.0, 0.01, 0.02, 3, 0, WORSE),
        (1.0, 0.01, 0.02, 3, 3, "higher by 1.00 percentage points: worse"),
        (-2.0, 0.01, 0.02, 3, 5, "lower by 2.00: better"),
        (1.0, 0.01, 0.20, 3, 0, f"{BETTER}, in these trainings; within what seeds vary by"),
        (1.0, 0.01, np.nan, 1, 0, f"{BETTER}, in this training; with one seed not more is known"),
        (0.2, 0.40, 0.02, 3, 0, "no difference larger than 1.20 percentage points detected"),
        (0.2, 0.05, 0.02, 3, 6, "no difference larger than 1.20 detected"),
    ],
)
def test_a_reading_says_direction_size_and_worth(mean, p, wide_p, seeds, column, expected):
    comparison = Comparison(mean, mean - 0.5, mean + 0.5, p, mean - 0.7, mean + 1.0, seeds=seeds)
    assert Finding(COLUMNS[column], comparison, p, wide_p).reading == expected


def test_a_verdict_names_what_was_and_what_was_not_detected():
    def finding(column, mean, p, wide_p):
        comparison = Comparison(mean, mean - 0.5, mean + 0.5, p, mean - 1, mean + 1, seeds=3)
        return Finding(COLUMNS[column], comparison, p, wide_p)

    findings = [finding(0, 2.0, 0.01, 0.01), finding(3, 2.0, 0.01, 0.01)]
    findings += [finding(4, -1.0, 0.01, 0.3), finding(5, 0.5, 0.6, 0.7)]
    assert verdict(Contrast("srl", "ce", ("srl",), ("ce",)), findings) == (
        "srl against ce: DSC higher by 2.00 percentage points (better), "
        "FNR higher by 2.00 percentage points (worse); in these trainings only, "
        "FPR lower by 1.00 percentage points (better); "
        "no difference larger than 1.50 in Betti-0 error detected."
    )


def test_p_values_are_corrected_over_the_metrics(run):
    findings = {f.column.metric: f for f in find(read_scores(run), AGAINST)}
    assert list(findings) == [c.metric for c in COLUMNS if c.metric != "betti_2_error"]
    dice = findings["dice"]
    assert dice.comparison.p_value == pytest.approx(2 / 2**6)
    assert dice.p_value == pytest.approx(7 * 2 / 2**6)
    assert dice.comparison.mean == pytest.approx(2.0)
    assert findings["betti_0_error"].p_value == 1


def test_the_report_has_every_statistic_of_the_paired_differences(mapping):
    """Each computed here by itself from the gains that the score files hold."""
    mapping["data"]["count"] = 10
    run = finished(mapping)
    rng = np.random.default_rng(0)
    gains = {m: 0.03 * i + 0.05 * rng.normal(size=(2, 10)) for i, m in enumerate(metrics_of(2))}

    def rows(job):
        for index in range(job.fold, 10, 2):
            row = {"image": f"tubes_{index:03d}", "class": "tube", "region": "image"}
            if job.arm == "dice_ce_srl":
                row |= {name: 0.5 + gain[job.seed, index] for name, gain in gains.items()}
            yield row

    rewrite(run, rows)
    out = write_report([run], run.path / "report").parent
    found = {row["metric"]: row for row in csv.DictReader((out / "differences.csv").open())}
    columns = [c for c in COLUMNS if c.metric in found]
    assert len(columns) == 7
    signs = np.array(list(product((-1, 1), repeat=10)))
    p_values, wide_p_values = [], []
    for column in columns:
        table, row = gains[column.metric] * column.factor, found[column.metric]
        images = table.mean(axis=0)  # of each image over the seeds
        mean, deviation = images.mean(), images.std(ddof=1)
        assert float(row["mean"]) == pytest.approx(mean)
        p_values.append(np.mean(np.abs((signs * images).mean(axis=1)) >= abs(mean) - 1e-9))
        assert float(row["p_value"]) == pytest.approx(p_values[-1])
        interval = stats.bootstrap((images,), np.mean, n_resamples=4000).confidence_interval
        assert float(row["low"]) == pytest.approx(interval.low, abs=0.15 * deviation)
        assert float(row["high"]) == pytest.approx(interval.high, abs=0.15 * deviation)
        assert float(row["effect_size"]) == pytest.approx(mean / deviation)
        error, freedom = crossed_error(table)
        wide_p_values.append(2 * stats.t.sf(abs(mean) / error, freedom))
        half = stats.t.ppf(0.975, freedom) * error
        assert float(row["wide_low"]) == pytest.approx(mean - half)
        assert float(row["wide_high"]) == pytest.approx(mean + half)
        assert float(row["detectable"]) == pytest.approx(half + stats.t.ppf(0.8, freedom) * error)
    for name, values in (("p_value_holm", p_values), ("wide_p_holm", wide_p_values)):
        least = 0.0
        for rank, place in enumerate(np.argsort(values)):
            least = max(least, min(1.0, (7 - rank) * values[place]))
            assert float(found[columns[place].metric][name]) == pytest.approx(least)

    text = (out / "report.md").read_text()
    dice, last = found["dice"], found["betti_1_error"]
    shown = [f"{float(dice[name]):+.2f}" for name in ("mean", "low", "high")]
    assert f"| DSC % | {shown[0]} | {shown[1]} to {shown[2]} |" in text
    assert float(last["p_value_holm"]) < 0.05
    assert f"| {float(last['effect_size']):+.2f} | {float(last['detectable']):.2f} | 2/2 |" in text
    for words in (
        "BCa bootstraps of the mean",
        "two-sided permutation test (sign flips)",
        "corrected for the number of metrics (Holm)",
        "Effect size: mean over standard deviation of the images' differences",
        "Detectable: the true difference that such an experiment finds in 80 % of cases",
    ):
        assert words in text


def test_images_of_a_group_count_once(run, monkeypatch):
    samples = SyntheticTubes.load(run.config.data)
    grouped = [replace(s, group="ab"[i % 2]) if i < 5 else s for i, s in enumerate(samples.samples)]
    dataset = replace(samples, samples=tuple(grouped))
    scores = read_scores(run, dataset)
    gains = np.array([[1.0, 2.0, 3.0, 6.0, 8.0, np.nan], [np.nan, 5.0, 1.0, 7.0, 3.0, 9.0]])
    expected = [[4, 4, np.nan], [2, 6, 9]]
    np.testing.assert_array_equal(scores.by_unit(gains), expected)
    assert find(scores, AGAINST)[0].comparison.units == 3
    monkeypatch.setattr(SyntheticTubes, "load", lambda self: dataset)
    text = write_report([run], run.path / "report").with_suffix(".md").read_text()
    assert "Units of the statistics: the 3 groups of images" in text


@pytest.mark.parametrize(("images", "possible"), [(8, False), (9, True)])
def test_differences_that_no_test_could_find_are_not_said_to_be_detectable(images, possible):
    gain = np.random.default_rng(0).normal(size=(2, images)) + 9
    shape = (1, 1, 2, images, len(METRICS) + len(COUNTS))
    values = {"a": np.zeros(shape), "b": np.broadcast_to(gain[:, :, None], shape)}
    names = tuple(map(str, range(images)))
    found = find(
        Scores(names, (0, 1), ("image",), ("x",), (), 0, values, names),
        Contrast("b", "a", ("b",), ("a",)),
    )
    assert {f.possible for f in found} == {f.detected for f in found} == {possible}
    assert np.isnan([f.comparison.detectable for f in found]).all() != possible
    assert (
        "too few images for any finding" in verdict(Contrast("b", "a", ("b",), ("a",)), found)
    ) != possible


def test_the_facts_are_of_each_radius_that_an_arm_with_recall_has(run):
    arms = {"plain": ArmConfig("dice_ce", radius=4)}
    arms |= {f"r{radius}": ArmConfig("dice_ce_srl", radius=radius) for radius in (2, 3)}
    other = replace(run, config=replace(run.config, arms=arms))
    dataset = run.config.data.load()
    facts = [block.caption for block in facts_of(other, dataset)[1:-1]]
    assert [re.search(r"radius (\d)", caption)[1] for caption in facts] == ["2", "3"]


def test_the_settings_of_each_arm_stand_in_one_table(run, mapping):
    mapping["arms"] |= {
        "wide": {"loss": "dice_ce_srl", "alpha": 0.5, "radius": 4, "recall": "log"},
        "mask": {"loss": "ce_srl", "tube_from": "mask", "against": ["dice_ce", "dice_ce_srl"]},
        "late": {"loss": "dice_ce_cldice", "start": 0.5, "deep_supervision": False},
    }
    more = replace(run, config=from_mapping(mapping | {"name": "more"}))
    table = arms_table([more])
    assert table.header[:7] == [
        *("arm", "loss", "alpha", "radius", "recall", "tube from", "deep supervision")
    ]
    assert [list(row) for row in table.rows] == [
        ["dice_ce", "dice + ce", "", "", "", "", "yes", "", ""],
        ["dice_ce_srl", "dice + ce + alpha srl", "1", "2", "linear", "skeleton", "yes", "", BASE],
        ["wide", "dice + ce + alpha srl", "0.5", "4", "log", "skeleton", "yes", "", BASE],
        ["mask", "ce + alpha srl", "1", "", "linear", "mask", "yes", "", "dice_ce, dice_ce_srl"],
        ["late", "dice + ce + alpha cldice", "1", "", "", "", "no", "start 0.5", BASE],
    ]
    both = arms_table([run, more])
    assert [row[-1] for row in both.rows] == ["tiny, more", "tiny, more", *["more"] * 3]
    text = write_report([run, run], run.path / "report").with_name("report.md").read_text()
    assert (
        text.count("| dice\\_ce\\_srl | dice + ce + alpha srl | 1 | 2 | linear | skeleton |") == 1
    )


def test_the_facts_are_not_of_a_radius_that_no_tube_has(run):
    arms = {"mask": ArmConfig("dice_ce_srl", radius=5, tube_from="mask")}
    arms["tube"] = ArmConfig("dice_ce_srl", radius=3)
    other = replace(run, config=replace(run.config, arms=arms))
    _, *facts, _ = facts_of(other, run.config.data.load())
    assert [re.search(r"radius (\d)", block.caption)[1] for block in facts] == ["3"]


def test_examples_show_what_the_arm_recalls(run, monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "overlays", lambda rows: shown.extend(rows) or b"")
    arms = run.config.arms | {"dice_ce_srl": ArmConfig("dice_ce_srl", tube_from="mask")}
    other = replace(run, config=replace(run.config, arms=arms))
    example_figure(other, read_scores(run), run.config.data.load(), "dice_ce_srl")
    assert len(shown) == 3
    for _, sample, tube, _ in shown:
        np.testing.assert_array_equal(tube, sample.label)


def test_arms_are_compared_with_the_first_or_those_they_name():
    arms = {
        "a": ArmConfig("dice_ce"),
        "b": ArmConfig("dice_ce_srl", against=("a", "c")),
        "c": ArmConfig("dice_ce_cldice"),
        "d": ArmConfig("dice_ce_srl", deep_supervision=False, against=("c",)),
    }
    pairs = [("b", "a"), ("b", "c"), ("c", "a"), ("d", "c")]
    assert [(c.arm, c.against) for c in contrasts(arms)] == pairs
    arms["e"] = ArmConfig("dice_ce", deep_supervision=False)
    *_, last = contrasts(arms)
    assert (last.plus, last.minus) == (("d", "a"), ("e", "b"))
    assert (last.arm, last.against) == ("(d - e)", "(b - a)")


def test_the_interaction_is_the_difference_of_the_differences():
    table = np.random.default_rng(0).normal(size=(4, 2, 9))
    shape = (1, 1, 2, 9, len(METRICS) + len(COUNTS))
    values = {n: np.broadcast_to(t[:, :, None], shape) for n, t in zip("abde", table, strict=True)}
    names = tuple(map(str, range(9)))
    scores = Scores(names, (0, 1), ("image",), ("x",), (), 0, values, names)
    finding = find(scores, Contrast("", "", ("d", "a"), ("e", "b")))[0]
    expected = (table[2] - table[3]) - (table[1] - table[0])
    assert finding.comparison.mean == pytest.approx(100 * expected.mean())


def test_what_an_arm_is_compared_with_changes_no_job_and_is_reported(run):
    mapping = to_mapping(run.config)
    mapping["arms"]["dice_ce"]["against"] = ["dice_ce_srl"]
    again = RunFolder.create(from_mapping(mapping))
    assert all(again.is_done(job) for job in again.jobs())
    text = write_report([again], again.path / "report").with_name("report.md").read_text()
    assert "dice\\_ce minus dice\\_ce\\_srl" in text
    assert "dice\\_ce\\_srl minus dice\\_ce" in text


def rewrite(run, jobs_rows, axes=2):
    """Replace the score files by ones with regions and counts."""
    names = ["image", "class", "region", *metrics_of(axes), *COUNTS]
    for job in run.jobs():
        with (run.job_path(job) / "scores.csv").open("w", newline="") as file:
            rows = csv.DictWriter(file, names, restval=0.5)
            rows.writeheader()
            rows.writerows(jobs_rows(job))


def test_counts_are_pooled_by_class_and_region(run):
    def rows(job):
        for index in range(job.fold, 6, 2):
            for name, scale in (("thin", 1), ("wide", 10)):
                counts = {"true_positives": scale * index, "false_negatives": scale}
                counts |= {"false_positives": 0, "true_negatives": 100}
                image = {"image": f"tubes_{index:03d}", "class": name}
                yield image | {"region": "image"} | counts
                yield image | {"region": "field_of_view"} | counts | {"false_positives": scale}

    rewrite(run, rows)
    scores = read_scores(run)
    assert scores.regions == ("field_of_view", "image")
    assert scores.classes == ("thin", "wide")
    pooled = scores.pooled("dice_ce", "image")
    np.testing.assert_allclose(pooled["dice"], [30 / 36] * 2)  # 15 found, 6 missed
    np.testing.assert_allclose(pooled["false_negative_rate"], [6 / 21] * 2)
    np.testing.assert_allclose(pooled["false_positive_rate"], [0, 0])
    inside = scores.pooled("dice_ce")
    np.testing.assert_allclose(inside["jaccard"], [15 / 27] * 2)
    text = write_report([run], run.path / "report").with_name("report.md").read_text()
    for words in ("| field of view | pooled |", "Means of each class, field of view"):
        assert words in text


def views(job):
    """Rows of one class: DSC gains 20 points by recall, inside the field of view 10."""
    for index in range(job.fold, 6, 2):
        gain = job.arm == "dice_ce_srl"
        image = {"image": f"tubes_{index:03d}", "class": "tube"}
        yield image | {"region": "image", "dice": 0.5 + 0.2 * gain}
        yield image | {"region": "field_of_view", "dice": 0.6 + 0.1 * gain}


def test_inside_and_outside_the_field_of_view_are_shown_and_only_inside_is_tested(run, monkeypatch):
    rewrite(run, views)
    drawn = []
    monkeypatch.setattr(figures, "forest", lambda rows: drawn.extend(rows) or b"")
    out = write_report([run], run.path / "report").parent
    text = (out / "report.md").read_text()

    table = list(csv.DictReader((out / "table1.csv").open()))
    ours = {(r["method"], r["region"]): r["DSC %"] for r in table if r["source"] == "ours"}
    assert list(ours.items()) == [
        (("dice_ce", "field of view"), "60.00 ± 0.00"),
        (("dice_ce_srl", "field of view"), "70.00 ± 0.00"),
        (("dice_ce", "whole image"), "50.00 ± 0.00"),
        (("dice_ce_srl", "whole image"), "70.00 ± 0.00"),
    ]
    assert {row["region"] for row in table if row["source"] != "ours"} == {"not stated"}
    assert "dice\\_ce & ours & whole image & 50.00" in (out / "table1.tex").read_text()

    assert "tiny, field of view: dice\\_ce\\_srl against dice\\_ce:" in text
    assert "tiny, whole image:" not in text
    inside, beside = text.split("dice\\_ce\\_srl minus dice\\_ce, whole image")
    assert "dice\\_ce\\_srl minus dice\\_ce, field of view" in inside
    interval = "+20.00 to +20.00"
    assert f"| +20.00 | {interval} | {interval} |  |  | +inf |  | 2/2 | not tested |" in beside
    assert "not for the 1 of arm and data set" in text

    differences = list(csv.DictReader((out / "differences.csv").open()))
    dice = {row["region"]: row for row in differences if row["metric"] == "dice"}
    assert float(dice["field_of_view"]["p_value_holm"]) == pytest.approx(7 * 2 / 2**6)
    assert dice["image"]["p_value"] == dice["image"]["wide_p_holm"] == "nan"
    assert [(where, found[0].tested) for _, _, where, found in drawn] == [
        (", field of view", True),
        (", whole image", False),
    ]


def test_a_forest_with_what_was_not_tested_can_be_drawn(run):
    rewrite(run, views)
    scores = read_scores(run)
    rows = [("a", "b", where, find(scores, AGAINST, where)) for where in scores.regions]
    assert iio.imread(BytesIO(figures.forest(rows))).ndim == 3


def test_examples_differ_most_inside_the_field_of_view(run, monkeypatch):
    def rows(job):
        for row in views(job):
            if row["region"] == "field_of_view" and row["image"] == "tubes_003":
                row["dice"] = 0.9 if job.arm == "dice_ce_srl" else 0.0
            yield row

    rewrite(run, rows)
    shown = []
    monkeypatch.setattr(figures, "overlays", lambda rows: shown.extend(rows) or b"")
    example_figure(run, read_scores(run), run.config.data.load(), "dice_ce_srl")
    assert shown[0][0] == "largest gain: tubes_003, +90.0"


def test_the_whole_image_is_tested_where_an_image_has_no_field_of_view(run):
    def rows(job):
        for row in views(job):
            if row["region"] == "image" or row["image"] != "tubes_003":
                yield row

    rewrite(run, rows)
    scores = read_scores(run)
    assert scores.regions == ("image", "field_of_view")
    assert find(scores, AGAINST)[0].tested
    assert not find(scores, AGAINST, "field_of_view")[0].tested


def test_empty_masks_are_counted_for_each_arm_and_region(run):
    pixels = {}

    def rows(job):
        for index in range(job.fold, 6, 2):
            tp, fp, fn = pixels.get(index, (4, 1, 1))
            tp += job.arm == "dice_ce_srl" and index == 2
            counts = {"true_positives": tp, "false_positives": fp, "false_negatives": fn}
            yield {"image": f"tubes_{index:03d}", "class": "tube", "region": "image"} | counts

    rewrite(run, rows)
    assert "No mask is empty" in write_report([run], run.path / "report").read_text()
    pixels |= {0: (0, 0, 0), 1: (0, 3, 0), 2: (0, 0, 5)}  # both, truth, prediction empty
    rewrite(run, rows)
    text = write_report([run], run.path / "report").with_name("report.md").read_text()
    header = "| loss | region | masks | both | ground truth alone | prediction alone |"
    assert header in text
    assert "| dice\\_ce | whole image | 12 | 2 | 2 | 2 |" in text
    assert "| dice\\_ce\\_srl | whole image | 12 | 2 | 2 | 0 |" in text
    assert "Both masks empty: DSC, clDice and JSI 100 %, FNR, FPR and the Betti errors 0." in text


def test_betti_2_errors_are_shown_of_volumes_alone(run):
    def rows(job):
        for index in range(job.fold, 6, 2):
            yield {"image": f"tubes_{index:03d}", "class": "tube", "region": "image"}

    assert "Betti-2" not in write_report([run], run.path / "report").read_text()
    rewrite(run, rows, axes=3)
    out = write_report([run], run.path / "report").parent
    text = (out / "report.md").read_text()
    assert "| Betti-2 error | +0.00 |" in text
    assert "after correction for 8 metrics" in text
    ours, *others = csv.DictReader((out / "table1.csv").open())
    assert ours["Betti-2 error"] == "0.50 ± 0.00"
    assert others[-1]["Betti-2 error"] == ""
    assert "betti_2_error" in (out / "scores.csv").read_text()


def test_score_files_without_regions_and_counts_are_of_the_whole_image(run):
    scores = read_scores(run)
    assert scores.regions == ("image",)
    assert scores.pooled("dice_ce") == {}


def test_the_tables_are_files_too(run):
    out = write_report([run], run.path / "report").parent
    table = list(csv.DictReader((out / "table1.csv").open()))
    assert table[0]["method"] == "dice_ce"
    assert table[0]["DSC %"] == "57.50 ± 1.87"
    by_source = {(row["source"], row["data"], row["method"]): row for row in table}
    assert by_source["paper", "cracks", "Dice + CCE"]["DSC %"] == "76.67"
    assert by_source["TopoMortar", "topomortar", "CE + SRL"]["Betti-1 error"] == "1.73"
    latex = (out / "table1.tex").read_text()
    assert r"dice\_ce & ours & 57.50 $\pm$ 1.87" in latex
    assert latex.count(r"\\") == len(table) + 1
    rows = list(csv.DictReader((out / "scores.csv").open()))
    assert len(rows) == 24  # 2 arms, 2 seeds, 6 images
    assert {row["fold"] for row in rows} == {"0", "1"}
    (dice,) = [
        row for row in csv.DictReader((out / "differences.csv").open()) if row["metric"] == "dice"
    ]
    assert float(dice["mean"]) == pytest.approx(2)
    assert float(dice["p_value_holm"]) == pytest.approx(7 * 2 / 2**6)


def test_gradients_and_cost_are_shown_where_they_were_measured(run):
    term = {f"{kind}_{side}": 0.5 for kind in ("probabilities", "logits") for side in ("on", "off")}
    for job in run.jobs():
        path = run.job_path(job)
        terms = {"ce": term | {"parameters": 0.1}}
        if job.arm == "dice_ce_srl":
            terms["srl"] = term | {"parameters": 0.2, "probabilities_off": 0}
        lines = [
            {
                "iteration": i,
                "terms": terms,
                "cosine_srl_dice_ce": {"logits": 0.3, "parameters": None},
                "missed_share": 0.2,
                "vanishing_share": None,
            }
            for i in (1, 5)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_text(path / "gradients.jsonl", text)
        cost = {"training_seconds": 90, "parameters": 2_000_000}
        cost |= {"median_step_seconds": 0.25, "peak_memory_bytes": 3 * 2**20}
        write_text(path / "cost.json", json.dumps(cost))
    out = write_report([run], run.path / "report").parent
    assert iio.imread(out / "gradients.png").ndim == 3
    text = (out / "report.md").read_text()
    assert "without the monitoring of terms and gradients" in text
    assert "ms a step (median)" in text
    assert "| dice\\_ce | 1.5 | 250.0 | 3 | 2.00 |" in text


def test_a_volume_is_shown_by_its_fullest_slice():
    label = np.zeros((3, 4, 5), np.uint8)
    label[1, :2] = label[2] = 1
    assert figures.slice_of(label) == 2
    sample = Sample("v", np.random.default_rng(0).normal(size=(2, 3, 4, 5)), label)
    picture = figures.overlays([("v", sample, label, {"a": label})])
    assert iio.imread(BytesIO(picture)).ndim == 3


def test_markup_in_texts_is_shown_not_obeyed():
    blocks = [
        Paragraph("a < b & *c*"),
        Table("x|y", ["<i>", "n"], [["a|b", "1"]]),
        Listing("config", "<script>"),
        Figure("f.png", b"png", 'say "hi"'),
    ]
    page, markdown = to_html("<t>", blocks), to_markdown("t", blocks)
    for markup in ("<i>", "<script>", "<t>", '"hi"'):
        assert markup not in page
    assert "a \\< b & \\*c\\*" in markdown
    assert "| a\\|b | 1 |" in markdown


def test_errors_are_painted_by_kind():
    label = np.array([[1, 1, 0, 0]])
    prediction = np.array([[1, 0, 1, 0]])
    picture = figures.error_picture(prediction, label)
    colours = [figures.FOUND, figures.MISSED, figures.FALSE, "white"]
    np.testing.assert_allclose(picture[0], [figures.to_rgb(colour) for colour in colours])


def test_curves_are_smoothed_without_bias_at_the_ends():
    np.testing.assert_allclose(figures.smooth(np.ones(50)), 1)
    np.testing.assert_allclose(figures.smooth(np.arange(5.0)), np.arange(5.0))


def test_the_same_figure_is_the_same_file():
    logged = {"iteration": np.arange(1, 9)[None], "dice": np.linspace(1, 0, 8)[None]}
    one, two = (figures.loss_curves({"a": logged}) for _ in range(2))
    assert one == two
    assert iio.imread(BytesIO(one)).shape[2] == 4
