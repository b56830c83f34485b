"""The tables of the report."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np

from experiments.config import ArmConfig, Config
from experiments.data.describe import Description
from experiments.losses import LOSSES, TOPOLOGY_TERMS
from experiments.report.document import Table
from experiments.report.findings import Contrast, Finding
from experiments.report.published import PublishedRow, read_published
from experiments.report.scores import (
    COLUMNS,
    REGIONS,
    Column,
    Scores,
    read_costs,
    read_rows,
)
from experiments.run_folder import RunFolder
from experiments.scoring import COUNTS, METRICS

Run = tuple[RunFolder, Scores]


def main_table(runs: Sequence[Run]) -> Table:
    """Return the scores of all arms and data sets as in Table 1 of the paper, beside others'."""
    known = {column.metric for _, scores in runs for column in scores.columns}
    published = read_published()[0]
    known = known.union(*(row.scores for row in published))
    columns = [column for column in COLUMNS if column.metric in known]
    others = [_published_cells(row, columns) for row in published]
    rows = []
    for folder, scores in runs:
        for region in scores.regions:
            for arm in folder.config.arms:
                cells = _spreads(scores, arm, columns, region)
                rows.append([folder.config.name, arm, "ours", REGIONS[region], *cells])
        rows += [row for row in others if row[0] == folder.config.data.name]
    shown = {row[0] for row in rows}
    rows += [row for row in others if row[0] not in shown]
    caption = (
        "Ours: mean ± standard deviation over the images (of each image's mean over the seeds); "
        "others: published means"
    )
    header = ["data", "method", "source", "region", *headings(columns)]
    rows = list(map(list, dict.fromkeys(map(tuple, rows))))
    if any(len(scores.regions) > 1 for _, scores in runs):
        return Table(caption, header, rows, (1, 2, 3))
    return Table(caption, _without_region(header), list(map(_without_region, rows)), (1, 2))


def _without_region(cells: list[str]) -> list[str]:
    return cells[:3] + cells[4:]


def arms_table(folders: Sequence[RunFolder]) -> Table:
    """Return the settings of all arms, those that most studies vary first."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for folder in folders:
        for cells in _arms(folder.config):
            rows.setdefault(cells, []).append(folder.config.name)
    caption = "Arms: what is not stated here is the same for all of them"
    header = ["arm", "loss", "alpha", "radius", "recall", "tube from", "deep supervision"]
    header += ["other settings", "compared with"]
    if any(len(names) < len(folders) for names in rows.values()):
        header.append("data")
        rows = {(*cells, ", ".join(names)): names for cells, names in rows.items()}
    return Table(caption, header, list(rows), (1, *range(4, len(header))))


def _arms(config: Config) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each arm; empty where a setting has no effect."""
    stated = {"loss", "alpha", "radius", "recall", "tube_from", "deep_supervision", "against"}
    for name, arm in config.arms.items():
        terms = LOSSES[arm.loss]
        recalls, weighted = "srl" in terms, any(term in TOPOLOGY_TERMS for term in terms)
        plain = ArmConfig(arm.loss)
        others = [
            f"{field.name} {getattr(arm, field.name)}"
            for field in fields(arm)
            if field.name not in stated and getattr(arm, field.name) != getattr(plain, field.name)
        ]
        against = [other for other in arm.against or (config.baseline,) if other != name]
        yield (
            name,
            " + ".join(f"alpha {term}" if term in TOPOLOGY_TERMS else term for term in terms),
            f"{arm.alpha:g}" if weighted else "",
            str(arm.radius) if recalls and arm.tube_from == "skeleton" else "",
            arm.recall if recalls else "",
            arm.tube_from if recalls else "",
            "yes" if arm.deep_supervision and config.network.heads != 0 else "no",
            ", ".join(others),
            ", ".join(against),
        )


def headings(columns: Sequence[Column]) -> list[str]:
    """Return the headings of the columns."""
    return [column.heading for column in columns]


def _spreads(scores: Scores, arm: str, columns: Sequence[Column], region: str) -> list[str]:
    cells = []
    for column in columns:
        values = scores.per_image(arm, column.metric, region) * column.factor
        values = values[~np.isnan(values)]
        cells.append(spread(values))
    return cells


def _published_cells(row: PublishedRow, columns: Sequence[Column]) -> list[str]:
    scores = [row.scores.get(column.metric) for column in columns]
    cells = ["" if score is None else f"{score:.2f}" for score in scores]
    return [row.data, row.method, row.source, "not stated", *cells]


def spread(values: np.ndarray) -> str:
    """Return "mean ± standard deviation" of a sample, the mean alone for one value."""
    if not len(values):
        return ""
    mean = f"{values.mean():.2f}"
    return mean if len(values) == 1 else f"{mean} ± {values.std(ddof=1):.2f}"


def aggregation_table(scores: Scores) -> Table | None:
    """Return the scores per image and pooled, of each region; None if there is one way only."""
    rows, columns = [], scores.columns
    for region in scores.regions:
        for arm in scores.values:
            means = [scores.per_seed(arm, c.metric, region) * c.factor for c in columns]
            rows.append([arm, REGIONS[region], "per image", *map(spread, means)])
            pooled = scores.pooled(arm, region)
            if pooled:
                sums = [pooled.get(c.metric, np.empty(0)) * c.factor for c in columns]
                rows.append([arm, REGIONS[region], "pooled", *map(spread, sums)])
    if len(rows) == len(scores.values):
        return None
    caption = (
        "Means over the images, and scores of counts summed over the images (pooled); ± standard "
        "deviation between the seeds"
    )
    return Table(caption, ["loss", "region", "aggregation", *headings(columns)], rows, (1, 2))


def empty_table(scores: Scores) -> Table:
    """Return how many masks are empty for each arm and region."""
    rows = []
    for region in scores.regions:
        for arm in scores.values:
            found = scores.empty(arm, region)
            numbers = (found.masks, found.both, found.truth, found.prediction)
            rows.append([arm, REGIONS[region], *map(str, numbers)])
    header = ["loss", "region", "masks", "both", "ground truth alone", "prediction alone"]
    caption = "Empty masks: of each image, class and seed those without a pixel"
    return Table(caption, header, rows, (1,))


def seed_table(scores: Scores) -> Table:
    """Return the mean over the images for each seed."""
    columns = scores.columns
    rows = [
        [arm, str(seed), *(f"{scores.per_seed(arm, c.metric)[i] * c.factor:.2f}" for c in columns)]
        for arm in scores.values
        for i, seed in enumerate(scores.seeds)
    ]
    return Table(f"Means of each seed{scores.where()}", ["loss", "seed", *headings(columns)], rows)


def class_table(scores: Scores) -> Table:
    """Return the mean over images and seeds for each class."""
    columns = scores.columns
    rows = [
        [
            arm,
            name,
            *(
                f"{np.nanmean(scores.table(arm, c.metric, of_class=name)) * c.factor:.2f}"
                for c in columns
            ),
        ]
        for arm in scores.values
        for name in scores.classes
    ]
    return Table(
        f"Means of each class{scores.where()}", ["loss", "class", *headings(columns)], rows, (1,)
    )


def facts_table(facts: Description) -> Table:
    """Return what a data set is made of, a row for each class."""
    rows = [
        [
            one.name,
            str(one.images),
            f"{100 * one.foreground:.2f}",
            f"{one.tube_to_mask:.2f}",
            f"{100 * one.thinner_than_tube:.0f}",
            f"{one.width_p10:.0f}, {one.width_median:.0f}, {one.width_p90:.0f}",
        ]
        for one in facts.classes
    ]
    caption = (
        f"{facts.images} images in {facts.groups} groups; tube of radius {facts.radius}; widths in "
        "pixels along the skeleton: 10th percentile, median, 90th percentile"
    )
    header = ["class", "images", "pixels %", "tube / mask", "thinner than the tube %", "width"]
    return Table(caption, header, rows)


def cost_table(folder: RunFolder, scores: Scores) -> Table:
    """Return what the steps of a training of each arm took."""

    def shown(value: float, digits: int) -> str:
        return "" if np.isnan(value) else f"{value:.{digits}f}"

    rows = []
    for arm in folder.config.arms:
        cost = read_costs(folder, scores, arm)
        step = shown(cost["median_step_seconds"] * 1000, 1)
        if not step:  # made before steps were measured by themselves
            mean = cost["training_seconds"] / folder.config.train.iterations
            step = f"{shown(mean * 1000, 1)} (mean, with monitoring)"
        rows.append(
            [
                arm,
                f"{cost['training_seconds'] / 60:.1f}",
                step,
                shown(cost["peak_memory_bytes"] / 2**20, 0),
                shown(cost["parameters"] / 1e6, 2),
            ]
        )
    header = ["loss", "min a training", "ms a step (median)", "peak memory MiB", "weights 10⁶"]
    caption = (
        "Cost of the steps, mean over the trainings: without the monitoring of terms and "
        "gradients, without checkpoints and scoring"
    )
    return Table(caption, header, rows)


def difference_table(contrast: Contrast, findings: Sequence[Finding], where: str) -> Table:
    """Return the differences of one arm from another, with what they say; `where` ends its name."""
    rows = []
    for finding in findings:
        c = finding.comparison
        wide = "" if np.isnan(c.wide_low) else f"{c.wide_low:+.2f} to {c.wide_high:+.2f}"
        rows.append(
            [
                finding.column.heading,
                f"{c.mean:+.2f}",
                f"{c.low:+.2f} to {c.high:+.2f}",
                wide,
                probability(finding.p_value),
                probability(finding.wide_p),
                f"{c.effect_size:+.2f}",
                "" if np.isnan(c.detectable) else f"{c.detectable:.2f}",
                f"{c.agreeing}/{c.seeds}",
                finding.reading,
            ]
        )
    header = ["metric", "difference", "95 % images", "95 % images, seeds", "p images"]
    header += ["p images, seeds", "effect size", "detectable", "seeds agree", "reading"]
    return Table(f"{contrast.arm} minus {contrast.against}{where}", header, rows, (9,))


def probability(p: float) -> str:
    """Return a p-value to three digits, nothing for NaN."""
    if np.isnan(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def differences_csv(found: Sequence[tuple[str, str, str, str, Finding]]) -> str:
    """Return all comparisons as CSV; each has data set, arm, baseline, region and finding."""
    names = ["mean", "low", "high", "p_value", "wide_low", "wide_high", "wide_p"]
    names += ["effect_size", "detectable", "seeds", "agreeing", "units"]
    header = ["data_set", "arm", "baseline", "region", "metric", "factor", *names]
    rows = [
        [
            *keys,
            finding.column.metric,
            f"{finding.column.factor:g}",
            *(getattr(finding.comparison, name) for name in names),
            finding.p_value,
            finding.wide_p,
        ]
        for *keys, finding in found
    ]
    return _csv([[*header, "p_value_holm", "wide_p_holm"], *rows])


def scores_csv(runs: Sequence[Run]) -> str:
    """Return the rows of all score files as CSV."""
    found = [
        (folder.config.name, job, row)
        for folder, scores in runs
        for job in scores.jobs
        for row in read_rows(folder, job)
    ]
    known = {name for _, _, row in found for name in row}
    columns = ("image", "class", "region", *(m for m in METRICS if m in known), *COUNTS)
    rows = [
        [name, job.arm, job.fold, job.seed, *(row.get(column, "") for column in columns)]
        for name, job, row in found
    ]
    return _csv([["data_set", "arm", "fold", "seed", *columns], *rows])


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
