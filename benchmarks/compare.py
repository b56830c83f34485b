"""What got slower since an earlier run, beyond noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.report import Report
from benchmarks.timing import Time

TOLERANCE = 1.1  # medians of one program differ by this much from run to run


@dataclass(frozen=True)
class Change:
    """Our time on one case, then and now; ``slower`` and ``faster`` mean beyond noise."""

    operation: str
    case: str
    old: Time
    new: Time

    @property
    def ratio(self) -> float:
        """New median over old: above 1 is slower."""
        return self.new.median / self.old.median

    @property
    def slower(self) -> bool:
        """Whether the medians are far apart and the quartiles do not overlap."""
        return self.ratio > TOLERANCE and self.new.low > self.old.high

    @property
    def faster(self) -> bool:
        """Whether it is the other way round."""
        return 1 / self.ratio > TOLERANCE and self.new.high < self.old.low


def changes(old: Report, new: Report) -> list[Change]:
    """Return what happened to every case that both runs hold.

    Parameters
    ----------
    old, new : Report
        Of the same machine and number of threads.

    Returns
    -------
    list of Change
        In the order of the new run.

    Raises
    ------
    ValueError
        Runs of different machines or threads, or without a common case.
    """
    old.check_comparable(new)
    if old.quick != new.quick:
        raise ValueError("one of the two runs is a quick one")
    before = {(row.operation, row.case): row for row in old.rows}
    found = []
    for row in new.rows:
        then = before.get((row.operation, row.case))
        if then is not None and (then.shape, then.images) == (row.shape, row.images):
            found.append(Change(row.operation, row.case, then.ours, row.ours))
    if not found:
        raise ValueError("the two runs have no case in common")
    return found


def drift(old: Report, new: Report) -> float:
    """Return how much slower the machine itself became: the median ratio of the copies."""
    before = {(row.operation, row.case): row.copy.median for row in old.rows}
    pairs = [(row.copy.median, before.get((row.operation, row.case))) for row in new.rows]
    return float(np.median([now / then for now, then in pairs if then is not None]))
