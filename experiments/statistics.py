"""Paired statistics: how far two arms differ, and how sure that is.

Two questions are kept apart. *Do these trainings differ on images like these?* is answered over the
images: a permutation test and a bootstrap interval of each image's difference, averaged over the
seeds. *Would other trainings differ as well?* needs the seeds as a level of its own: images and
seeds are crossed (each seed scores each image), so the difference of seed s on image i is taken as
mean + seed effect + image effect + rest, and the interval is Student's with the variance of both
effects. A bootstrap over seeds is not used for it: of two seeds it takes the same one twice half of
the time, and its 95 % interval is then right in half of the cases only.

An image stands here for an independent unit: images of one patient are averaged before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 9999
CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
POWER = 0.8


@dataclass(frozen=True)
class Comparison:
    """A mean paired difference.

    Attributes
    ----------
    mean : float
    low, high : float
        Bootstrap 95 % confidence interval of the mean over images (BCa).
    p_value : float
        Two-sided paired permutation test over images (sign flips).
    wide_low, wide_high, wide_p : float
        Interval and test over images and seeds; NaN for one seed.
    effect_size : float
        Mean over standard deviation of the images' differences; 0 if all are 0, inf if all agree.
    detectable : float
        Smallest true mean found in 80 % of such experiments by the test over images and seeds (for
        one seed: over images).
    seeds, agreeing : int
        Number of seeds, and of those whose mean has the sign of the mean.
    units : int
        Number of images.
    """

    mean: float
    low: float
    high: float
    p_value: float
    wide_low: float = np.nan
    wide_high: float = np.nan
    wide_p: float = np.nan
    effect_size: float = 0.0
    detectable: float = np.nan
    seeds: int = 1
    agreeing: int = 1
    units: int = 0

    @property
    def bound(self) -> float:
        """The largest difference, either way, that the intervals allow."""
        ends = (self.low, self.high, self.wide_low, self.wide_high)
        return float(np.nanmax(np.abs(ends)))


def compare(differences: np.ndarray, seed: int = 0) -> Comparison:
    """Describe paired differences, one for each image, or for each seed and image.

    Parameters
    ----------
    differences : numpy.ndarray
        (N,) or (S, N), N >= 2; NaN where a seed lacks an image. Images that no seed has, and for
        the interval over seeds the seeds that lack one, are left out.
    seed : int, optional
        Seed of the resampling.

    Raises
    ------
    ValueError
        If there are differences of fewer than two images, or one is infinite.
    """
    table = np.atleast_2d(np.asarray(differences, dtype=float))
    if table.ndim == 2:
        table = table[:, ~np.isnan(table).all(axis=0)]
    if table.ndim != 2 or table.shape[1] < 2 or np.isinf(table).any():
        raise ValueError("differences must be finite numbers of at least two images")
    images = np.nanmean(table, axis=0)
    mean = float(images.mean())
    p_value = float(
        stats.permutation_test(
            (images,),
            _mean,
            permutation_type="samples",
            n_resamples=RESAMPLES,
            vectorized=True,
            rng=np.random.default_rng(seed),
        ).pvalue
    )
    low, high = _bootstrap_interval(images, seed)
    complete = table[~np.isnan(table).any(axis=1)]
    if len(complete) > 1:
        error, freedom = crossed_error(complete)
    else:
        error, freedom = float(images.std(ddof=1)) / len(images) ** 0.5, len(images) - 1.0
    detectable = (_quantile(1 - SIGNIFICANCE / 2, freedom) + _quantile(POWER, freedom)) * error
    wide = _student(float(complete.mean()), error, freedom) if len(complete) > 1 else ()
    return Comparison(
        mean,
        low,
        high,
        p_value,
        *(wide or (np.nan,) * 3),
        effect_size=_effect_size(images),
        detectable=float(detectable),
        seeds=len(table),
        agreeing=int(np.sum(np.sign(np.nanmean(table, axis=1)) == np.sign(mean))),
        units=len(images),
    )


def smallest_p(units: int, tests: int) -> float:
    """Return the smallest p-value of a sign-flip test over units, corrected for the tests."""
    return min(1.0, 2.0 * 2.0**-units * tests)


def crossed_error(table: np.ndarray) -> tuple[float, float]:
    """Return the standard error of the mean over seeds and images, and its degrees of freedom.

    Parameters
    ----------
    table : numpy.ndarray
        (S, N), S >= 2, N >= 2, complete.

    Notes
    -----
    Two-way analysis of variance with random effects: the variance of the mean is estimated by
    (MS_seeds + MS_images - MS_rest) / (S N), with MS_seeds not below MS_rest; the last term is left
    out, which errs to the wide side where both effects are small. Degrees of freedom:
    F. E. Satterthwaite, "An approximate distribution of estimates of variance components",
    Biometrics Bulletin 2, 1946.
    """
    seeds, images = table.shape
    mean, of_seed, of_image = table.mean(), table.mean(axis=1), table.mean(axis=0)
    rest = table - of_seed[:, None] - of_image + mean
    between_seeds = images * of_seed.var(ddof=1)
    between_images = seeds * of_image.var(ddof=1)
    within = (rest**2).sum() / ((seeds - 1) * (images - 1))
    between_seeds = max(between_seeds, within)
    total = between_seeds + between_images
    if total == 0:
        return 0.0, images - 1.0
    freedom = total**2 / (between_seeds**2 / (seeds - 1) + between_images**2 / (images - 1))
    return float((total / table.size) ** 0.5), float(freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number; a NaN stays one and is not counted.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    corrected = np.full(len(p), np.nan)
    factors = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return [float(value) for value in corrected]


def _bootstrap_interval(images: np.ndarray, seed: int) -> tuple[float, float]:
    if np.ptp(images) == 0:  # nothing to resample: BCa would divide by zero
        return float(images[0]), float(images[0])
    interval = stats.bootstrap(
        (images,),
        _mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _student(mean: float, error: float, freedom: float) -> tuple[float, float, float]:
    """Return Student's interval and two-sided p-value."""
    if error == 0:
        return mean, mean, float(mean == 0)
    half = _quantile(0.5 + CONFIDENCE / 2, freedom) * error
    return mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, freedom))


def _quantile(probability: float, freedom: float) -> float:
    return float(stats.t.ppf(probability, freedom))


def _effect_size(images: np.ndarray) -> float:
    if np.ptp(images) == 0:
        return float(np.sign(images[0]) * np.inf) if images[0] else 0.0
    return float(images.mean() / images.std(ddof=1))


def _mean(sample: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.mean(sample, axis=axis)
