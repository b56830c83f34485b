"""Arguments of `dice_ce_srl_loss` and its module: what is taken, and errors that name them."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest
import torch
from compound_oracle import sigmoid_case, softmax_case

from tubeskel import DiceCESkeletonRecallLoss, dice_ce_srl_loss

pytestmark = pytest.mark.usefixtures("device")

LABEL_DTYPES = ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]


@pytest.fixture
def case(device):
    return softmax_case(channels=3, dtype=torch.float32)


@pytest.fixture
def logits(case):
    return case[0]


@pytest.fixture
def target(case):
    return case[1]


@pytest.fixture
def tube(case):
    return case[2]


@pytest.mark.parametrize("dtype", LABEL_DTYPES)
def test_labels_of_any_integer_type(logits, target, tube, dtype):
    expected = dice_ce_srl_loss(logits, target, tube=tube)
    labels, of_tube = (labels.to(getattr(torch, dtype)) for labels in (target, tube))
    for shaped in (labels, labels[:, None]):
        assert torch.equal(dice_ce_srl_loss(logits, shaped, tube=of_tube), expected)


def test_bools_are_labels_of_two_classes():
    logits, target, tube = sigmoid_case(dtype=torch.float32)
    expected = dice_ce_srl_loss(logits, target, tube=tube, activation="sigmoid")
    ours = dice_ce_srl_loss(logits, target.bool(), tube=tube.bool(), activation="sigmoid")
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("name", ["target", "tube"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64"])
@pytest.mark.parametrize("bad", [3, 100, -1])
def test_values_out_of_range(logits, target, tube, sync_checks, name, dtype, bad):
    if bad < 0 and dtype.startswith("u"):
        bad = 255
    labels = {"target": target, "tube": tube}
    spoilt = labels[name].clone().to(getattr(torch, dtype))
    spoilt[1, 7, 20] = bad
    with pytest.raises(ValueError, match=rf"{name} holds {bad}; allowed: 0\.\.2"):
        dice_ce_srl_loss(logits, **(labels | {name: spoilt}))


@pytest.mark.parametrize("name", ["target", "tube"])
def test_soft_labels_are_refused(logits, target, tube, name):
    labels = {"target": target, "tube": tube}
    with pytest.raises(ValueError, match=rf"{name} must hold integers or bools, got torch.float32"):
        dice_ce_srl_loss(logits, **(labels | {name: labels[name].float()}))


OPTIONS = [
    ("recall", "square", ValueError),
    ("activation", "tanh", ValueError),
    ("classes", "some", ValueError),
    ("alpha", -1.0, ValueError),
    ("alpha", "1", TypeError),
    ("weight_dice", float("nan"), ValueError),
    ("weight_ce", None, TypeError),
    ("fp_weight", -0.1, ValueError),
    ("dice_smooth", -1e-5, ValueError),
    ("recall_smooth", float("inf"), ValueError),
    ("label_smoothing", 1.5, ValueError),
    ("label_smoothing", True, TypeError),
    ("batch", 1, TypeError),
    ("include_background", None, TypeError),
    ("distributed", "no", TypeError),
    ("per_class", 0, TypeError),
    ("radius", -1, ValueError),
    ("ignore_index", 255.0, TypeError),
]


@pytest.mark.parametrize(("name", "bad", "error"), OPTIONS, ids=lambda value: str(value)[:20])
def test_options(logits, target, tube, name, bad, error):
    shown = re.escape(str(bad))
    with pytest.raises(error, match=f"{name} .*{shown}"):
        dice_ce_srl_loss(logits, target, tube=tube, **{name: bad})
    with pytest.raises(error, match=f"{name} .*{shown}"):
        DiceCESkeletonRecallLoss(**{name: bad})


@pytest.mark.parametrize("weights", [[1.0, 2.0], torch.ones(4)])
def test_class_weights_for_another_number_of_classes(logits, target, tube, weights):
    with pytest.raises(ValueError, match=f"class_weights .* 3 channels, got {len(weights)}"):
        dice_ce_srl_loss(logits, target, tube=tube, class_weights=weights)


def test_class_weights_of_another_shape():
    with pytest.raises(ValueError, match=r"class_weights must have shape \(C,\).*\(3, 1\)"):
        DiceCESkeletonRecallLoss(class_weights=torch.ones(3, 1))


def test_no_tube_is_needed_without_its_term():
    logits, target = torch.zeros(1, 2, 9), torch.zeros(1, 9, dtype=torch.long)
    assert dice_ce_srl_loss(logits, target, alpha=0.0).isfinite()
    with pytest.raises(ValueError, match="tube must be given"):
        dice_ce_srl_loss(logits, target)


def test_layouts_and_the_input_is_left_alone(logits, target, tube):
    before = logits.detach().clone()
    expected = dice_ce_srl_loss(logits, target, tube=tube)
    strided = logits.mT.contiguous().mT
    assert torch.equal(dice_ce_srl_loss(strided, target.mT.contiguous().mT, tube=tube), expected)
    expected.backward()
    assert torch.equal(logits, before)


# ---- the module


def test_the_module_has_the_options_of_the_function():
    function = inspect.signature(dice_ce_srl_loss).parameters
    module = inspect.signature(DiceCESkeletonRecallLoss).parameters
    assert set(module) == set(function) - {"logits", "target", "tube", "return_terms"}
    assert all(module[name].default == function[name].default for name in module)


@pytest.mark.parametrize(
    "options", [{}, {"recall": "log", "batch": False}, {"class_weights": [1.0, 2.0, 3.0]}], ids=str
)
def test_the_module_equals_the_function(logits, target, tube, options):
    module = DiceCESkeletonRecallLoss(alpha=2.0, **options)
    expected = dice_ce_srl_loss(logits, target, tube=tube, alpha=2.0, **options)
    for other in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(logits, target, tube), expected)
        assert repr(other) == repr(module)
    loss, terms = module(logits, target, tube, return_terms=True)
    assert torch.equal(loss, expected)
    assert list(terms) == ["dice", "ce", "recall"]
    assert not module.state_dict()


def test_a_schedule_of_alpha(logits, target, tube):
    module = DiceCESkeletonRecallLoss(alpha=lambda progress: 4 * progress)
    for progress in (0.0, 0.25, 1.0):
        module.set_progress(progress)
        expected = dice_ce_srl_loss(logits, target, tube=tube, alpha=4 * progress)
        assert torch.equal(module(logits, target, tube), expected)
    assert torch.equal(
        module(logits, target, tube, alpha=0.5),
        dice_ce_srl_loss(logits, target, tube=tube, alpha=0.5),
    )


@pytest.mark.parametrize("bad", [-0.1, 1.1, "a"])
def test_progress_out_of_range(bad):
    error = TypeError if isinstance(bad, str) else ValueError
    with pytest.raises(error, match=f"progress .*{bad}"):
        DiceCESkeletonRecallLoss().set_progress(bad)


def test_class_weights_move_with_the_module():
    criterion = DiceCESkeletonRecallLoss(class_weights=[1.0, 2.0, 3.0])
    assert list(dict(criterion.named_buffers())) == ["class_weights"]
    assert not criterion.state_dict()
    assert criterion.to("meta").class_weights.is_meta


def test_class_weights_of_any_layout(logits, target, tube):
    def loss(weights):
        return dice_ce_srl_loss(logits, target, tube=tube, class_weights=weights)

    n = logits.shape[1]
    wide = torch.arange(1.0, 2 * n + 1, dtype=torch.float64)
    expected = loss(wide[::2].tolist())
    assert torch.equal(loss(wide[::2]), expected)
    assert torch.equal(loss(wide.cpu().numpy()[::2]), expected)
    assert torch.equal(loss(torch.tensor(2.0).double().expand(n)), loss([2.0] * n))


@pytest.mark.parametrize("bad", ["ab", [None, 1, 1], [-1, 1, 1], [float("nan"), 1, 1]])
def test_class_weights_that_are_none(logits, target, bad):
    with pytest.raises((TypeError, ValueError), match="class_weights must be"):
        dice_ce_srl_loss(logits, target, class_weights=bad)
