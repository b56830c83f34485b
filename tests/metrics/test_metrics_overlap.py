"""Overlap and centreline scores against scikit-learn and a plain statement of clDice."""

import numpy as np
import pytest
import skimage.morphology
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tubeskel.metrics import (
    cldice,
    dice,
    false_negative_rate,
    false_positive_rate,
    jaccard,
)

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20)


@st.composite
def pairs(draw):
    shape = draw(SHAPES)
    return draw(hnp.arrays(bool, shape)), draw(hnp.arrays(bool, shape))


@given(pairs())
def test_overlap_equals_scikit_learn(pair):
    sklearn = pytest.importorskip("sklearn.metrics")
    prediction, target = pair
    p, t = prediction.ravel(), target.ravel()
    (tn, fp), (fn, tp) = sklearn.confusion_matrix(t, p, labels=[False, True])
    assert dice(prediction, target) == pytest.approx(sklearn.f1_score(t, p, zero_division=1))
    assert jaccard(prediction, target) == pytest.approx(
        sklearn.jaccard_score(t, p, zero_division=1)
    )
    assert false_negative_rate(prediction, target) == pytest.approx(fn / max(tp + fn, 1))
    assert false_positive_rate(prediction, target) == pytest.approx(fp / max(fp + tn, 1))


def cldice_by_scikit_image(prediction, target, method=None):
    p, g = (skimage.morphology.skeletonize(m, method=method) for m in (prediction, target))
    if not prediction.any() or not target.any():
        return float(prediction.any() == target.any())
    precision, sensitivity = (p & target).sum() / p.sum(), (g & prediction).sum() / g.sum()
    if precision + sensitivity == 0:
        return 0.0
    return 2 * precision * sensitivity / (precision + sensitivity)


@given(pairs())
def test_cldice_equals_its_definition(pair):
    assert cldice(*pair) == pytest.approx(cldice_by_scikit_image(*pair))


@given(pairs())
def test_cldice_by_other_skeletons(pair):
    by_name = cldice(*pair, method="lee")
    by_function = cldice(*pair, method=lambda m: skimage.morphology.skeletonize(m, method="lee"))
    assert by_name == by_function
    assert by_name == pytest.approx(cldice_by_scikit_image(*pair, method="lee"))


@given(pairs())
def test_scores_are_symmetric_bounded_and_related(pair):
    prediction, target = pair
    for score in (dice, jaccard, cldice):
        assert score(prediction, target) == score(target, prediction)
        assert 0 <= score(prediction, target) <= 1
        assert score(target, target) == 1
    d, j = dice(prediction, target), jaccard(prediction, target)
    assert d == pytest.approx(2 * j / (1 + j))


@given(pairs(), st.data())
def test_outside_the_field_of_view_nothing_counts(pair, data):
    prediction, target = pair
    region = data.draw(hnp.arrays(bool, target.shape))
    scores = (dice, jaccard, false_negative_rate, false_positive_rate)
    for score in scores:
        inside = score(prediction[region], target[region])
        assert score(prediction, target, field_of_view=region) == inside
    cut = cldice(prediction & region, target & region)
    assert cldice(prediction, target, field_of_view=region) == cut


EMPTY, FULL, SOME = np.zeros((4, 5), bool), np.ones((4, 5), bool), np.eye(4, 5, dtype=bool)


@pytest.mark.parametrize(
    ("prediction", "target", "overlap", "fnr", "fpr"),
    [
        (EMPTY, EMPTY, 1.0, 0.0, 0.0),
        (EMPTY, SOME, 0.0, 1.0, 0.0),
        (SOME, EMPTY, 0.0, 0.0, 4 / 20),
        (FULL, FULL, 1.0, 0.0, 0.0),
    ],
)
def test_empty_masks_follow_the_definitions(prediction, target, overlap, fnr, fpr):
    for score in (dice, jaccard, cldice):
        assert score(prediction, target) == overlap
    assert false_negative_rate(prediction, target) == fnr
    assert false_positive_rate(prediction, target) == pytest.approx(fpr)


def test_disjoint_masks_score_zero():
    assert cldice(SOME, ~SOME & FULL) == 0.0
    assert dice(SOME, ~SOME) == 0.0


@pytest.mark.parametrize("score", [dice, jaccard, false_negative_rate, false_positive_rate, cldice])
def test_a_batch_scores_image_by_image(score):
    prediction, target = np.random.default_rng(0).random((2, 3, 2, 16, 17)) > 0.5
    batched = score(prediction, target, spatial_dims=2)
    assert batched.shape == (3, 2)
    assert batched.dtype == np.float64
    for i, j in np.ndindex(3, 2):
        assert batched[i, j] == score(prediction[i, j], target[i, j])
    assert score(prediction[:0], target[:0], spatial_dims=2).shape == (0, 2)
    assert type(score(prediction[0, 0], target[0, 0])) is float


def test_pooled_scores_come_from_a_stack():
    prediction, target = np.random.default_rng(1).random((2, 3, 16, 17)) > 0.7
    both = (prediction & target).sum()
    assert dice(prediction, target) == pytest.approx(2 * both / (prediction.sum() + target.sum()))
