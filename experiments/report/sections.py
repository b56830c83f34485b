"""What the report says of one run."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from experiments.config import ArmConfig, to_yaml
from experiments.data import Dataset, Sample
from experiments.errors import DataError
from experiments.losses import LOSSES
from experiments.report import figures
from experiments.report.document import Block, Figure, Heading, Listing, Paragraph, Table
from experiments.report.scores import (
    COLUMNS,
    Column,
    Scores,
    read_curves,
    read_scores,
    training_minutes,
)
from experiments.run_folder import Job, RunFolder
from experiments.scoring import load_label, prediction_path
from experiments.statistics import SIGNIFICANCE, Comparison, compare


def run_section(folder: RunFolder, prefix: str = "") -> list[Block]:
    """Return the blocks that report one run; `prefix` tells the runs' figure files apart."""
    config, scores = folder.config, read_scores(folder)
    blocks: list[Block] = [Heading(f"{config.name}: {config.data.name}")]
    blocks += [Paragraph(text) for text in what_was_run(folder, scores)]
    blocks.append(score_table(folder, scores))
    if len(scores.seeds) > 1:
        blocks.append(seed_table(scores))
    others = [arm for arm in config.arms if arm != config.baseline]
    if others and len(scores.images) > 1:
        compared = {arm: compare_arm(scores, arm, config.baseline) for arm in others}
        blocks.append(Heading("Paired differences", 3))
        blocks += [difference_table(arm, compared[arm], config.baseline) for arm in others]
        blocks.append(Paragraph(how_compared(scores, len(others))))
        forest = figures.differences(COLUMNS, compared, config.baseline)
        caption = "Paired differences with bootstrap 95 % confidence intervals."
        blocks.append(Figure(f"{prefix}differences.png", forest, caption))
    curves = {arm: read_curves(folder, scores, arm) for arm in config.arms}
    caption = (
        "Terms of the loss on the training batches, averaged over the deep supervision heads: "
        "running mean, averaged over the trainings (band: their standard deviation). A term that "
        "an arm does not train on is shown too."
    )
    blocks += [
        Heading("Loss terms", 3),
        Figure(f"{prefix}curves.png", figures.loss_curves(curves), caption),
    ]
    blocks += examples(folder, scores, others, prefix)
    environment = json.dumps(folder.environments(), indent=2)
    return [*blocks, Listing("Config", to_yaml(config)), Listing("Environment", environment)]


def what_was_run(folder: RunFolder, scores: Scores) -> list[str]:
    """Say what was trained and scored, and what is missing."""
    config = folder.config
    division = f"{config.data.folds} folds" if config.data.folds else "the data set's own split"
    arms = "; ".join(f"{name} = {formula(arm)}" for name, arm in config.arms.items())
    texts = [
        f"{len(scores.jobs)} trainings of {config.train.iterations} iterations: "
        f"{division}, {counted(len(scores.seeds), 'seed')}, {counted(len(config.arms), 'arm')} "
        f"({arms}). The arms differ in the loss only: initial weights, batches and deep "
        f"supervision are the same. {len(scores.images)} images were scored, each by networks "
        "that were not trained on it."
    ]
    if scores.missing:
        texts.append(
            f"Not complete: {scores.missing} of {scores.missing + len(scores.jobs)} trainings are "
            "left out, because they or their partners in the other arms are not done."
        )
    return texts


def formula(arm: ArmConfig) -> str:
    """Return the loss of an arm as a sum, such as "dice + ce + 1 srl (tube radius 2)"."""
    terms = [f"{arm.alpha:g} srl" if term == "srl" else term for term in LOSSES[arm.loss]]
    tube = f" (tube radius {arm.radius})" if "srl" in LOSSES[arm.loss] else ""
    return " + ".join(terms) + tube


def counted(number: int, noun: str) -> str:
    """Return "1 seed", "2 seeds"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def score_table(folder: RunFolder, scores: Scores) -> Table:
    """Return the scores of each arm, as in Table 1 of the paper."""
    rows = []
    for arm in folder.config.arms:
        cells = []
        for column in COLUMNS:
            values = scores.per_image(arm, column.metric) * column.factor
            cells.append(f"{values.mean():.2f} ± {values.std(ddof=len(values) > 1):.2f}")
        rows.append([arm, *cells, f"{training_minutes(folder, scores, arm):.1f}"])
    header = ["loss", *(c.label + (" %" if c.factor == 100 else "") for c in COLUMNS), "min"]
    caption = (
        "Mean ± standard deviation over the images (of each image's mean over the seeds); "
        "last: minutes of one training"
    )
    return Table(caption, header, rows)


def seed_table(scores: Scores) -> Table:
    """Return the mean over the images for each seed."""
    rows = [
        [arm, str(seed), *(f"{scores.per_seed(arm, c.metric)[i] * c.factor:.2f}" for c in COLUMNS)]
        for arm in scores.values
        for i, seed in enumerate(scores.seeds)
    ]
    return Table("Means of each seed", ["loss", "seed", *(c.label for c in COLUMNS)], rows)


def compare_arm(scores: Scores, arm: str, baseline: str) -> dict[str, Comparison]:
    """Compare an arm with the baseline by every metric, in the units of the tables."""
    return {
        c.metric: compare(
            (scores.per_image(arm, c.metric) - scores.per_image(baseline, c.metric)) * c.factor
        )
        for c in COLUMNS
    }


def difference_table(arm: str, compared: dict[str, Comparison], baseline: str) -> Table:
    """Return the differences of one arm from the baseline, with what they say."""
    rows = []
    for column in COLUMNS:
        c = compared[column.metric]
        rows.append(
            [
                column.label,
                f"{c.mean:+.2f}",
                f"{c.low:+.2f} to {c.high:+.2f}",
                "< 0.001" if c.p_value < 0.001 else f"{c.p_value:.3f}",
                reading(column, c),
            ]
        )
    header = ["metric", "difference", "95 % interval", "p", "reading"]
    return Table(f"{arm} minus {baseline}", header, rows, text_columns=(4,))


def reading(column: Column, comparison: Comparison) -> str:
    """Say in words what a comparison shows, and no more than it shows."""
    unit = f" {column.unit}" if column.unit else ""
    if not comparison.detected:
        return f"no difference larger than {comparison.bound:.2f}{unit} detected"
    direction = "higher" if comparison.mean > 0 else "lower"
    better = "better" if (comparison.mean > 0) == column.more_is_better else "worse"
    return f"{direction} by {abs(comparison.mean):.2f}{unit}: {better}"


def how_compared(scores: Scores, arms: int) -> str:
    """Explain the statistics and their limits."""
    tests = len(COLUMNS) * arms
    return (
        f"Each image's score is averaged over {counted(len(scores.seeds), 'seed')} first; "
        f"differences are then paired over {len(scores.images)} images. Intervals: BCa bootstrap "
        "of the mean; p: two-sided paired permutation test (sign flips). These "
        f"{tests} tests are not independent and not corrected: by chance alone about one in "
        f"{1 / SIGNIFICANCE:.0f} is below {SIGNIFICANCE}; p below {SIGNIFICANCE / tests:.4f} holds "
        "for all of them together (Bonferroni). The intervals say how the result varies with the "
        "images; how it varies with the training shows in the seeds and folds alone."
    )


def examples(folder: RunFolder, scores: Scores, others: Sequence[str], prefix: str) -> list[Block]:
    """Return overlays of the images on which an arm and the baseline differ most."""
    if not others:
        return []
    blocks: list[Block] = [Heading("Examples", 3)]
    try:
        dataset = folder.config.data.load()
    except DataError as error:
        return [*blocks, Paragraph(f"No pictures, since the data set cannot be read: {error}")]
    share = np.mean([np.mean(s.label > 0) for s in dataset.samples if s.id in scores.images])
    blocks.append(
        Paragraph(
            f"Foreground is {100 * share:.1f} % of the pixels; a prediction of foreground "
            f"everywhere would reach a DSC of about {200 * share / (1 + share):.0f} %."
        )
    )
    for arm in others:
        picture = example_figure(folder, scores, dataset, arm)
        caption = (
            f"{arm} against {folder.config.baseline}: the images with the largest gain and the "
            "largest loss in DSC, and a typical one (median). Predictions of seed "
            f"{scores.seeds[0]}; the differences are means over the seeds."
        )
        blocks.append(Figure(f"{prefix}examples_{arm}.png", picture, caption))
    return blocks


def example_figure(folder: RunFolder, scores: Scores, dataset: Dataset, arm: str) -> bytes:
    """Draw the images with the largest differences in DSC either way, and a typical one."""
    from tubeskel import tubed_skeleton

    baseline = folder.config.baseline
    gain = 100 * (scores.per_image(arm, "dice") - scores.per_image(baseline, "dice"))
    order = np.argsort(gain, kind="stable")
    chosen = {"largest gain": order[-1], "largest loss": order[0], "typical": order[len(gain) // 2]}
    by_id = {sample.id: sample for sample in dataset.samples}
    rows: list[tuple[str, Sample, np.ndarray, dict[str, np.ndarray]]] = []
    for name, index in chosen.items():
        sample = by_id[scores.images[index]]
        predictions = {
            a: find_prediction(folder, scores, a, sample.id, len(dataset.classes))
            for a in (baseline, arm)
        }
        tube = tubed_skeleton(sample.label, radius=folder.config.arms[arm].radius)
        rows.append((f"{name}: {sample.id}, {gain[index]:+.1f}", sample, tube, predictions))
    return figures.overlays(rows)


def find_prediction(
    folder: RunFolder, scores: Scores, arm: str, image: str, num_classes: int
) -> np.ndarray:
    """Read the prediction of an image by the first seed that has one."""
    jobs: list[Job] = sorted((j for j in scores.jobs if j.arm == arm), key=lambda job: job.seed)
    paths = (prediction_path(folder.job_path(job), image) for job in jobs)
    return load_label(next(path for path in paths if path.is_file()), num_classes)
