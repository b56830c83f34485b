"""`dice_ce_srl_loss` on a GPU: the CPU's values, the same bits on every run, graphs, compile."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from compound_oracle import compound, sigmoid_case, softmax_case
from graphs import replayed
from srl_oracle import make_case, value_and_grad

import tubeskel
from tubeskel import DeepSupervision, DiceCESkeletonRecallLoss, dice_ce_srl_loss

pytestmark = pytest.mark.cuda

# Sums in another order, and the last bits of exponentials; of the gradient relative to the largest.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}
OPTIONS = [
    {},
    {"batch": False, "classes": "all", "recall_smooth": 1e-5, "include_background": True},
    {"recall": "log", "ignore_index": 1, "weight_dice": 0.5},
    {"recall": "cross_entropy", "label_smoothing": 0.1, "alpha": 0.5},
    {"recall": "tversky", "fp_weight": 0.25, "weight_ce": 0.0},
]


def on_device(*tensors, device="cuda"):
    """Copies on a GPU; the first is the logits."""
    logits, *labels = (t.detach().to(device) for t in tensors)
    return logits.requires_grad_(), *labels


def assert_same(found, expected):
    """Of (loss, gradient) on a GPU and on the CPU."""
    tolerance = TOLERANCES[expected[1].dtype]
    torch.testing.assert_close(found[0].cpu(), expected[0], rtol=min(tolerance, 1e-5), atol=1e-6)
    scale = expected[1].double().abs().max().item() if expected[1].numel() else 0
    torch.testing.assert_close(found[1].cpu(), expected[1], rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_equals_the_cpu(dtype, options):
    scale = 2.0**10  # float16 gradients need it
    for channels, shape in [
        *((c, s) for c in (2, 3, 4, 14, 20) for s in ((64, 80), (37, 53), (300, 400))),
        (300, (37, 53)),
    ]:
        logits, target, tube = softmax_case(channels=channels, shape=shape, dtype=dtype)
        loss = scale * dice_ce_srl_loss(logits, target, tube=tube, **options)
        expected = value_and_grad(loss, logits)
        logits, target, tube = on_device(logits, target, tube)
        loss = scale * dice_ce_srl_loss(logits, target, tube=tube, **options)
        assert loss.is_cuda
        assert_same(value_and_grad(loss, logits), expected)


@pytest.mark.parametrize("options", OPTIONS[:1] + OPTIONS[2:], ids=str)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_sigmoid(dtype, options):
    options = options | {"activation": "sigmoid"}
    for channels, shape in [(1, (64, 80)), (3, (37, 53)), (3, (300, 400))]:
        logits, target, tube = sigmoid_case(channels=channels, shape=shape, dtype=dtype)
        scaled = 2.0**10 * dice_ce_srl_loss(logits, target, tube=tube, **options)
        expected = value_and_grad(scaled, logits)
        logits, target, tube = on_device(logits, target, tube)
        scaled = 2.0**10 * dice_ce_srl_loss(logits, target, tube=tube, **options)
        assert_same(value_and_grad(scaled, logits), expected)


def test_the_formula_and_the_terms():
    logits, target, tube = softmax_case(samples=4, channels=5, shape=(200, 300))
    options = {"recall": "log", "label_smoothing": 0.1, "class_weights": [1.0, 2.0, 0.5, 1.0, 3.0]}
    expected, terms = compound(logits, target, tube, **options)
    expected = value_and_grad(expected, logits)
    logits, target, tube = on_device(logits, target, tube)
    loss, found = dice_ce_srl_loss(logits, target, tube=tube, return_terms=True, **options)
    for name, term in terms.items():
        torch.testing.assert_close(found[name].cpu(), term.detach(), rtol=1e-12, atol=0)
    loss, grad = value_and_grad(loss, logits)
    torch.testing.assert_close(loss.cpu(), expected[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(grad.cpu(), expected[1], rtol=1e-10, atol=1e-16)


@pytest.mark.parametrize("lower_tubes", ["skeletonize", "max_pool", "none"])
def test_tubes_made_in_the_call_at_all_resolutions(lower_tubes):
    criterion = DeepSupervision(
        DiceCESkeletonRecallLoss(class_weights=[1.0, 2.0, 1.0, 1.0]), lower_tubes=lower_tubes
    )
    logits, target = make_case(channels=4, shape=(64, 96), dtype=torch.float32)
    half = torch.nn.functional.avg_pool2d(logits.detach(), 2).requires_grad_()
    loss = criterion([logits, half], target)
    expected = [loss.detach(), *torch.autograd.grad(loss, [logits, half])]
    (logits, target), (half,) = on_device(logits, target), on_device(half)
    loss = criterion.cuda()([logits, half], target)
    found = [loss.detach(), *torch.autograd.grad(loss, [logits, half])]
    for own, other in zip(found[1:], expected[1:], strict=True):
        assert_same((found[0], own), (expected[0], other))


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 3, 0, 8)])
def test_empty(shape):
    logits = torch.zeros(shape, requires_grad=True)
    target = torch.zeros((shape[0], *shape[2:]), dtype=torch.long)
    expected = value_and_grad(dice_ce_srl_loss(logits, target, tube=target), logits)
    logits, target = on_device(logits, target)
    assert_same(value_and_grad(dice_ce_srl_loss(logits, target, tube=target), logits), expected)


@pytest.mark.parametrize("channels", [2, 4, 14, 20])
def test_the_same_bits_on_twenty_runs(channels):
    case = softmax_case(samples=4, channels=channels, shape=(512, 700), dtype=torch.float32)
    logits, target, tube = on_device(*case)
    results = [
        value_and_grad(dice_ce_srl_loss(logits, target, tube=tube, recall="log"), logits)
        for _ in range(20)
    ]
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


def assert_nothing_waits(step):
    step()  # loads kernels
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_nothing_waits_for_the_device():
    logits, target, tube = on_device(*softmax_case(channels=3, dtype=torch.float32))
    criterion = DiceCESkeletonRecallLoss(class_weights=[1.0, 2.0, 3.0]).cuda()
    assert_nothing_waits(
        lambda: (3 * criterion(logits, target, tube, return_terms=True)[0]).backward()
    )


@pytest.mark.parametrize("lower_tubes", ["skeletonize", "max_pool", "none"])
def test_deep_supervision_does_not_wait_either(lower_tubes):
    criterion = DeepSupervision(DiceCESkeletonRecallLoss(per_class=True), lower_tubes=lower_tubes)
    logits, target = on_device(*make_case(channels=4, shape=(64, 96), dtype=torch.float32))
    half = torch.nn.functional.avg_pool2d(logits.detach(), 2).requires_grad_()
    assert_nothing_waits(lambda: criterion([logits, half], target).backward())


@pytest.mark.parametrize("given", [True, False])
def test_captured_in_a_graph(given):
    criterion = DiceCESkeletonRecallLoss(recall="log", class_weights=[1.0, 2.0, 3.0, 1.0]).cuda()
    logits, target = on_device(*make_case(dtype=torch.float32))
    other, other_target = on_device(*make_case(dtype=torch.float32, seed=5))
    tube = target if given else None

    def step():
        return value_and_grad(3 * criterion(logits, target, tube), logits)

    def change():
        with torch.no_grad():
            logits.copy_(other)
        target.copy_(other_target)

    assert all(map(torch.equal, replayed(step, change), step()))


def test_on_another_stream():
    logits, target, tube = on_device(*softmax_case(dtype=torch.float32))
    expected = value_and_grad(dice_ce_srl_loss(logits, target, tube=tube), logits)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(10**7)
        late = logits.detach().clone().requires_grad_()
        found = value_and_grad(dice_ce_srl_loss(late, target, tube=tube), late)
    stream.synchronize()
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("mode", [None, "reduce-overhead"])
def test_compiled(mode):
    logits, target, tube = on_device(*softmax_case(dtype=torch.float32))

    def step(z):
        return dice_ce_srl_loss(2 * z, target, tube=tube) * 3

    expected = value_and_grad(step(logits), logits)
    compiled = torch.compile(step, fullgraph=True, mode=mode)
    for _ in range(3):
        found = [t.clone() for t in value_and_grad(compiled(logits), logits)]
        torch.testing.assert_close(found, list(expected))


def test_with_a_gradient_scaler():
    logits, target, tube = on_device(*softmax_case(dtype=torch.float32))
    expected = value_and_grad(dice_ce_srl_loss(logits, target, tube=tube), logits)[1]
    scaler = torch.amp.GradScaler("cuda")
    with torch.autocast("cuda", dtype=torch.float16):
        loss = dice_ce_srl_loss(logits.half(), target, tube=tube)
    assert loss.dtype == torch.float32
    scaler.scale(loss).backward()
    scale = expected.abs().max().item()
    torch.testing.assert_close(
        logits.grad / scaler.get_scale(), expected, rtol=0, atol=2e-3 * scale
    )


@pytest.mark.parametrize("size", [100.0, 1e4])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_large_logits_are_finite(dtype, size):
    logits, target, tube = softmax_case(dtype=dtype)
    logits = (logits.detach().sign() * size).requires_grad_()
    expected = value_and_grad(dice_ce_srl_loss(logits, target, tube=tube), logits)
    logits, target, tube = on_device(logits, target, tube)
    found = value_and_grad(dice_ce_srl_loss(logits, target, tube=tube), logits)
    assert_same(found, expected)
    assert all(tensor.isfinite().all() for tensor in found)


def test_memory_is_that_of_the_gradient():
    logits, target, tube = on_device(
        *softmax_case(channels=8, shape=(1024, 2048), dtype=torch.float16)
    )
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    value_and_grad(dice_ce_srl_loss(logits, target, tube=tube), logits)
    extra = torch.cuda.max_memory_allocated() - before
    assert extra < logits.nbytes + 4 * 2**20


SCRIPT = """
import torch, tubeskel
target = torch.zeros(1, 8, 8, dtype=torch.long, device="cuda")
target[0, 3, 4] = 2
try:
    tubeskel.dice_ce_srl_loss(torch.zeros(1, 2, 8, 8, device="cuda"), target, tube=target).item()
except (ValueError, RuntimeError) as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("sync", "message"),
    [
        ("1", "ValueError target holds 2; allowed: 0..1 and ignore_index"),
        ("0", "device-side assert"),
    ],
)
def test_a_label_out_of_range(repository, monkeypatch, sync, message):
    monkeypatch.setenv("TUBESKEL_SYNC_CHECKS", sync)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=repository, capture_output=True, text=True
    )
    assert message in done.stdout


def test_labels_on_the_cpu_are_refused():
    logits, target, _ = softmax_case(dtype=torch.float32)
    with pytest.raises(ValueError, match=r"target must be on the device of the logits, cuda:0"):
        dice_ce_srl_loss(logits.cuda(), target)


def test_more_than_2_to_31_elements():
    if torch.cuda.mem_get_info()[0] < 40 * 2**30:
        pytest.skip("needs 40 GiB of GPU memory")
    logits = torch.zeros(3, 4, 20_000, 10_000, dtype=torch.float16, device="cuda")
    target = torch.zeros(3, 20_000, 10_000, dtype=torch.uint8, device="cuda")
    target[:, -1, -7:] = 3
    logits[:, 3, -1] = 1
    logits.requires_grad_()
    loss, terms = dice_ce_srl_loss(
        logits, target, tube=target, weight_dice=0, weight_ce=0, return_terms=True
    )
    grad = torch.autograd.grad(65536 * loss, logits)[0]
    probability = float(torch.e / (torch.e + 3))
    assert loss.item() == pytest.approx(-probability, rel=1e-6)
    assert terms["ce"].item() == pytest.approx(float(torch.log(torch.tensor(4.0))), rel=1e-4)
    assert grad[:, :, -1, -7:].all()
    assert grad.count_nonzero() == 3 * 4 * 7


def test_the_module_with_its_own_tubes():
    logits, target = make_case(channels=2, dtype=torch.float32)
    criterion = tubeskel.DiceCESkeletonRecallLoss()
    expected = value_and_grad(criterion(logits, target), logits)
    logits, target = on_device(logits, target)
    assert_same(value_and_grad(criterion(logits, target), logits), expected)
