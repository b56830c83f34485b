"""`soft_cldice_loss` on a GPU: the CPU's values, the same bits on every run, graphs, memory."""

from __future__ import annotations

import pytest
import torch
from graphs import replayed
from srl_oracle import value_and_grad

from tubeskel import SoftClDiceLoss, soft_cldice_loss

pytestmark = pytest.mark.cuda
ops = torch.ops.tubeskel


def make_case(shape, *, samples=2, channels=3, activation="softmax", dtype=torch.float64, seed=0):
    """Logits and a target on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(samples, channels, *shape, generator=generator, dtype=torch.float64)
    target = torch.randint(0, channels, (samples, *shape), generator=generator)
    if activation == "sigmoid":
        target = torch.stack([target == c for c in range(channels)], 1)
    return logits.to(dtype).requires_grad_(), target


def on_device(logits, target):
    return logits.detach().cuda().requires_grad_(), target.cuda()


@pytest.mark.parametrize("shape", [(40, 50), (12, 13, 14), (300, 500), (40, 50, 60)])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_values_and_gradients_of_the_cpu(shape, activation):
    logits, target = make_case(shape, activation=activation)
    for options in ({}, {"iterations": 3, "batch": False}, {"ignore_index": 1, "iterations": 30}):
        loss = soft_cldice_loss(logits, target, activation=activation, **options)
        expected = value_and_grad(loss, logits)
        z, labels = on_device(logits, target)
        loss = soft_cldice_loss(z, labels, activation=activation, **options)
        found = [tensor.cpu() for tensor in value_and_grad(loss, z)]
        torch.testing.assert_close(found, list(expected), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(300, 500), (40, 50, 60)])
def test_derivatives_go_where_they_go_on_the_cpu(shape, dtype):
    """Of the same probabilities, with many equal ones."""
    logits, target = make_case(shape, dtype=dtype)
    p = ops.probabilities(logits.detach(), target, True, None)
    gpu = ops.probabilities(logits.detach().cuda(), target.cuda(), True, None)
    torch.testing.assert_close(gpu.cpu(), p, rtol=1e-5, atol=1e-7)
    p = (64 * p).round() / 64 if dtype == torch.bfloat16 else p
    options = (10, True, 1, None)
    expected = ops.soft_cldice_sums(p, target, *options)
    found = ops.soft_cldice_sums(p.cuda(), target.cuda(), *options)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-5, atol=1e-3)
    by = torch.randn(expected.shape, dtype=torch.float64)
    expected = ops.soft_cldice_gradient(by, p, target, *options)
    found = ops.soft_cldice_gradient(by.cuda(), p.cuda(), target.cuda(), *options)
    largest = expected.abs().max().item()
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-5 * largest)


def test_many_maps_on_a_small_part_of_the_workspace():
    logits, target = make_case((400, 500), samples=4, channels=12, dtype=torch.float32)
    sums = [
        ops.soft_cldice_sums(
            logits.detach().softmax(1).to(device), target.to(device), 4, True, 1, 3
        )
        for device in ("cpu", "cuda")
    ]
    torch.testing.assert_close(sums[1].cpu(), sums[0], rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("shape", [(512, 700), (64, 96, 80)])
def test_the_same_bits_on_twenty_runs(shape):
    logits, target = on_device(*make_case(shape, dtype=torch.float32))
    results = [value_and_grad(soft_cldice_loss(logits, target), logits) for _ in range(20)]
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


def test_nothing_waits_for_the_device():
    logits, target = on_device(*make_case((40, 50), dtype=torch.float32))
    criterion = SoftClDiceLoss(ignore_index=7)
    criterion(logits, target).backward()  # loads kernels
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        criterion(logits, target).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_captured_in_a_graph():
    criterion = SoftClDiceLoss(iterations=5)
    logits, target = on_device(*make_case((40, 50), dtype=torch.float32))
    other, other_target = on_device(*make_case((40, 50), dtype=torch.float32, seed=5))

    def step():
        return value_and_grad(3 * criterion(logits, target), logits)

    def change():
        with torch.no_grad():
            logits.copy_(other)
        target.copy_(other_target)

    assert all(map(torch.equal, replayed(step, change), step()))


def test_on_another_stream():
    logits, target = on_device(*make_case((40, 50), dtype=torch.float32))
    expected = value_and_grad(soft_cldice_loss(logits, target), logits)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(10**7)
        late = logits.detach().clone().requires_grad_()
        found = value_and_grad(soft_cldice_loss(late, target), late)
    stream.synchronize()
    assert all(map(torch.equal, found, expected))


def test_memory_does_not_grow_with_the_batch():
    logits, target = on_device(*make_case((512, 1024), samples=8, channels=9, dtype=torch.float32))
    p = logits.detach().softmax(1)
    sums = torch.ones(8, 8, 4, dtype=torch.float64, device="cuda")
    at_once = torch.cuda.get_device_properties(0).multi_processor_count * 2048 * 8
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    ops.soft_cldice_gradient(sums, p, target, 10, True, 1, None)
    extra = torch.cuda.max_memory_allocated() - before
    assert extra < p.nbytes + 80 * max(at_once, 512 * 1024) + 2**21


def test_more_than_2_to_31_elements():
    if torch.cuda.mem_get_info()[0] < 100 * 2**30:
        pytest.skip("needs 100 GiB of GPU memory")
    p = torch.zeros(3, 4, 20_000, 10_000, device="cuda")
    target = torch.zeros(3, 20_000, 10_000, dtype=torch.uint8, device="cuda")
    target[:, -1, -7:] = 3
    p[:, 3, -1, -7:] = 0.5
    sums = ops.soft_cldice_sums(p, target, 2, True, 1, None)
    expected = torch.zeros(3, 3, 4, dtype=torch.float64)
    expected[:, 2] = torch.tensor([3.5, 3.5, 3.5, 7.0])
    assert torch.equal(sums.cpu(), expected)
    by = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64, device="cuda")
    grad = ops.soft_cldice_gradient(by.expand(3, 3, 4).contiguous(), p, target, 0, True, 1, None)
    assert grad[:, 3, -1, -7:].any()
    assert grad[:, :3].count_nonzero() == 0
