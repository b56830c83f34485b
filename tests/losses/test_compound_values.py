"""`dice_ce_srl_loss` against plain PyTorch: values, terms and gradients."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from compound_oracle import compound, sigmoid_case, softmax_case
from hypothesis import given
from srl_oracle import equation_1, tube_of, value_and_grad
from torch.nn import functional

from tubeskel import dice_ce_srl_loss, srl_loss

pytestmark = pytest.mark.usefixtures("device")

OPTIONS = [
    {},
    {"batch": False},
    {"include_background": True, "dice_smooth": 1.0},
    {"classes": "all", "recall_smooth": 1e-5},
    {"classes": "all", "recall_smooth": 1e-5, "batch": False},
    {"label_smoothing": 0.2},
    {"ignore_index": 2, "label_smoothing": 0.1},
    {"alpha": 3.0, "weight_dice": 0.5, "weight_ce": 2.0},
    {"recall": "log"},
    {"recall": "log", "batch": False, "recall_smooth": 0.5},
    {"recall": "cross_entropy"},
    {"recall": "cross_entropy", "classes": "all", "recall_smooth": 1.0, "ignore_index": 1},
    {"recall": "tversky"},
    {"recall": "tversky", "fp_weight": 2.0, "batch": False, "ignore_index": 0},
]


def compare(case, options, rtol=1e-10, **more):
    logits, target, tube = case
    loss, terms = dice_ce_srl_loss(logits, target, tube=tube, return_terms=True, **options, **more)
    expected, expected_terms = compound(logits, target, tube, **options)
    assert list(terms) == list(expected_terms)
    for name, term in terms.items():
        torch.testing.assert_close(term, expected_terms[name], rtol=rtol, atol=1e-12)
        assert not term.requires_grad
    torch.testing.assert_close(loss, expected, rtol=rtol, atol=1e-12)
    _, grad = value_and_grad(loss, logits)
    _, expected_grad = value_and_grad(expected, logits)
    scale = expected_grad.abs().max().item()
    torch.testing.assert_close(grad, expected_grad, rtol=rtol, atol=1e-10 * scale + 1e-300)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("shape", [(301,), (13, 21), (5, 6, 33)], ids=str)
def test_softmax(options, channels, shape):
    compare(softmax_case(channels=channels, shape=shape), options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_sigmoid(options, channels):
    compare(sigmoid_case(channels=channels), options | {"activation": "sigmoid"})


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("kind", [list, torch.tensor])
def test_class_weights(activation, kind):
    case = softmax_case(channels=3) if activation == "softmax" else sigmoid_case(channels=3)
    for more in ({}, {"label_smoothing": 0.1, "ignore_index": 1}):
        options = {"class_weights": kind([0.5, 2.0, 3.5]), "activation": activation, **more}
        compare(case, options)


@st.composite
def problems(draw):
    activation = draw(st.sampled_from(["softmax", "sigmoid"]))
    softmax = activation == "softmax"
    samples, channels = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 5, 33, 40]))
    channels += softmax and channels == 1
    shape = tuple(draw(st.lists(st.integers(1, 17), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from([torch.float64, torch.float32]))
    make = softmax_case if softmax else sigmoid_case
    logits, target, tube = make(samples, channels, shape, dtype, draw(st.integers(0, 99)))
    highest = draw(st.integers(0, channels - 1 if softmax else 1))  # classes above are absent
    target, tube = target.clamp(max=highest), tube.clamp(max=highest)
    label_dtype = draw(st.sampled_from([torch.uint8, torch.int16, torch.int32, torch.int64]))
    options = {
        "activation": activation,
        "batch": draw(st.booleans()),
        "recall": draw(st.sampled_from(["linear", "log", "cross_entropy", "tversky"])),
        "classes": draw(st.sampled_from(["present", "all"])),
        "recall_smooth": draw(st.sampled_from([1e-3, 1.0])),
        "include_background": draw(st.booleans()),
        "label_smoothing": draw(st.sampled_from([0.0, 0.3])),
    }
    if draw(st.booleans()):
        options["ignore_index"] = ignored = draw(st.sampled_from([0, 1, 100]))
        share = draw(st.sampled_from([0.0, 0.2, 1.0]))
        if ignored == 100:
            target[torch.rand(target.shape) < share] = 100
    return (logits, target.to(label_dtype), tube.to(label_dtype)), options


@given(problems())
def test_any_problem(problem):
    case, options = problem
    logits, target, tube = case
    double = logits.detach().double().requires_grad_()
    expected, expected_terms = compound(double, target.long(), tube.long(), **options)
    expected_grad = torch.autograd.grad(expected, double, allow_unused=True)[0]
    loss, terms = dice_ce_srl_loss(logits, target, tube=tube, return_terms=True, **options)
    (grad,) = torch.autograd.grad(loss, logits)
    tolerance = 1e-10 if logits.dtype == torch.float64 else 2e-5
    for name, term in terms.items():
        torch.testing.assert_close(
            term.double(), expected_terms[name].double(), rtol=tolerance, atol=tolerance
        )
    if expected_grad is None:
        expected_grad = torch.zeros_like(double)
    scale = max(expected_grad.abs().max().item(), 1e-30)
    torch.testing.assert_close(
        grad.double() / scale, expected_grad / scale, rtol=tolerance, atol=tolerance
    )


def test_each_term_alone():
    logits, target, tube = softmax_case()
    off = {"alpha": 0.0, "weight_dice": 0.0, "weight_ce": 0.0}

    def alone(**on):
        return value_and_grad(dice_ce_srl_loss(logits, target, tube=tube, **(off | on)), logits)

    def check(ours, theirs):
        value, grad = value_and_grad(theirs, logits)
        torch.testing.assert_close(ours[0], value, rtol=1e-12, atol=0)
        torch.testing.assert_close(ours[1], grad, rtol=1e-10, atol=1e-15)

    check(alone(alpha=1.0), srl_loss(logits, target, tube=tube))
    check(alone(alpha=1.0), equation_1(logits, tube))
    check(alone(weight_ce=1.0), functional.cross_entropy(logits, target))
    check(alone(weight_dice=2.0), 2 * compound(logits, target, tube)[1]["dice"])
    value, grad = alone()
    assert value == 0
    assert not grad.any()


def test_a_term_without_weight_may_be_infinite():
    logits, target, tube = softmax_case()
    with torch.no_grad():
        logits[:, 1] = -torch.inf
    loss, terms = dice_ce_srl_loss(logits, target, tube=tube, weight_ce=0.0, return_terms=True)
    assert terms["ce"] == torch.inf
    assert loss.isfinite()
    assert value_and_grad(loss, logits)[1].isfinite().all()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_tube_is_made_in_the_call(activation):
    logits, _, _ = softmax_case(channels=2, shape=(40, 50))
    target = torch.zeros(2, 40, 50, dtype=torch.long)
    target[:, 10:18, 5:45] = 1
    target[1, 25:35, 3:9] = 255
    if activation == "sigmoid":
        logits = logits[:, :1]
    for options in ({}, {"radius": 1}):
        tube = tube_of(target, ignore_index=255, **options)
        options = {"activation": activation, "ignore_index": 255, **options}
        made = dice_ce_srl_loss(logits, target, **options)
        given = dice_ce_srl_loss(logits, target, tube=tube, **options)
        assert torch.equal(made, given)


def test_a_tversky_without_weight_of_false_positives_is_linear():
    logits, target, tube = softmax_case()
    ours = dice_ce_srl_loss(logits, target, tube=tube, recall="tversky", fp_weight=0.0)
    assert torch.equal(ours, dice_ce_srl_loss(logits, target, tube=tube))


@pytest.mark.parametrize("recall", ["linear", "log", "cross_entropy", "tversky"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_all_ignored_and_all_background(recall, activation):
    make = softmax_case if activation == "softmax" else sigmoid_case
    logits, target, _ = make()
    options = {"recall": recall, "activation": activation, "ignore_index": 9}
    for label in (9, 0):
        labels = torch.full_like(target, label)
        loss, terms = dice_ce_srl_loss(logits, labels, return_terms=True, **options)
        _, grad = value_and_grad(loss, logits)
        assert terms["recall"] == 0
        assert loss.isfinite()
        assert grad.isfinite().all()
        if label == 9:
            assert terms["ce"] == 0
            assert terms["dice"] == -1  # of absent classes that nothing is taken for
            assert not grad.any()


def test_what_ignored_pixels_hold_does_not_matter():
    logits, target, tube = softmax_case()
    target[:, 3:7] = 255
    finite = value_and_grad(dice_ce_srl_loss(logits, target, tube=tube, ignore_index=255), logits)
    for value in (torch.nan, torch.inf, 1e30):
        broken = logits.detach().clone()
        broken[:, :, 3:7] = value
        broken.requires_grad_()
        loss = dice_ce_srl_loss(broken, target, tube=tube, ignore_index=255, label_smoothing=0.0)
        value_broken, grad = value_and_grad(loss, broken)
        assert torch.equal(value_broken, finite[0])
        assert torch.equal(grad, finite[1])
        assert not grad[:, :, 3:7].any()


@pytest.mark.parametrize("samples", [0, 2])
def test_empty_inputs(samples):
    shape = (8, 8) if samples == 0 else (0, 8)
    logits = torch.zeros(samples, 3, *shape, requires_grad=True)
    target = torch.zeros(samples, *shape, dtype=torch.long)
    loss = dice_ce_srl_loss(logits, target, tube=target)
    assert loss.isfinite()
    loss.backward()
    assert logits.grad.shape == logits.shape
