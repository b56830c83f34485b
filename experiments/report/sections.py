"""What the report says of one run."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from experiments.config import to_yaml
from experiments.data import Dataset, Sample
from experiments.data.describe import describe
from experiments.errors import DataError
from experiments.losses import LOSSES, ArmLoss
from experiments.report import figures, tables
from experiments.report.document import Block, Figure, Heading, Listing, Paragraph
from experiments.report.findings import Contrast, Finding, contrasts, find, verdict
from experiments.report.scores import REGIONS, Scores, read_curves, read_lines
from experiments.run_folder import Job, RunFolder
from experiments.scoring import load_label
from experiments.statistics import POWER, SIGNIFICANCE, smallest_p

Findings = dict[tuple[Contrast, str], list[Finding]]
"""(what is compared, region) -> findings; empty where there is nothing to compare."""


def find_all(folder: RunFolder, scores: Scores) -> Findings:
    """Compare every arm with those it is to be compared with, in every region."""
    found = {
        (contrast, region): find(scores, contrast, region)
        for region in scores.regions
        for contrast in contrasts(folder.config.arms)
    }
    return {key: findings for key, findings in found.items() if findings}


def verdicts(folder: RunFolder, scores: Scores, findings: Findings) -> list[Block]:
    """Return a sentence for each comparison, in the primary region."""
    return [
        Paragraph(f"{folder.config.name}{scores.where()}: {verdict(contrast, found)}")
        for (contrast, region), found in findings.items()
        if region == scores.primary
    ]


def load_data(folder: RunFolder) -> Dataset | DataError:
    """Load the data set of a run, or return why it cannot be read."""
    try:
        return folder.config.data.load()
    except DataError as error:
        return error


def run_section(
    folder: RunFolder,
    scores: Scores,
    findings: Findings,
    dataset: Dataset | DataError,
    prefix: str,
) -> list[Block]:
    """Return the blocks that report one run; `prefix` tells the runs' figure files apart."""
    config = folder.config
    blocks: list[Block] = [Heading(f"{config.name}: {config.data.name}")]
    blocks += [Paragraph(text) for text in what_was_run(folder, scores)]
    aggregations = tables.aggregation_table(scores)
    blocks += [aggregations] if aggregations else []
    blocks += empty_section(scores)
    blocks += [tables.seed_table(scores)] if len(scores.seeds) > 1 else []
    blocks += [tables.class_table(scores)] if len(scores.classes) > 1 else []
    if findings:
        blocks.append(Heading("Paired differences", 3))
        for (contrast, region), found in findings.items():
            blocks.append(tables.difference_table(contrast, found, scores.where(region)))
    blocks += training_figures(folder, scores, prefix)
    blocks.append(tables.cost_table(folder, scores))
    blocks += data_section(folder, scores, dataset, prefix)
    environment = json.dumps(folder.environments(), indent=2)
    return [*blocks, Listing("Config", to_yaml(config)), Listing("Environment", environment)]


def what_was_run(folder: RunFolder, scores: Scores) -> list[str]:
    """Say what was trained and scored, and what is missing."""
    config = folder.config
    division = f"{config.data.folds} folds" if config.data.folds else "the data set's own split"
    texts = [
        f"{len(scores.jobs)} trainings of {config.train.iterations} iterations: "
        f"{division}, {counted(len(scores.seeds), 'seed')}, {counted(len(config.arms), 'arm')}. "
        "Initial weights and batches are the same for all arms. "
        f"{len(scores.images)} images were scored, each by networks that were not trained on it."
    ]
    texts.append(what_is_compared(scores))
    if scores.missing:
        texts.append(
            f"Not complete: {scores.missing} of {scores.missing + len(scores.jobs)} trainings are "
            "left out, because they or their partners in the other arms are not done."
        )
    return texts


def empty_section(scores: Scores) -> list[Block]:
    """Return how many masks are empty, and how these are scored."""
    found = [scores.empty(arm, region) for region in scores.regions for arm in scores.values]
    if not all(one.masks for one in found):
        return []  # score files without counts of pixels
    if not any(one.both + one.truth + one.prediction for one in found):
        return [Paragraph("No mask is empty, neither in the ground truth nor in a prediction.")]
    text = (
        "An image whose mask is empty counts in the means like any other. Both masks empty: DSC, "
        "clDice and JSI 100 %, FNR, FPR and the Betti errors 0. Ground truth alone empty: DSC, "
        "clDice and JSI 0, FNR 0 since nothing can be missed, FPR and the Betti errors as they "
        "are. Prediction alone empty: DSC, clDice and JSI 0, FNR 100 %, FPR 0, the Betti errors "
        "those of the ground truth. Pooled scores add up the pixels and need no such rule."
    )
    return [tables.empty_table(scores), Paragraph(text)]


def what_is_compared(scores: Scores) -> str:
    """Say what the units of the statistics are, and what so few of them cannot show."""
    units = len(set(scores.units))
    if units == len(scores.images):
        text = f"Units of the statistics: the {counted(units, 'image')}."
    else:
        text = (
            f"Units of the statistics: the {counted(units, 'group')} of images (such as patients); "
            "the differences of a group's images are averaged first, since they are not "
            "independent."
        )
    tests = len(scores.columns)
    smallest = smallest_p(units, tests)
    if len(scores.regions) > 1:
        beside = ", ".join(REGIONS[region] for region in scores.regions[1:])
        text += (
            f" The {REGIONS[scores.primary]} is the primary region: only there differences are "
            f"tested and put into words. The {beside} is shown beside it, with intervals and "
            "effect sizes but without tests, so that the tests of a comparison stay those of the "
            "metrics."
        )
    if smallest > SIGNIFICANCE:
        text += (
            f" With {units} of them the smallest p-value that the test over images can give is "
            f"{smallest_p(units, 1):.2g}, {smallest:.2g} after correction for {tests} metrics: "
            "no difference, however large, can be found."
        )
    return text


def counted(number: int, noun: str) -> str:
    """Return "1 seed", "2 seeds"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def how_compared(runs: Sequence[tuple[RunFolder, Scores, Findings]]) -> str:
    """Explain the statistics and their limits."""
    families = sum(
        region == scores.primary for _, scores, findings in runs for _, region in findings
    )
    return (
        "Differences are paired: the same image, the same fold, the same seed. Over images: each "
        "image's difference is averaged over the seeds, and over the images of a group where the "
        "data set has groups (either is called an image); intervals are BCa bootstraps of the "
        "mean, p is of a two-sided permutation test (sign flips). This says how far these "
        "trainings differ. Over images and seeds: images and seeds are crossed random "
        "effects; Student's interval and test with the variance of both, Satterthwaite's degrees "
        "of freedom. This says what other seeds would give; a difference counts as detected "
        "beyond these trainings only if both tests find it. With two seeds the second "
        "interval is right in about 90 % of cases, not 95 %. In a cross-validation the images of "
        "a fold share their network, which neither accounts for. "
        "All p-values are corrected for the number of metrics (Holm), not "
        f"for the {families} of arm and data set: by chance one in {1 / SIGNIFICANCE:.0f} "
        "of these has a finding. Effect size: mean over standard deviation of the images' "
        "differences. "
        f"Detectable: the true difference that such an experiment finds in {100 * POWER:.0f} % of "
        "cases, before correction."
    )


def training_figures(folder: RunFolder, scores: Scores, prefix: str) -> list[Block]:
    """Return the curves of the loss terms and, where they were analysed, their gradients."""
    arms = folder.config.arms
    curves = {arm: read_curves(folder, scores, arm) for arm in arms}
    caption = (
        "Terms of the loss on the training batches, averaged over the deep supervision heads: "
        "running mean, averaged over the trainings (band: their standard deviation). A term that "
        "an arm does not train on is shown too."
    )
    blocks: list[Block] = [
        Heading("Training", 3),
        Figure(f"{prefix}curves.png", figures.loss_curves(curves), caption),
    ]
    analysed = {
        arm: read_lines(folder, [job for job in scores.jobs if job.arm == arm], "gradients.jsonl")
        for arm in arms
    }
    analysed = {arm: lines for arm, lines in analysed.items() if any(lines)}
    if analysed:
        caption = (
            "Gradients during the training, median over the trainings: norms on and off the tube, "
            "their angle, the share of tube pixels that are missed, and the share of those where "
            "the gradient of Skeleton Recall with respect to the logits vanishes."
        )
        blocks.append(Figure(f"{prefix}gradients.png", figures.gradients(analysed), caption))
    return blocks


def data_section(
    folder: RunFolder, scores: Scores, dataset: Dataset | DataError, prefix: str
) -> list[Block]:
    """Return what the data set is made of, and examples from it."""
    if isinstance(dataset, DataError):
        text = (
            "No facts, no pictures and no groups of images, since the data set cannot be read: "
            f"{dataset}"
        )
        return [Heading("Data set", 3), Paragraph(text)]
    return facts_of(folder, dataset) + examples(folder, scores, dataset, prefix)


def facts_of(folder: RunFolder, dataset: Dataset) -> list[Block]:
    """Return what the data set is made of, for the radius of each arm that recalls tubes."""
    arms = folder.config.arms.values()
    recall = [a for a in arms if "srl" in LOSSES[a.loss] and a.tube_from == "skeleton"] or arms
    radii = dict.fromkeys(arm.radius for arm in recall)
    facts = [describe(dataset, radius) for radius in radii]
    share = sum(one.foreground for one in facts[0].classes)
    text = (
        "Where a structure is thinner than the tube, the tube is the structure and Skeleton Recall "
        f"is plain recall. Foreground is {100 * share:.1f} % of the pixels; a prediction of "
        "foreground everywhere would reach a DSC of about "
        f"{200 * share / (1 + share):.0f} %."
    )
    return [Heading("Data set", 3), *map(tables.facts_table, facts), Paragraph(text)]


def examples(folder: RunFolder, scores: Scores, dataset: Dataset, prefix: str) -> list[Block]:
    """Return overlays of the images on which an arm and the baseline differ most."""
    others = [arm for arm in folder.config.arms if arm != folder.config.baseline]
    blocks: list[Block] = [Heading("Examples", 3)] if others else []
    for arm in others:
        picture = example_figure(folder, scores, dataset, arm)
        caption = (
            f"{arm} against {folder.config.baseline}: the images with the largest gain and the "
            f"largest loss in DSC{scores.where()}, and a typical one (median). Predictions of "
            f"seed {scores.seeds[0]}; the differences are means over the seeds."
        )
        blocks.append(Figure(f"{prefix}examples_{arm}.png", picture, caption))
    return blocks


def example_figure(folder: RunFolder, scores: Scores, dataset: Dataset, arm: str) -> bytes:
    """Draw the images with the largest differences in DSC either way, and a typical one."""
    import torch

    baseline = folder.config.baseline
    gain = 100 * (scores.per_image(arm, "dice") - scores.per_image(baseline, "dice"))
    order = np.argsort(gain, kind="stable")[: np.count_nonzero(~np.isnan(gain))]
    chosen = {
        "largest gain": order[-1],
        "largest loss": order[0],
        "typical": order[len(order) // 2],
    }
    by_id = {sample.id: sample for sample in dataset.samples}
    rows: list[tuple[str, Sample, np.ndarray, dict[str, np.ndarray]]] = []
    for name, index in chosen.items():
        sample = by_id[scores.images[index]]
        predictions = {
            a: find_prediction(folder, scores, a, sample.id, len(dataset.classes))
            for a in (baseline, arm)
        }
        tube = (
            ArmLoss(folder.config.arms[arm]).tube(torch.from_numpy(sample.label)[None])[0].numpy()
        )
        rows.append((f"{name}: {sample.id}, {gain[index]:+.1f}", sample, tube, predictions))
    return figures.overlays(rows)


def find_prediction(
    folder: RunFolder, scores: Scores, arm: str, image: str, num_classes: int
) -> np.ndarray:
    """Read the prediction of an image by the first seed that has one."""
    jobs: list[Job] = sorted((j for j in scores.jobs if j.arm == arm), key=lambda job: job.seed)
    names = (f"{image}.png", f"{image}.nii.gz")
    paths = (folder.job_path(job) / "predictions" / name for job in jobs for name in names)
    return load_label(next(path for path in paths if path.is_file()), num_classes)
