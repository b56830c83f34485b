"""`dice_ce_soft_cldice_loss` and its module: the sum of terms that are tested elsewhere."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
import torch
from compound_oracle import compound, sigmoid_case, softmax_case
from soft_cldice_oracle import soft_cldice
from srl_oracle import value_and_grad
from torch.nn import functional

from tubeskel import DeepSupervision, DiceCESoftClDiceLoss, dice_ce_soft_cldice_loss

pytestmark = pytest.mark.usefixtures("device")

OPTIONS = [
    {},
    {"alpha": 0.3, "weight_dice": 0.5, "weight_ce": 2.0, "iterations": 3},
    {"alpha": 0.0},
    {"weight_dice": 0.0, "weight_ce": 0.0},
    {"batch": False, "include_background": True, "ignore_index": 1, "iterations": 2},
    {"class_weights": [1.0, 2.0, 0.5], "label_smoothing": 0.1, "dice_smooth": 1.0},
    {"activation": "sigmoid", "cldice_smooth": 0.1},
]


def make(activation="softmax", **shape):
    case = softmax_case if activation == "softmax" else sigmoid_case
    return case(channels=3, **shape)[:2]


def expected(logits, target, *, alpha=1.0, iterations=10, cldice_smooth=1.0, **options):
    """Loss and terms of the oracles."""
    loss, terms = compound(logits, target, torch.zeros_like(target), alpha=0.0, **options)
    names = ("activation", "include_background", "batch", "ignore_index")
    shared = {name: options[name] for name in names if name in options}
    cldice = soft_cldice(logits, target, iterations=iterations, smooth=cldice_smooth, **shared)
    terms = {"dice": terms["dice"], "ce": terms["ce"], "cldice": cldice}
    return loss + alpha * cldice, terms


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(13, 21), (6, 7, 8)])
def test_values_gradients_and_terms(options, shape):
    logits, target = make(options.get("activation", "softmax"), shape=shape)
    loss, terms = dice_ce_soft_cldice_loss(logits, target, return_terms=True, **options)
    oracle, oracle_terms = expected(logits, target, **options)
    torch.testing.assert_close(value_and_grad(loss, logits), value_and_grad(oracle, logits))
    assert list(terms) == list(oracle_terms)
    for name, term in terms.items():
        assert not term.requires_grad
        torch.testing.assert_close(term, oracle_terms[name].detach())
    assert torch.equal(dice_ce_soft_cldice_loss(logits, target, **options), loss)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_large_logits_and_no_pixels(dtype, activation):
    logits, target = make(activation)
    large = (1e4 * logits.detach().sign()).to(dtype).requires_grad_()
    for labels in (target, torch.zeros_like(target), torch.full_like(target, 5)):
        loss = dice_ce_soft_cldice_loss(large, labels, ignore_index=5, activation=activation)
        value, grad = value_and_grad(loss, large)
        assert value.dtype == torch.float32
        assert value.isfinite()
        assert grad.isfinite().all()


def test_a_second_derivative_is_refused():
    logits, target = make()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(dice_ce_soft_cldice_loss(logits, target), logits, create_graph=True)


BAD = [
    ("alpha", -1.0, ValueError),
    ("weight_dice", -1.0, ValueError),
    ("weight_ce", "1", TypeError),
    ("iterations", -1, ValueError),
    ("dice_smooth", -1.0, ValueError),
    ("cldice_smooth", -1.0, ValueError),
    ("label_smoothing", 2.0, ValueError),
    ("activation", "tanh", ValueError),
    ("batch", 1, TypeError),
    ("include_background", 1, TypeError),
    ("distributed", 1, TypeError),
    ("ignore_index", 1.5, TypeError),
    ("class_weights", torch.ones(3, 1), ValueError),
]


@pytest.mark.parametrize(("name", "bad", "error"), BAD, ids=lambda value: str(value)[:20])
def test_bad_options(name, bad, error):
    logits, target = make()
    with pytest.raises(error, match=f"{name} must"):
        dice_ce_soft_cldice_loss(logits, target, **{name: bad})
    with pytest.raises(error, match=f"{name} must"):
        DiceCESoftClDiceLoss(**{name: bad})


# ---- the module


def test_the_module_has_the_options_of_the_function():
    function = inspect.signature(dice_ce_soft_cldice_loss).parameters
    module = inspect.signature(DiceCESoftClDiceLoss).parameters
    assert set(module) == set(function) - {"logits", "target", "return_terms"}
    assert all(module[name].default == function[name].default for name in module)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_module_equals_the_function(options):
    logits, target = make(options.get("activation", "softmax"))
    module = DiceCESoftClDiceLoss(**options)
    loss = dice_ce_soft_cldice_loss(logits, target, **options)
    for other in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(logits, target), loss)
        assert repr(other) == repr(module)
    found, terms = module(logits, target, return_terms=True)
    assert torch.equal(found, loss)
    assert list(terms) == ["dice", "ce", "cldice"]


def test_a_schedule_of_alpha():
    logits, target = make()
    module = DiceCESoftClDiceLoss(alpha=lambda progress: 4 * progress)
    for progress in (0.0, 0.25, 1.0):
        module.set_progress(progress)
        loss = dice_ce_soft_cldice_loss(logits, target, alpha=4 * progress)
        assert torch.equal(module(logits, target), loss)
    assert torch.equal(
        module(logits, target, alpha=0.5), dice_ce_soft_cldice_loss(logits, target, alpha=0.5)
    )


@pytest.mark.parametrize("lower", ["skeletonize", "none"])
def test_deep_supervision(lower):
    logits, target = make(shape=(16, 24))
    low, low_target = functional.avg_pool2d(logits.detach(), 2), target[:, 1::2, 1::2]
    alpha = 1.0 if lower == "skeletonize" else 0.0
    loss = 2 / 3 * dice_ce_soft_cldice_loss(logits, target)
    loss = loss + 1 / 3 * dice_ce_soft_cldice_loss(low, low_target, alpha=alpha)
    module = DeepSupervision(DiceCESoftClDiceLoss(), lower_tubes=lower)
    torch.testing.assert_close(
        value_and_grad(module([logits, low], target), logits), value_and_grad(loss, logits)
    )


def test_deep_supervision_has_no_tubes_to_pool():
    with pytest.raises(TypeError, match=r"loss must be .*'max_pool', got DiceCESoftClDiceLoss"):
        DeepSupervision(DiceCESoftClDiceLoss(), lower_tubes="max_pool")


def test_compiles_whole():
    torch._dynamo.reset()
    logits, target = softmax_case(channels=3, shape=(12, 20), dtype=torch.float32)[:2]
    module = DiceCESoftClDiceLoss(alpha=lambda progress: 1 + progress, iterations=2)
    step = torch.compile(module, fullgraph=True, backend="aot_eager")
    for progress in (0.0, 0.5):
        module.set_progress(progress)
        ours = value_and_grad(step(logits, target), logits)
        assert all(map(torch.equal, ours, value_and_grad(module(logits, target), logits)))
    torch._dynamo.reset()
