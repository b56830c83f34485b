"""The paired statistics against known answers and other implementations."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from experiments.statistics import compare


def test_the_mean_is_the_mean():
    assert compare(np.array([1.0, 2.0, 6.0])).mean == 3.0


def test_p_is_exact_for_few_images():
    differences = np.array([0.4, 1.1, -0.3, 0.8, 0.9, 0.2, 1.4])
    signs = np.array(list(product((-1, 1), repeat=7)))
    null = (signs * differences).mean(axis=1)
    share = np.mean(null >= differences.mean() - 1e-12)
    assert compare(differences).p_value == pytest.approx(2 * share)


def test_p_is_near_the_t_test_for_many_normal_images():
    differences = np.random.default_rng(1).normal(0.2, 1, 120)
    assert compare(differences).p_value == pytest.approx(
        stats.ttest_1samp(differences, 0).pvalue, abs=0.01
    )


def test_the_interval_is_near_the_t_interval_for_many_normal_images():
    differences = np.random.default_rng(2).normal(0.5, 2, 200)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    found = compare(differences)
    assert found.low == pytest.approx(low, abs=0.03)
    assert found.high == pytest.approx(high, abs=0.03)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(60):
        found = compare(rng.exponential(1, 40) - 1)
        covered += found.low <= 0 <= found.high
    assert 50 <= covered <= 60


def test_no_difference_at_all():
    found = compare(np.zeros(10))
    assert (found.mean, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert not found.detected
    assert found.bound == 0


def test_the_same_difference_everywhere():
    found = compare(np.full(10, 0.5))
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)
    assert found.p_value == pytest.approx(2 / 2**10)
    assert found.detected


def test_exchanging_the_arms_exchanges_the_sign():
    differences = np.random.default_rng(4).normal(0.3, 1, 30)
    one, two = compare(differences), compare(-differences)
    assert one.mean == -two.mean
    assert one.low == pytest.approx(-two.high, abs=0.03)
    assert one.p_value == pytest.approx(two.p_value, abs=0.01)


def test_the_result_is_reproducible():
    differences = np.random.default_rng(5).normal(size=30)
    assert compare(differences) == compare(differences)


def test_the_bound_is_the_far_end_of_the_interval():
    found = compare(np.random.default_rng(6).normal(-0.1, 1, 50))
    assert found.bound == max(-found.low, found.high)


@pytest.mark.parametrize("differences", [[], [1.0], [1.0, np.nan], [np.inf, 0.0], [[1.0], [2.0]]])
def test_what_cannot_be_compared_is_refused(differences):
    with pytest.raises(ValueError, match="at least two finite numbers"):
        compare(np.array(differences))
