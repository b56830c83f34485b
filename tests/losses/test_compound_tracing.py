"""`dice_ce_srl_loss` under `torch.library.opcheck` and `torch.compile`."""

from __future__ import annotations

import pytest
import torch
from compound_oracle import sigmoid_case, softmax_case
from srl_oracle import value_and_grad

from tubeskel import DeepSupervision, DiceCESkeletonRecallLoss, dice_ce_srl_loss

pytestmark = pytest.mark.usefixtures("device")

SUMS = (True, None, False, True)
LOSS = (True, True, False, True, "tversky", 1e-5, 0.0, 0.1, 0.5, 1.0, 1.0, 1.0, False)


def arguments(name, dtype):
    logits, *labels = softmax_case(channels=3, shape=(90,), dtype=dtype)
    if name == "compound_sums":
        return logits, *labels, *SUMS
    logits = logits.detach()
    sums = torch.ops.tubeskel.compound_sums(logits, *labels, *SUMS)
    if name == "compound_gradient":
        return sums, logits, *labels, *SUMS[:-1]
    return sums.requires_grad_(), torch.ones(3, dtype=torch.float64), *LOSS


@pytest.mark.parametrize("name", ["compound_sums", "compound_gradient", "compound_loss"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_opcheck(name, dtype):
    torch.library.opcheck(getattr(torch.ops.tubeskel, name).default, arguments(name, dtype))


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled(function, **options):
    return torch.compile(function, fullgraph=True, backend="aot_eager", **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"recall": "tversky", "batch": False, "label_smoothing": 0.1},
        {"class_weights": [1.0, 2.0, 3.0], "ignore_index": 1},
        {"activation": "sigmoid", "recall": "log"},
    ],
    ids=str,
)
@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_whole(options, dynamic):
    make = sigmoid_case if "activation" in options else softmax_case
    for shape in ((12, 20), (9, 33)):
        logits, target, _ = make(channels=3, shape=shape, dtype=torch.float32)

        def step(logits, target):
            return 2 * dice_ce_srl_loss(logits * 1.5, target, **options)

        expected = value_and_grad(step(logits, target), logits)
        ours = value_and_grad(compiled(step, dynamic=dynamic)(logits, target), logits)
        assert all(map(torch.equal, ours, expected))


def test_the_modules_compile():
    logits, target, _ = softmax_case(channels=3, shape=(16, 16), dtype=torch.float32)
    module = DiceCESkeletonRecallLoss(alpha=lambda progress: 1 + progress)
    supervised = DeepSupervision(module)
    outputs = [logits, logits[..., ::2, ::2]]
    assert torch.equal(compiled(supervised)(outputs, target), supervised(outputs, target))
    step = compiled(module)
    for progress in (0.0, 0.5):
        module.set_progress(progress)
        loss, terms = step(logits, target, return_terms=True)
        expected, expected_terms = module(logits, target, return_terms=True)
        assert torch.equal(loss, expected)
        assert all(torch.equal(terms[name], term) for name, term in expected_terms.items())


def test_alpha_may_take_many_values_in_one_graph():
    logits, target, tube = softmax_case(channels=3, shape=(16, 16), dtype=torch.float32)
    module = DiceCESkeletonRecallLoss(alpha=lambda progress: progress)
    step = torch.compile(module, fullgraph=True, backend="eager")
    for i in range(12):
        module.set_progress(i / 12)
        assert torch.equal(step(logits, target, tube), module(logits, target, tube))
