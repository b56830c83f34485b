"""Numbers that others have published, from ``published.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table; `scores` has the metrics that were published."""

    source: str
    data: str
    method: str
    scores: dict[str, float]


def read_published() -> tuple[list[PublishedRow], dict[str, str]]:
    """Return all rows, and the citation of each source."""
    path = Path(__file__).with_name("published.yaml")
    tables = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = [
        PublishedRow(table["source"], row.pop("data"), row.pop("method"), row)
        for table in tables
        for row in table["rows"]
    ]
    return rows, {table["source"]: table["citation"] for table in tables}
