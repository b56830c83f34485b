"""`evaluate` is the single scores, class by class and image by image."""

import numpy as np
import pytest

import tubeskel
from tubeskel import metrics
from tubeskel.metrics import evaluate

KEYS = {
    "dice",
    "jaccard",
    "cldice",
    "false_negative_rate",
    "false_positive_rate",
    "betti_0_error",
    "betti_1_error",
    "euler_error",
    "target_empty",
    "prediction_empty",
}


def labels(*shape, classes=3, seed=0):
    return np.random.default_rng(seed).integers(classes, size=shape, dtype=np.uint8)


def test_every_class_gets_every_score():
    prediction, target, region = labels(24, 25), labels(24, 25, seed=1), labels(24, 25, seed=2) > 0
    scores = evaluate(prediction, target, num_classes=4, field_of_view=region)
    assert list(scores) == [1, 2, 3]
    for index, values in scores.items():
        pair = prediction == index, target == index
        assert set(values) == KEYS
        assert all(type(value) is float for value in values.values())
        for name in ("dice", "jaccard", "cldice", "false_negative_rate", "false_positive_rate"):
            assert values[name] == getattr(metrics, name)(*pair, field_of_view=region)
        betti = metrics.betti_errors(*pair, field_of_view=region)
        assert (values["betti_0_error"], values["betti_1_error"]) == tuple(betti)
        assert values["euler_error"] == metrics.euler_error(*pair, field_of_view=region)


def test_cldice_by_another_method():
    prediction, target = labels(24, 25), labels(24, 25, seed=1)
    for method in ("lee", tubeskel.thin):
        scores = evaluate(prediction, target, num_classes=3, method=method)
        for index in (1, 2):
            pair = prediction == index, target == index
            assert scores[index]["cldice"] == metrics.cldice(*pair, method=method)
    assert scores[1]["cldice"] != metrics.cldice(prediction == 1, target == 1)


def test_a_class_that_is_nowhere_is_reported_as_such():
    target = np.zeros((6, 6), int)
    target[2:4, 2:4] = 2
    scores = evaluate(np.zeros_like(target), target, num_classes=3)
    assert (scores[1]["target_empty"], scores[1]["prediction_empty"]) == (1.0, 1.0)
    assert scores[1]["dice"] == 1.0
    assert (scores[2]["target_empty"], scores[2]["prediction_empty"]) == (0.0, 1.0)
    assert scores[2]["cldice"] == 0.0
    elsewhere = np.zeros_like(target)
    elsewhere[0, 0] = 1
    hidden = evaluate(target, target, num_classes=3, field_of_view=elsewhere)
    assert hidden[2]["target_empty"] == 1.0


def test_a_batch_gives_a_list():
    prediction, target = labels(2, 3, 16, 17), labels(2, 3, 16, 17, seed=1)
    scores = evaluate(prediction, target, num_classes=3, spatial_dims=2)
    assert len(scores) == 6
    assert scores[4] == evaluate(prediction[1, 1], target[1, 1], num_classes=3)
    assert evaluate(prediction[0, :1], target[0, :1], num_classes=3, spatial_dims=2) == scores[:1]
    assert evaluate(prediction[:0], target[:0], num_classes=3, spatial_dims=2) == []


def test_a_perfect_prediction():
    target = labels(20, 20)
    for values in evaluate(target, target, num_classes=3).values():
        assert values["dice"] == values["jaccard"] == values["cldice"] == 1.0
        assert not any(values[key] for key in KEYS if key.endswith(("error", "rate", "empty")))


@pytest.mark.parametrize("name", ["prediction", "target"])
@pytest.mark.parametrize("value", [-1, 3])
def test_labels_out_of_range_are_named(name, value):
    arguments = {"prediction": labels(5, 5).astype(int), "target": labels(5, 5).astype(int)}
    arguments[name][2, 2] = value
    with pytest.raises(ValueError, match=rf"{name} holds the label {value}; .* are 0\.\.2"):
        evaluate(**arguments, num_classes=3)


def test_bad_arguments_are_named():
    good = labels(5, 5)
    with pytest.raises(TypeError, match="prediction must hold integer labels, got float64"):
        evaluate(good.astype(float), good, num_classes=3)
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        evaluate(good, good, num_classes=1)
    with pytest.raises(TypeError, match=r"num_classes must be an integer, got 2\.0"):
        evaluate(good, good, num_classes=2.0)
    with pytest.raises(ValueError, match=r"same shape, got \(5, 5\) and \(5, 4\)"):
        evaluate(good, good[:, :4], num_classes=3)
    with pytest.raises(ValueError, match=r"field_of_view has shape \(4,\); allowed: \(5, 5\)"):
        evaluate(good, good, num_classes=3, field_of_view=np.ones(4))
