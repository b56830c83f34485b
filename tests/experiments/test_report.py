"""The report: its numbers are those of the score files, its words say no more than they show."""

import csv
import json
import re
from html.parser import HTMLParser
from io import BytesIO

import imageio.v3 as iio
import numpy as np
import pytest

from experiments.config import from_mapping
from experiments.data import SyntheticTubes
from experiments.errors import RunError
from experiments.files import write_text
from experiments.report import figures, write_report
from experiments.report.document import Figure, Listing, Paragraph, Table, to_html, to_markdown
from experiments.report.scores import COLUMNS, read_scores
from experiments.report.sections import reading
from experiments.run_folder import Job, RunFolder
from experiments.scoring import METRICS, prediction_path, save_label
from experiments.statistics import Comparison


def fake_job(folder, job, images, offset):
    """Write what a finished job leaves, with scores that are known."""
    path = folder.job_path(job)
    (path / "predictions").mkdir(parents=True)
    with (path / "scores.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "class", *METRICS])
        for sample in images:
            number = int(sample.id[-3:])
            rate = 0.5 + 0.01 * number + offset
            scores = {"betti_0_error": number, "betti_1_error": 3.0, "euler_error": 1.0}
            rows.writerow([sample.id, "tube", *(scores.get(m, rate) for m in METRICS)])
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
        assert "higher by 2.00 percentage points: better" in text  # DSC
        assert "higher by 2.00 percentage points: worse" in text  # FNR
        assert "no difference larger than 0.00 detected" in text  # Betti numbers
        assert "not corrected" in text
        assert "prove" not in text
        assert "8 trainings of 6 iterations: 2 folds, 2 seeds, 2 arms" in text
        assert '"python": "3.x"' in text.replace("&quot;", '"')
    for name in re.findall(r"\]\((\S+\.png)\)", markdown):
        assert iio.imread(path.parent / name).ndim == 3


def test_several_runs_make_one_report(run, mapping, tmp_path):
    out = tmp_path / "both"
    text = write_report([run, run], out).read_text()
    assert text.count("<h2>") == 2
    assert (out / "0_curves.png").is_file()
    assert (out / "1_curves.png").is_file()


def test_a_data_set_that_is_gone_leaves_the_rest(run, monkeypatch):
    from experiments.errors import DataError

    def gone(self):
        raise DataError("there is no folder x")

    monkeypatch.setattr(SyntheticTubes, "load", gone)
    text = write_report([run], run.path / "report").read_text()
    assert "No pictures, since the data set cannot be read: there is no folder x" in text


@pytest.mark.parametrize(
    ("mean", "low", "high", "p", "column", "expected"),
    [
        (1.0, 0.5, 1.5, 0.01, 0, "higher by 1.00 percentage points: better"),
        (-1.0, -1.5, -0.5, 0.01, 0, "lower by 1.00 percentage points: worse"),
        (1.0, 0.5, 1.5, 0.01, 3, "higher by 1.00 percentage points: worse"),
        (-2.0, -3.0, -1.0, 0.01, 5, "lower by 2.00: better"),
        (0.2, -0.5, 0.9, 0.4, 0, "no difference larger than 0.90 percentage points detected"),
        (0.2, -1.5, 0.9, 0.05, 6, "no difference larger than 1.50 detected"),
    ],
)
def test_a_reading_says_direction_size_and_worth(mean, low, high, p, column, expected):
    assert reading(COLUMNS[column], Comparison(mean, low, high, p)) == expected


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
