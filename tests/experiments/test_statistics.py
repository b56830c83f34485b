"""The paired statistics against known answers and other implementations."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from experiments.statistics import compare, crossed_error, holm


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
    assert found.bound == found.effect_size == found.detectable == 0


def test_the_same_difference_everywhere():
    found = compare(np.full(10, 0.5))
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)
    assert found.p_value == pytest.approx(2 / 2**10)
    assert found.effect_size == np.inf


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


@pytest.mark.parametrize(
    "differences", [[], [1.0], [1.0, np.nan], [np.inf, 0.0], [[1.0], [2.0]], [[[1.0]]]]
)
def test_what_cannot_be_compared_is_refused(differences):
    with pytest.raises(ValueError, match="finite numbers of at least two images"):
        compare(np.array(differences))


def seeds_and_images(rng, seeds, images, seed_effect=0.0, image_effect=0.5):
    return (
        rng.normal(size=(seeds, 1)) * seed_effect
        + rng.normal(size=(1, images)) * image_effect
        + rng.normal(size=(seeds, images))
    )


def test_the_images_are_compared_by_their_mean_over_the_seeds():
    table = seeds_and_images(np.random.default_rng(7), 3, 20)
    both, images = compare(table), compare(table.mean(axis=0))
    assert (both.mean, both.low, both.high, both.p_value) == pytest.approx(
        (images.mean, images.low, images.high, images.p_value)
    )
    assert np.isnan([images.wide_low, images.wide_high, images.wide_p]).all()
    assert both.effect_size == pytest.approx(images.effect_size)


def test_without_an_effect_of_images_the_error_is_that_of_the_seeds():
    seeds = np.array([0.1, 0.5, 0.3, -0.2])
    error, freedom = crossed_error(np.repeat(seeds[:, None], 9, axis=1))
    assert error == pytest.approx(stats.sem(seeds))
    assert freedom == pytest.approx(3)


def test_without_an_effect_of_seeds_the_error_is_that_of_the_images():
    images = np.random.default_rng(8).normal(size=30)
    error, freedom = crossed_error(np.repeat(images[None], 4, axis=0))
    assert error == pytest.approx(stats.sem(images))
    assert freedom == pytest.approx(29)


@pytest.mark.parametrize(("seed_effect", "seeds"), [(0.0, 3), (1.0, 3), (0.3, 5)])
def test_the_wide_interval_covers_what_other_trainings_would_give(seed_effect, seeds):
    rng = np.random.default_rng(9)
    covered = narrow = 0
    for _ in range(300):
        table = seeds_and_images(rng, seeds, 25, seed_effect)
        error, freedom = crossed_error(table)
        covered += abs(table.mean()) <= stats.t.ppf(0.975, freedom) * error
        images = table.mean(axis=0)
        narrow += abs(images.mean()) <= stats.t.ppf(0.975, 24) * stats.sem(images)
    assert covered >= 0.91 * 300
    if seed_effect == 1.0:  # the images alone say nothing about other trainings
        assert narrow < 0.6 * 300


def test_the_detectable_difference_is_detected_four_times_in_five():
    rng = np.random.default_rng(10)
    reference = seeds_and_images(rng, 400, 25)
    error = np.sqrt((1 + 4 * 0.25) / 100)  # of 4 seeds and 25 images
    detectable = np.median([compare_error(reference[i : i + 4]) for i in range(0, 400, 4)])
    assert detectable == pytest.approx((1.96 + 0.84) * error, rel=0.35)
    found = compare(reference[:4])
    assert found.detectable == pytest.approx(compare_error(reference[:4]))


def compare_error(table):
    error, freedom = crossed_error(table)
    return (stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom)) * error


def test_seeds_that_agree_are_counted():
    table = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 0.5], [-1.0, 0.0, -1.0]])
    found = compare(table)
    assert (found.seeds, found.agreeing) == (3, 2)


def test_images_that_a_seed_lacks():
    table = seeds_and_images(np.random.default_rng(11), 3, 10)
    lacking = np.vstack([table, np.full(10, np.nan)])
    lacking[3, 0] = 5.0
    found = compare(np.hstack([lacking, np.full((4, 1), np.nan)]))
    whole = compare(table)
    assert (found.wide_p, found.seeds) == (pytest.approx(whole.wide_p), 4)
    assert found.mean == pytest.approx(
        (table.mean(axis=0).sum() - table[:, 0].mean() + (table[:, 0].sum() + 5) / 4) / 10
    )


def test_holm_is_the_stepwise_correction():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    corrected = holm([0.02, np.nan, 0.03])
    assert corrected[0] == pytest.approx(0.04)
    assert corrected[2] == pytest.approx(0.04)
    assert np.isnan(corrected[1])
    assert holm([]) == []
