"""`SkeletonRecallLoss` is `srl_loss` with its options kept."""

from __future__ import annotations

import copy
import inspect
import io
import pickle

import pytest
import torch
from srl_oracle import make_case, tube_of

import tubeskel
from tubeskel import SkeletonRecallLoss, srl_loss

pytestmark = pytest.mark.usefixtures("device")

OPTIONS = [
    {},
    {"radius": 3, "batch": False},
    {"classes": "all", "smooth": 1e-5},
    {"ignore_index": 2, "per_class": True},
    {"method": tubeskel.thin},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_the_function(options):
    logits, target = make_case()
    assert torch.equal(
        SkeletonRecallLoss(**options)(logits, target), srl_loss(logits, target, **options)
    )
    tube = tube_of(target)
    given = SkeletonRecallLoss(**options)(logits, target, tube)
    assert torch.equal(given, srl_loss(logits, target, tube=tube, **options))


def test_sigmoid():
    logits, target = make_case(channels=2)
    logits = logits[:, :1]
    loss = SkeletonRecallLoss(activation="sigmoid")(logits, target)
    assert torch.equal(loss, srl_loss(logits, target, activation="sigmoid"))


def test_has_the_options_of_the_function_with_the_same_defaults():
    function = inspect.signature(srl_loss).parameters
    module = inspect.signature(SkeletonRecallLoss).parameters
    assert set(module) == set(function) - {"logits", "target", "tube"}
    assert all(module[name].default == function[name].default for name in module)
    assert {p.kind for p in module.values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_repr_shows_every_option():
    text = repr(SkeletonRecallLoss(radius=4, smooth=1e-5, classes="all", ignore_index=255))
    assert text == (
        "SkeletonRecallLoss(radius=4, method=None, activation='softmax', classes='all', "
        "batch=True, smooth=1e-05, ignore_index=255, per_class=False)"
    )
    assert repr(eval(text)) == text


def test_has_nothing_to_learn_or_to_store():
    module = SkeletonRecallLoss()
    assert not list(module.parameters())
    assert not module.state_dict()
    module.load_state_dict({})


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_copies_and_pickles(options):
    module = SkeletonRecallLoss(**options)
    logits, target = make_case()
    expected = module(logits, target)
    stored = io.BytesIO()
    torch.save(module, stored)
    stored.seek(0)
    for other in (
        copy.copy(module),
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        torch.load(stored, weights_only=False),
    ):
        assert repr(other) == repr(module)
        assert torch.equal(other(logits, target), expected)


def test_the_function_pickles():
    assert pickle.loads(pickle.dumps(tubeskel.srl_loss)) is srl_loss


def test_inside_a_module_that_moves(device):
    both = torch.nn.ModuleDict({"net": torch.nn.Conv2d(1, 2, 3), "loss": SkeletonRecallLoss()})
    both.double().train().eval().to(device).requires_grad_(False)
    logits, target = make_case(channels=2)
    assert torch.equal(both["loss"](logits, target), srl_loss(logits, target))
