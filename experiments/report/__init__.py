"""The report of one or more runs: one HTML page, the same as Markdown, its tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.data import Dataset
from experiments.errors import RunError
from experiments.files import write_bytes, write_text
from experiments.report import figures, tables
from experiments.report.document import (
    Block,
    Figure,
    Heading,
    Paragraph,
    to_html,
    to_markdown,
)
from experiments.report.findings import Contrast
from experiments.report.published import read_published
from experiments.report.scores import complete_jobs, read_scores
from experiments.report.sections import find_all, how_compared, load_data, run_section, verdicts
from experiments.run_folder import RunFolder

__all__ = ["write_report"]


def write_report(folders: Sequence[RunFolder], out: Path, name: str = "") -> Path:
    """Write a page over all runs to the folder `out`.

    ``report.html`` and ``report.md`` with its figures; ``table1.csv`` and ``table1.tex``, the main
    table; ``differences.csv``, all comparisons; ``scores.csv``, the scores of every image.

    Returns
    -------
    Path
        Of the HTML page.

    Raises
    ------
    RunError
        If no run has anything to report yet.
    """
    waiting = [folder for folder in folders if not complete_jobs(folder)]
    folders = [folder for folder in folders if folder not in waiting]
    if not folders:
        raise RunError(f"{waiting[0].path}: no fold and seed is done for every arm yet")
    runs, found, sections = [], [], []
    for number, folder in enumerate(folders):  # so that one data set at a time is in memory
        dataset = load_data(folder)
        scores = read_scores(folder, dataset if isinstance(dataset, Dataset) else None)
        findings = find_all(folder, scores)
        prefix = f"{number}_" if len(folders) > 1 else ""
        runs.append((folder, scores))
        found.append((folder, scores, findings))
        sections += run_section(folder, scores, findings, dataset, prefix)
    table = tables.main_table(runs)
    blocks: list[Block] = []
    if waiting:
        unfinished = ", ".join(folder.config.name for folder in waiting)
        blocks.append(Paragraph(f"Nothing to compare yet, so left out: {unfinished}."))
    for folder, _, findings in found:
        blocks += verdicts(folder, scores, findings)
    blocks += [table, *(Paragraph(f"{key}: {text}") for key, text in read_published()[1].items())]
    blocks.append(tables.arms_table(folders))
    lines = [
        (folder.config.name, row_name(folder, contrast), scores.where(region), of_contrast)
        for folder, scores, findings in found
        for (contrast, region), of_contrast in findings.items()
    ]
    if lines:
        baselines = ", ".join(dict.fromkeys(folder.config.baseline for folder in folders))
        caption = (
            f"Paired differences, from {baselines} where no other arm is named: mean, 95 % "
            "interval over images (thick) and over images and seeds (thin). Filled: found by both "
            "tests, corrected for the metrics."
        )
        if any(len(scores.regions) > 1 for _, scores in runs):
            caption += " Pale: beside the primary region, not tested."
        blocks += [
            Heading("Differences"),
            Figure("forest.png", figures.forest(lines), caption),
            Paragraph(how_compared(found)),
        ]
    blocks += sections

    title = "Do topology losses help? "
    title += name or ", ".join(dict.fromkeys(folder.config.name for folder in folders))
    comparisons = [
        (folder.config.name, contrast.arm, contrast.against, region, finding)
        for folder, _, findings in found
        for (contrast, region), of_contrast in findings.items()
        for finding in of_contrast
    ]
    out.mkdir(parents=True, exist_ok=True)
    for block in blocks:
        if isinstance(block, Figure):
            write_bytes(out / block.name, block.png)
    write_text(out / "table1.csv", table.csv())
    write_text(out / "table1.tex", table.latex())
    write_text(out / "differences.csv", tables.differences_csv(comparisons))
    write_text(out / "scores.csv", tables.scores_csv(runs))
    write_text(out / "report.md", to_markdown(title, blocks))
    write_text(out / "report.html", to_html(title, blocks))
    return out / "report.html"


def row_name(folder: RunFolder, contrast: Contrast) -> str:
    """Return the arm, and against which it is if not against the baseline."""
    if contrast.against == folder.config.baseline:
        return contrast.arm
    return f"{contrast.arm} - {contrast.against}"
