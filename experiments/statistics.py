"""Paired statistics over images: how far two arms differ, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 9999
CONFIDENCE = 0.95
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """A mean paired difference.

    Attributes
    ----------
    mean : float
    low, high : float
        Bootstrap 95 % confidence interval of the mean (BCa).
    p_value : float
        Two-sided paired permutation test (sign flips).
    """

    mean: float
    low: float
    high: float
    p_value: float

    @property
    def detected(self) -> bool:
        """Whether the test finds a difference at the 5 % level."""
        return self.p_value < SIGNIFICANCE

    @property
    def bound(self) -> float:
        """The largest difference, either way, that the interval allows."""
        return max(abs(self.low), abs(self.high))


def compare(differences: np.ndarray, seed: int = 0) -> Comparison:
    """Describe paired differences, one for each image.

    Parameters
    ----------
    differences : numpy.ndarray
        (N,) finite, N >= 2; several seeds are averaged for each image before, since repeated
        trainings do not make an image an independent observation twice.
    seed : int, optional
        Seed of the resampling.

    Raises
    ------
    ValueError
        If there are fewer than two differences, or one is not finite.
    """
    differences = np.asarray(differences, dtype=float)
    if differences.ndim != 1 or len(differences) < 2 or not np.isfinite(differences).all():
        raise ValueError("differences must be at least two finite numbers")
    mean = float(differences.mean())
    test = stats.permutation_test(
        (differences,),
        _mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    if np.ptp(differences) == 0:  # nothing to resample: BCa would divide by zero
        return Comparison(mean, mean, mean, float(test.pvalue))
    interval = stats.bootstrap(
        (differences,),
        _mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Comparison(mean, float(interval.low), float(interval.high), float(test.pvalue))


def _mean(sample: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.mean(sample, axis=axis)
