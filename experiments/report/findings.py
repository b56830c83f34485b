"""What the paired comparisons of a run say, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.config import ArmConfig
from experiments.losses import LOSSES
from experiments.report.scores import Column, Scores
from experiments.statistics import SIGNIFICANCE, Comparison, compare, holm, smallest_p


@dataclass(frozen=True)
class Finding:
    """One metric of an arm against another, in the units of the tables.

    Attributes
    ----------
    column : Column
    comparison : Comparison
    p_value, wide_p : float
        Of the test over images, and of that over images and seeds, corrected for the number of
        metrics (Holm).
    possible : bool
        Whether the test over so few images could find any difference, however large.
    tested : bool
        Whether it was tested: not so beside the primary region.
    """

    column: Column
    comparison: Comparison
    p_value: float
    wide_p: float
    possible: bool = True
    tested: bool = True

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
        if not self.tested:
            return "not tested"
        if not self.possible:
            return "too few images for any finding"
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


@dataclass(frozen=True)
class Contrast:
    """What is compared: the scores of the arms in `plus` less those of the arms in `minus`."""

    arm: str
    against: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]


def contrasts(arms: dict[str, ArmConfig]) -> list[Contrast]:
    """Return each arm against those it names, by default the first, and the interaction."""
    first = next(iter(arms))
    pairs = [
        Contrast(name, other, (name,), (other,))
        for name, arm in arms.items()
        for other in arm.against or (first,)
        if other != name
    ]
    return pairs + interaction(arms)


def interaction(arms: dict[str, ArmConfig]) -> list[Contrast]:
    """Return what Skeleton Recall does without deep supervision less what it does with it.

    It needs four arms: an arm with the recall, the same without heads, and both without recall.
    """
    names = {replace(arm, against=()): name for name, arm in reversed(arms.items())}
    for arm, with_heads in reversed(names.items()):
        plain = "_".join(term for term in LOSSES[arm.loss] if term != "srl")
        if "srl" not in LOSSES[arm.loss] or not arm.deep_supervision:
            continue
        others = (
            replace(arm, deep_supervision=False),
            ArmConfig(plain),
            ArmConfig(plain, deep_supervision=False),
        )
        if all(other in names for other in others):
            without, dice_ce, dice_ce_without = (names[other] for other in others)
            return [
                Contrast(
                    f"({without} - {dice_ce_without})",
                    f"({with_heads} - {dice_ce})",
                    (without, dice_ce),
                    (dice_ce_without, with_heads),
                )
            ]
    return []


def find(scores: Scores, contrast: Contrast, region: str = "") -> list[Finding]:
    """Compare arms by every metric that all have for two units.

    Units are the groups of images where the data set has them, each averaged, otherwise the images.
    Only the primary region, which is the default, is tested, so that the metrics stay the whole
    family of tests; another one is described.
    """
    tested = region in ("", scores.primary)
    found = []
    for column in scores.columns:
        plus, minus = (
            np.sum([scores.table(name, column.metric, region) for name in names], axis=0)
            for names in (contrast.plus, contrast.minus)
        )
        differences = scores.by_unit(plus - minus) * column.factor
        if np.count_nonzero(~np.isnan(differences).all(axis=0)) > 1:
            found.append((column, compare(differences)))
    if not tested:
        found = [
            (column, replace(c, p_value=np.nan, wide_p=np.nan, detectable=np.nan))
            for column, c in found
        ]
    most = max((comparison.units for _, comparison in found), default=0)
    possible = smallest_p(most, len(found)) <= SIGNIFICANCE
    if not possible:
        found = [(column, replace(c, detectable=np.nan)) for column, c in found]
    p_values = holm([comparison.p_value for _, comparison in found])
    wide = holm([comparison.wide_p for _, comparison in found])
    return [
        Finding(column, comparison, p, wide_p, possible, tested)
        for (column, comparison), p, wide_p in zip(found, p_values, wide, strict=True)
    ]


def verdict(contrast: Contrast, findings: Sequence[Finding]) -> str:
    """Sum up a comparison in a sentence or two."""
    compared = f"{contrast.arm} against {contrast.against}"
    if not any(finding.possible for finding in findings):
        return f"{compared}: too few images for any finding."
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
    return f"{compared}: {'; '.join(sentences)}."
