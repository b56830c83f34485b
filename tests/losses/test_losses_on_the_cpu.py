"""What the CPU alone has: the losses with any number of threads, in every instruction set."""

from __future__ import annotations

import pytest
import torch
from compound_oracle import sigmoid_case, softmax_case
from srl_oracle import make_case, value_and_grad

from tubeskel import _array, dice_ce_srl_loss, srl_loss

CASES = {"softmax": softmax_case, "sigmoid": sigmoid_case}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_srl_has_the_same_bits_with_any_number_of_threads(threads, dtype):
    logits, target = make_case(samples=4, channels=3, shape=(400, 500), dtype=dtype)
    results = []
    for number in (1, 2, 5, 1):
        threads(number)
        results.append(value_and_grad(srl_loss(logits, target), logits))
        results.append(value_and_grad(srl_loss(logits, target, tube=target), logits))
    for made, given in zip(results[::2], results[1::2], strict=True):
        assert all(map(torch.equal, made, results[0]))
        assert all(map(torch.equal, given, results[1]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("activation", CASES)
def test_the_compound_loss_has_the_same_bits_with_any_number_of_threads(threads, dtype, activation):
    case = CASES[activation](samples=3, channels=3, shape=(400, 501), dtype=dtype)
    logits, target, tube = case
    results = []
    for number in (1, 2, 5, 1):
        threads(number)
        loss = dice_ce_srl_loss(logits, target, tube=tube, activation=activation)
        results.append(value_and_grad(loss, logits))
    for result in results:
        assert all(map(torch.equal, result, results[0]))


@pytest.fixture
def instruction_set():
    """`torch.ops.tubeskel.use_instruction_set`, undone after the test."""
    sets = _array.available_instruction_sets()
    yield sets, torch.ops.tubeskel.use_instruction_set
    torch.ops.tubeskel.use_instruction_set(sets[-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_srl_in_every_instruction_set(instruction_set, dtype):
    sets, use = instruction_set
    logits, target = make_case(samples=2, channels=5, shape=(70, 130), dtype=dtype)
    results = []
    for name in sets:
        use(name)
        results.append(value_and_grad(srl_loss(logits, target), logits))
    for loss, grad in results[:-1]:
        torch.testing.assert_close(loss, results[-1][0], rtol=1e-6, atol=0)
        torch.testing.assert_close(grad, results[-1][1])


@pytest.mark.parametrize("activation", CASES)
def test_the_compound_loss_in_every_instruction_set(instruction_set, activation):
    sets, use = instruction_set
    logits, target, tube = CASES[activation](channels=5, shape=(37, 41), dtype=torch.float32)
    results = []
    for name in sets:
        use(name)
        loss = dice_ce_srl_loss(
            logits, target, tube=tube, activation=activation, label_smoothing=0.1
        )
        results.append(value_and_grad(loss, logits))
    for value, grad in results:
        torch.testing.assert_close(value, results[0][0], rtol=1e-6, atol=0)
        torch.testing.assert_close(grad, results[0][1], rtol=1e-4, atol=1e-9)
