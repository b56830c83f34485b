"""The report of one or more runs: one HTML page, and the same as Markdown with figure files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.errors import RunError
from experiments.files import write_bytes, write_text
from experiments.report.document import Figure, Paragraph, to_html, to_markdown
from experiments.report.scores import complete_jobs
from experiments.report.sections import run_section
from experiments.run_folder import RunFolder

__all__ = ["write_report"]


def write_report(folders: Sequence[RunFolder], out: Path, name: str = "") -> Path:
    """Write ``report.html``, ``report.md`` and its figures to the folder `out`.

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
    names = [folder.config.name for folder in folders]
    blocks = [
        block
        for number, folder in enumerate(folders)
        for block in run_section(folder, prefix=f"{number}_" if len(folders) > 1 else "")
    ]
    if waiting:
        unfinished = ", ".join(folder.config.name for folder in waiting)
        text = f"Nothing to compare yet, so left out: {unfinished}."
        blocks.insert(0, Paragraph(text))
    title = "Do topology losses help? " + (name or ", ".join(dict.fromkeys(names)))
    out.mkdir(parents=True, exist_ok=True)
    for block in blocks:
        if isinstance(block, Figure):
            write_bytes(out / block.name, block.png)
    write_text(out / "report.md", to_markdown(title, blocks))
    write_text(out / "report.html", to_html(title, blocks))
    return out / "report.html"
