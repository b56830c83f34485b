"""`srl_loss` on a GPU: the CPU's values, the same bits on every run, graphs, streams, compile."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from graphs import replayed
from srl_oracle import make_case, tube_of, value_and_grad

from tubeskel import srl_loss

pytestmark = pytest.mark.cuda

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def on_device(*tensors, device="cuda"):
    """Copies on a GPU; the first is the logits."""
    logits, *labels = (t.detach().to(device) for t in tensors)
    return logits.requires_grad_(), *labels


def assert_same(found, expected):
    """Of (loss, gradient) on a GPU and on the CPU."""
    tolerance = TOLERANCES[expected[1].dtype]
    torch.testing.assert_close(found[0].cpu(), expected[0], rtol=min(tolerance, 1e-6), atol=1e-7)
    scale = expected[1].double().abs().max().item()
    torch.testing.assert_close(found[1].cpu(), expected[1], rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    ("channels", "shape"),
    [(c, s) for c in (2, 3, 14) for s in ((64, 80), (37, 53), (300, 400))] + [(300, (37, 53))],
)
@pytest.mark.parametrize("options", [{}, {"batch": False, "classes": "all", "smooth": 1e-5}])
def test_equals_the_cpu(dtype, channels, shape, options):
    logits, target = make_case(channels=channels, shape=shape, dtype=dtype)
    tube = tube_of(target)
    scale = 2.0**14  # float16 gradients need it
    expected = value_and_grad(scale * srl_loss(logits, target, tube=tube, **options), logits)
    logits, target, tube = on_device(logits, target, tube)
    loss = scale * srl_loss(logits, target, tube=tube, **options)
    assert loss.is_cuda
    assert_same(value_and_grad(loss, logits), expected)


def test_the_same_bits_on_twenty_runs():
    case = on_device(*make_case(samples=8, channels=4, shape=(512, 700), dtype=torch.float32))
    logits, target = case
    results = [value_and_grad(srl_loss(logits, target, tube=target), logits) for _ in range(20)]
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


def test_nothing_waits_for_the_device():
    logits, target = on_device(*make_case(dtype=torch.float32))
    srl_loss(logits, target, tube=target).backward()  # loads kernels
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        (3 * srl_loss(logits, target, tube=target)).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("given", [True, False])
def test_captured_in_a_graph(given):
    logits, target = on_device(*make_case(dtype=torch.float32))
    other, other_target = on_device(*make_case(dtype=torch.float32, seed=5))
    tube = target if given else None

    def step():
        return value_and_grad(3 * srl_loss(logits, target, tube=tube), logits)

    def change():
        with torch.no_grad():
            logits.copy_(other)
        target.copy_(other_target)

    assert all(map(torch.equal, replayed(step, change), step()))


def test_on_another_stream():
    logits, target = on_device(*make_case(dtype=torch.float32))
    expected = value_and_grad(srl_loss(logits, target, tube=target), logits)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(10**7)
        late = logits.detach().clone().requires_grad_()
        found = value_and_grad(srl_loss(late, target, tube=target), late)
    stream.synchronize()
    assert all(map(torch.equal, found, expected))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_on_another_device():
    case = make_case(dtype=torch.float32)
    results = []
    for device in ("cuda:0", "cuda:1"):
        logits, target = on_device(*case, device=device)
        results.append(value_and_grad(srl_loss(logits, target, tube=target), logits))
        assert results[-1][1].device == torch.device(device)
    assert all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(*results, strict=True))
    with pytest.raises(ValueError, match=r"target must be on the device of the logits, cuda:0"):
        srl_loss(case[0].to("cuda:0"), case[1].to("cuda:1"))


def test_labels_on_the_cpu_are_refused():
    logits, target = make_case(dtype=torch.float32)
    with pytest.raises(ValueError, match=r"target must be on the device of the logits, cuda:0"):
        srl_loss(logits.cuda(), target)


@pytest.mark.parametrize("mode", [None, "reduce-overhead"])
def test_compiled(mode):
    logits, target = on_device(*make_case(dtype=torch.float32))

    def step(z):
        return srl_loss(2 * z, target, tube=target) * 3

    expected = value_and_grad(step(logits), logits)
    compiled = torch.compile(step, fullgraph=True, mode=mode)
    for _ in range(3):
        found = [t.clone() for t in value_and_grad(compiled(logits), logits)]
        torch.testing.assert_close(found, list(expected))


def test_with_a_gradient_scaler():
    logits, target = on_device(*make_case(dtype=torch.float32))
    expected = value_and_grad(srl_loss(logits, target, tube=target), logits)[1]
    scaler = torch.amp.GradScaler("cuda")
    with torch.autocast("cuda", dtype=torch.float16):
        loss = srl_loss(logits.half(), target, tube=target)
    assert loss.dtype == torch.float32
    scaler.scale(loss).backward()
    scale = expected.abs().max().item()
    torch.testing.assert_close(  # logits of up to 10 are rounded too
        logits.grad / scaler.get_scale(), expected, rtol=0, atol=5e-3 * scale
    )


SCRIPT = """
import torch, tubeskel
target = torch.zeros(1, 8, 8, dtype=torch.long, device="cuda")
target[0, 3, 4] = 2
try:
    tubeskel.srl_loss(torch.zeros(1, 2, 8, 8, device="cuda"), target, tube=target).item()
except (ValueError, RuntimeError) as error:
    print(type(error).__name__, error)
"""


def test_a_label_out_of_range_stops_the_device(repository):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=repository, capture_output=True, text=True
    )
    assert "device-side assert" in done.stdout


def test_more_than_2_to_31_elements():
    if torch.cuda.mem_get_info()[0] < 40 * 2**30:
        pytest.skip("needs 40 GiB of GPU memory")
    logits = torch.zeros(3, 4, 20_000, 10_000, dtype=torch.float16, device="cuda")
    target = torch.zeros(3, 20_000, 10_000, dtype=torch.uint8, device="cuda")
    target[:, -1, -7:] = 3
    logits[:, 3, -1] = 1
    logits.requires_grad_()
    loss, grad = value_and_grad(65536 * srl_loss(logits, target, tube=target), logits)
    probability = float(torch.e / (torch.e + 3))
    assert loss.item() / 65536 == pytest.approx(-probability, rel=1e-6)
    assert grad[:, :, -1, -7:].all()
    assert grad.count_nonzero() == 3 * 4 * 7
