"""What the paired comparisons of a run say, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.report.scores import COLUMNS, WHOLE, Column, Scores
from experiments.statistics import SIGNIFICANCE, Comparison, compare, holm


@dataclass(frozen=True)
class Finding:
    """One metric of an arm against the baseline, in the units of the tables.

    Attributes
    ----------
    column : Column
    comparison : Comparison
    p_value, wide_p : float
        Of the test over images, and of that over images and seeds, corrected for the number of
        metrics (Holm).
    """

    column: Column
    comparison: Comparison
    p_value: float
    wide_p: float

    @property
    def detected(self) -> bool:
        """Whether these trainings differ on images like these."""
        return self.p_value < SIGNIFICANCE

    @property
    def repeats(self) -> bool:
        """Whether other trainings would differ as well; never so from one seed."""
        return self.detected and self.wide_p < SIGNIFICANCE

    @property
    def size(self) -> str:
        """Return the difference with direction and unit, such as "lower by 1.20"."""
        direction = "higher" if self.comparison.mean > 0 else "lower"
        return f"{direction} by {amount(self.column, abs(self.comparison.mean))}"

    @property
    def worth(self) -> str:
        """Return "better" or "worse"."""
        return "better" if (self.comparison.mean > 0) == self.column.more_is_better else "worse"

    @property
    def reading(self) -> str:
        """Say in words what the comparison shows, and no more than it shows."""
        if not self.detected:
            return (
                f"no difference larger than {amount(self.column, self.comparison.bound)} detected"
            )
        if self.repeats:
            return f"{self.size}: {self.worth}"
        if self.comparison.seeds == 1:
            return f"{self.size}: {self.worth}, in this training; with one seed not more is known"
        return f"{self.size}: {self.worth}, in these trainings; within what seeds vary by"


def amount(column: Column, value: float) -> str:
    """Return a value with its unit."""
    return f"{value:.2f}" + (f" {column.unit}" if column.unit else "")


def find(scores: Scores, arm: str, baseline: str, region: str = WHOLE) -> list[Finding]:
    """Compare an arm with the baseline by every metric that both have for two images."""
    found = []
    for column in COLUMNS:
        tables = [scores.table(name, column.metric, region) for name in (arm, baseline)]
        differences = (tables[0] - tables[1]) * column.factor
        if np.count_nonzero(~np.isnan(differences).all(axis=0)) > 1:
            found.append((column, compare(differences)))
    p_values = holm([comparison.p_value for _, comparison in found])
    wide = holm([comparison.wide_p for _, comparison in found])
    return [Finding(*pair, *p) for pair, *p in zip(found, p_values, wide, strict=True)]


def verdict(arm: str, baseline: str, findings: Sequence[Finding]) -> str:
    """Sum up an arm in a sentence or two."""
    sentences = []
    repeated = [f for f in findings if f.repeats]
    if repeated:
        sentences.append(", ".join(f"{f.column.label} {f.size} ({f.worth})" for f in repeated))
    unsure = [f for f in findings if f.detected and not f.repeats]
    if unsure:
        shown = [f"{f.column.label} {f.size} ({f.worth})" for f in unsure]
        sentences.append(f"in these trainings only, {', '.join(shown)}")
    undetected = [f for f in findings if not f.detected]
    if undetected:
        shown = [f"{amount(f.column, f.comparison.bound)} in {f.column.label}" for f in undetected]
        sentences.append(f"no difference larger than {', '.join(shown)} detected")
    return f"{arm} against {baseline}: {'; '.join(sentences)}."
