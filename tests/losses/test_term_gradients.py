"""`tubeskel.gradients`: gradients of terms, norms, cosines, and eq. 2."""

from __future__ import annotations

import math

import pytest
import torch
from srl_oracle import make_case, tube_of

import tubeskel
from tubeskel.gradients import recall_gradient, term_gradients

pytestmark = pytest.mark.usefixtures("device")


@pytest.fixture
def case(device):
    logits, target = make_case(samples=2, channels=3, shape=(20, 30))
    return logits.detach(), target


TERMS = {
    "ce": lambda z, t: torch.nn.functional.cross_entropy(z, t.long()),
    "srl": lambda z, t: tubeskel.srl_loss(z, t),
    "dice": tubeskel.DiceCESkeletonRecallLoss(alpha=0, weight_ce=0),
    "cldice": tubeskel.SoftClDiceLoss(iterations=2),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_equation_2_beside_autograd(case, dtype, scale):
    logits, target = case
    report = term_gradients(TERMS, (scale * logits).to(dtype), target)
    found = report.terms["srl"].probabilities
    torch.testing.assert_close(found, report.closed_form, rtol=1e-9, atol=1e-12)
    y = torch.stack([tube_of(target) == k for k in (1, 2)], 1).double()
    torch.testing.assert_close(report.closed_form, -y / (2 * y.sum((0, 2, 3), keepdim=True)))


@pytest.mark.parametrize("channels", [1, 3])
def test_equation_2_with_a_sigmoid(channels):
    logits, target = make_case(samples=2, channels=channels, shape=(20, 30))
    target = torch.stack([target == c for c in range(channels)], 1)
    terms = {"srl": tubeskel.SkeletonRecallLoss(activation="sigmoid")}
    report = term_gradients(terms, logits, target, activation="sigmoid")
    torch.testing.assert_close(report.terms["srl"].probabilities, report.closed_form)


def test_equation_2_per_sample(case):
    logits, target = case
    tube = tube_of(target)
    report = term_gradients({"srl": tubeskel.SkeletonRecallLoss(batch=False)}, logits, target)
    closed = recall_gradient(tube, 3, batch=False)
    torch.testing.assert_close(report.terms["srl"].probabilities, closed)


def test_logits_are_those_of_autograd(case):
    logits, target = case
    report = term_gradients(TERMS, logits, target)
    for name, term in TERMS.items():
        z = logits.clone().requires_grad_()
        value = term(z, target)
        assert report.terms[name].value == value.item()
        (expected,) = torch.autograd.grad(value, z)
        torch.testing.assert_close(report.terms[name].logits, expected)


def test_the_background_gives_way(case):
    """By finite differences of the cross-entropy of one pixel."""
    logits, target = case
    report = term_gradients(TERMS, logits, target)
    s = torch.softmax(logits, 1)
    k, step = 1, 1e-6
    moved = s.clone()
    moved[0, 1 + k, 4, 5] += step
    moved[0, 0, 4, 5] -= step
    difference = TERMS["ce"](moved.log(), target) - TERMS["ce"](s.log(), target)
    found = report.terms["ce"].probabilities[0, k, 4, 5]
    assert found.item() == pytest.approx(difference.item() / step, rel=1e-3, abs=1e-8)


def test_norms_and_cosines(case):
    logits, target = case
    report = term_gradients(TERMS, logits, target)
    on = tube_of(target)[:, None] > 0
    assert torch.equal(report.tube, on)
    for space in ("logits", "probabilities"):
        gradients = {name: getattr(term, space) for name, term in report.terms.items()}
        norms, cosines = report.norms(space), report.cosines(space)
        partial = report.cosines(space, on_tube=True)
        for a, g in gradients.items():
            assert norms[a].on_tube == pytest.approx((g * on).norm().item())
            assert norms[a].off_tube == pytest.approx((g * ~on).norm().item())
            for b, h in gradients.items():
                cosine = torch.nn.functional.cosine_similarity
                assert cosines[a][b] == pytest.approx(cosine(g.flatten(), h.flatten(), 0).item())
                both = (g * on).flatten(), (h * on).flatten()
                assert partial[a][b] == pytest.approx(cosine(*both, 0).item())
    assert report.norms()["srl"].off_tube == 0


def test_a_zero_gradient_has_no_cosine(case):
    logits, target = case
    report = term_gradients({**TERMS, "none": lambda z, t: 0 * z.sum()}, logits, target)
    assert math.isnan(report.cosines()["none"]["ce"])


def test_a_given_tube_and_ignored_pixels(case):
    logits, target = case
    tube = tube_of(target)
    report = term_gradients(TERMS, logits, target, tube=tube, ignore_index=2)
    assert torch.equal(report.tube[:, 0], (tube > 0) & (target != 2))
    made = term_gradients(TERMS, logits, target, ignore_index=2)
    assert torch.equal(made.tube[:, 0], tube_of(target, ignore_index=2) == 1)


def test_extreme_logits_are_finite(case):
    logits, target = case
    report = term_gradients(TERMS, 1e4 * logits.sign(), target)
    for term in report.terms.values():
        assert term.probabilities.isfinite().all()


def test_refusals(case):
    logits, target = case
    with pytest.raises(TypeError, match="terms must be a mapping"):
        term_gradients([TERMS["ce"]], logits, target)
    with pytest.raises(ValueError, match="terms must hold at least one"):
        term_gradients({}, logits, target)
    with pytest.raises(TypeError, match="terms must hold callables, got 3 for 'a'"):
        term_gradients({"a": 3}, logits, target)
    with pytest.raises(ValueError, match=r"scalars that depend on the logits.*from 'a'"):
        term_gradients({"a": lambda z, t: z.sum(1)}, logits, target)
    with pytest.raises(ValueError, match=r"scalars that depend on the logits.*from 'a'"):
        term_gradients({"a": lambda z, t: torch.zeros(())}, logits, target)
    report = term_gradients(TERMS, logits, target)
    with pytest.raises(ValueError, match="space must be one of"):
        report.norms("images")
    with pytest.raises(ValueError, match=r"tube must have shape \(B, 3, \*S\)"):
        recall_gradient(target, 3, activation="sigmoid")


@pytest.mark.parametrize("z", [30.0, 36.0, -36.0])
def test_a_sigmoid_near_its_ends(z):
    """What is left of 1 - s is the probability of the other side."""
    logits = torch.full((1, 1, 4, 4), z, dtype=torch.float64)
    target = torch.ones(1, 1, 4, 4, dtype=torch.uint8)
    term = tubeskel.DiceCESkeletonRecallLoss(activation="sigmoid", weight_dice=0, weight_ce=0)
    found = term_gradients({"recall": term}, logits, target, activation="sigmoid")
    torch.testing.assert_close(found.terms["recall"].probabilities, found.closed_form)


def test_labels_are_checked(case, sync_checks):
    logits, target = case[:2]
    tube = tube_of(target)
    term = {"srl": tubeskel.SkeletonRecallLoss()}
    with pytest.raises(ValueError, match="tube"):
        term_gradients(term, logits, target, tube=torch.full_like(tube, 77))
    with pytest.raises(TypeError, match="tube must hold integers or bools"):
        recall_gradient(tube * 0.5, logits.shape[1])
    with pytest.raises(ValueError, match="channels must be"):
        recall_gradient(tube, 1)
