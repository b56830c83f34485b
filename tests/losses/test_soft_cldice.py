"""`soft_cldice_loss` against plain PyTorch and MONAI: values and gradients."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from devices import here
from soft_cldice_oracle import soft_cldice
from srl_oracle import make_case, value_and_grad

import tubeskel
from tubeskel import SoftClDiceLoss, _soft_cldice_ops, soft_cldice_loss

everywhere = pytest.mark.usefixtures("device")
FLOATS = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 1e-2}


def case_of(shape, *, samples=2, channels=3, dtype=torch.float64, seed=0, scale=2.0):
    """Logits without equal probabilities nearby, and labels in stripes of noise."""
    generator = torch.Generator().manual_seed(seed)
    maps = {"generator": generator, "device": "cpu"}
    logits = scale * torch.randn(samples, channels, *shape, dtype=torch.double, **maps)
    target = torch.randint(0, channels, (samples, *shape), **maps)
    smooth = torch.rand(samples, *shape, **maps) < 0.8
    target[..., 1:] = torch.where(smooth[..., 1:], target[..., :-1], target[..., 1:])
    return here(logits.to(dtype)).requires_grad_(), here(target)


def assert_equal_to_oracle(logits, target, **options):
    ours = value_and_grad(soft_cldice_loss(logits, target, **options), logits)
    theirs = value_and_grad(soft_cldice(logits, target, **options), logits)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-13)


@everywhere
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (1, 9), (9, 1), (2, 2), (17, 70), (60, 33), (1, 1, 1), (9, 1, 7), (14, 11, 23)],
)
@pytest.mark.parametrize("iterations", [0, 1, 4, 11])
@pytest.mark.parametrize("batch", [True, False])
def test_values_and_gradients(shape, iterations, batch):
    assert_equal_to_oracle(*case_of(shape), iterations=iterations, batch=batch)


@everywhere
@pytest.mark.parametrize("shape", [(31, 40), (12, 13, 14)])
def test_smooth_images_that_last_for_many_iterations(shape):
    logits, target = case_of(shape, samples=1, channels=2)
    pool = torch.nn.functional.avg_pool2d if len(shape) == 2 else torch.nn.functional.avg_pool3d
    with torch.no_grad():
        for _ in range(2):
            logits.copy_(3 * pool(logits, 5, 1, 2))
    assert_equal_to_oracle(logits, target, iterations=8)


@everywhere
@pytest.mark.parametrize("shape", [(20, 30), (8, 9, 10)])
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_ties_have_the_gradient_of_pytorch(shape, levels):
    logits, target = case_of(shape, channels=2)
    with torch.no_grad():
        logits.copy_((logits * levels).round() / levels)
        logits[:, 0] = 0
    assert_equal_to_oracle(logits, target, iterations=4)


@everywhere
@pytest.mark.parametrize("shape", [(20, 30), (8, 9, 10)])
@pytest.mark.parametrize("channels", [1, 3])
def test_sigmoid(shape, channels):
    logits, target = case_of(shape, channels=channels)
    target = torch.stack([target % 2, target == 1, target == 0], 1)[:, :channels]
    assert_equal_to_oracle(logits, target, activation="sigmoid", iterations=3)
    if channels == 1:
        loss = soft_cldice_loss(logits, target[:, 0].bool(), activation="sigmoid", iterations=3)
        both = soft_cldice_loss(logits, target, activation="sigmoid", iterations=3)
        assert torch.equal(loss, both)


@everywhere
@pytest.mark.parametrize("options", [{"include_background": True}, {"smooth": 1e-5}], ids=str)
def test_options(options):
    assert_equal_to_oracle(*case_of((20, 30)), **options)


@everywhere
@pytest.mark.parametrize("label", [0, 2, 255, -1])
@pytest.mark.parametrize("include_background", [True, False])
def test_ignored_pixels(label, include_background):
    logits, target = case_of((20, 30))
    target[:, 5:9] = label
    options = {"include_background": include_background, "iterations": 3}
    assert_equal_to_oracle(logits, target, ignore_index=label, **options)
    expected = value_and_grad(
        soft_cldice_loss(logits, target, ignore_index=label, **options), logits
    )
    with torch.no_grad():
        logits.masked_fill_((target == label)[:, None], torch.nan)
    found = value_and_grad(soft_cldice_loss(logits, target, ignore_index=label, **options), logits)
    assert all(map(torch.equal, found, expected))


@everywhere
def test_all_ignored_and_absent_classes():
    logits, target = case_of((20, 30))
    loss, grad = value_and_grad(
        soft_cldice_loss(logits, torch.full_like(target, 7), ignore_index=7), logits
    )
    assert loss == 0
    assert not grad.any()
    assert_equal_to_oracle(logits, torch.zeros_like(target))
    loss, grad = value_and_grad(soft_cldice_loss(logits, 0 * target, smooth=0.0), logits)
    assert loss == 1
    assert not grad.isnan().any()


def test_a_perfect_prediction_has_no_loss():
    target = make_case(samples=2, channels=3, shape=(40, 50))[1]
    logits = 1e4 * (torch.nn.functional.one_hot(target.long(), 3).movedim(-1, 1).float() - 0.5)
    assert soft_cldice_loss(logits, target).item() == pytest.approx(0, abs=1e-6)


@hypothesis.given(st.data())
def test_any_shape_and_option(data):
    axes = data.draw(st.integers(2, 3))
    shape = data.draw(st.tuples(*[st.integers(1, 12)] * axes))
    channels = data.draw(st.integers(2, 4))
    logits, target = case_of(
        shape,
        samples=data.draw(st.integers(1, 3)),
        channels=channels,
        seed=data.draw(st.integers(0, 99)),
        scale=data.draw(st.sampled_from([0.1, 2.0, 20.0])),
    )
    assert_equal_to_oracle(
        logits,
        target.to(data.draw(st.sampled_from([torch.int64, torch.uint8, torch.int16]))),
        iterations=data.draw(st.integers(0, 7)),
        batch=data.draw(st.booleans()),
        include_background=data.draw(st.booleans()),
        smooth=data.draw(st.sampled_from([1.0, 1e-5])),
        ignore_index=data.draw(st.sampled_from([None, 0, 1, 9])),
    )


@everywhere
@pytest.mark.parametrize("shape", [(6, 7), (3, 4, 5)])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_gradcheck(shape, activation):
    logits, target = case_of(shape, samples=1)
    if activation == "sigmoid":
        target = torch.stack([target == c for c in range(3)], 1)
    options = {"activation": activation, "iterations": 2}
    assert torch.autograd.gradcheck(lambda z: soft_cldice_loss(z, target, **options), logits)


@everywhere
@pytest.mark.parametrize("dtype", FLOATS)
def test_dtypes(dtype):
    logits, target = case_of((40, 50), dtype=dtype)
    exact = logits.detach().double().requires_grad_()
    loss, grad = value_and_grad(1024 * soft_cldice_loss(logits, target), logits)
    exact_loss, exact_grad = value_and_grad(1024 * soft_cldice_loss(exact, target), exact)
    assert loss.dtype == torch.float32
    assert grad.dtype == dtype
    assert loss.item() == pytest.approx(exact_loss.item(), rel=1e-5)
    if dtype == torch.float32:  # halves have ties, which float64 does not see apart
        assert (grad - exact_grad).norm() <= 1e-4 * exact_grad.norm()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(1024 * soft_cldice_loss(logits, target), loss)


@everywhere
@pytest.mark.parametrize("dtype", [torch.float64, *FLOATS])
@pytest.mark.parametrize("size", [100.0, 1e4])
def test_large_logits(dtype, size):
    logits, target = case_of((20, 30), dtype=dtype)
    large = (logits.detach().sign() * size).requires_grad_()
    loss, grad = value_and_grad(soft_cldice_loss(large, target), large)
    assert 0 <= loss <= 1
    assert grad.isfinite().all()


@pytest.mark.parametrize("shape", [(700, 300), (90, 40, 50)])
def test_the_same_bits_with_any_number_of_threads(threads, shape):
    logits, target = case_of(shape, samples=1, channels=2, dtype=torch.float32)
    results = []
    for number in (1, 2, 7):
        threads(number)
        results.append(value_and_grad(soft_cldice_loss(logits, target, iterations=6), logits))
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))
    torch.testing.assert_close(
        results[0], value_and_grad(soft_cldice(logits, target, iterations=6), logits),
        rtol=1e-3, atol=1e-9,
    )  # fmt: skip


def test_every_instruction_set():
    logits, target = case_of((50, 75), dtype=torch.float32)
    sets = tubeskel._array.available_instruction_sets()
    results = []
    try:
        for name in sets:
            torch.ops.tubeskel.use_instruction_set(name)
            results.append(value_and_grad(soft_cldice_loss(logits, target), logits))
    finally:
        torch.ops.tubeskel.use_instruction_set(sets[-1])
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-5, atol=1e-9)


@everywhere
def test_more_classes_than_a_byte_holds():
    logits, target = case_of((12, 13), samples=1, channels=300)
    assert_equal_to_oracle(logits, target, iterations=2)


@everywhere
def test_empty_batch():
    logits = torch.zeros(0, 2, 5, 6, requires_grad=True)
    loss = soft_cldice_loss(logits, torch.zeros(0, 5, 6, dtype=torch.uint8))
    assert loss == 0
    assert value_and_grad(loss, logits)[1].shape == logits.shape


@pytest.mark.parametrize("iterations", [3, 10])
def test_monai_where_definitions_agree(iterations):
    losses = pytest.importorskip("monai.losses")
    logits, target = case_of((30, 40), channels=2)
    one_hot = torch.nn.functional.one_hot(target, 2).movedim(-1, 1).double()
    monai = losses.SoftclDiceLoss(
        iter_=iterations, softmax=True, include_background=False, smooth=1e-12
    )
    theirs = value_and_grad(monai(logits, one_hot), logits)
    ours = value_and_grad(
        soft_cldice_loss(logits, target, iterations=iterations, batch=False), logits
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)


@everywhere
def test_the_second_derivative_is_refused():
    logits, target = case_of((9, 9))
    with pytest.raises(RuntimeError, match="soft_cldice_loss has no second derivative"):
        torch.autograd.grad(soft_cldice_loss(logits, target), logits, create_graph=True)


def arguments(name, dtype):
    logits, target = case_of((9, 20), dtype=dtype)
    if name == "probabilities":
        return logits, target, True, 2
    p = torch.ops.tubeskel.probabilities(logits.detach(), target, True, 2)
    options = target, 2, True, 1, 2
    if name == "soft_cldice_sums":
        return p.requires_grad_(), *options
    return torch.ones(2, 2, 4, dtype=torch.float64), p, *options


@everywhere
@pytest.mark.parametrize("name", ["probabilities", "soft_cldice_sums", "soft_cldice_gradient"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_opcheck(name, dtype):
    torch.library.opcheck(getattr(torch.ops.tubeskel, name).default, arguments(name, dtype))


@everywhere
@pytest.mark.parametrize("dynamic", [False, True])
def test_compile(dynamic):
    torch._dynamo.reset()
    module = SoftClDiceLoss(iterations=2, ignore_index=1)
    compiled = torch.compile(module, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for size in (9, 12):
        logits, target = case_of((size, 10), dtype=torch.float32)
        torch.testing.assert_close(
            value_and_grad(compiled(logits, target), logits),
            value_and_grad(module(logits, target), logits),
        )


@everywhere
def test_any_strides():
    logits, target = case_of((20, 30))
    wide = torch.stack([logits.detach()] * 2, -1)[..., 0].requires_grad_()
    expected = value_and_grad(soft_cldice_loss(logits, target), logits)
    found = value_and_grad(soft_cldice_loss(wide, target.mT.contiguous().mT), wide)
    assert all(map(torch.equal, found, expected))


BAD = [
    ({"iterations": -1}, ValueError, "iterations must be at least 0, got -1"),
    ({"iterations": 2.5}, TypeError, "iterations must be an integer"),
    ({"smooth": -1.0}, ValueError, "smooth must be"),
    ({"batch": 1}, TypeError, "batch must be True or False"),
    ({"include_background": None}, TypeError, "include_background must be True or False"),
    ({"activation": "tanh"}, ValueError, "activation must be one of"),
    ({"ignore_index": 1.5}, TypeError, "ignore_index must be an integer"),
    ({"distributed": 1}, TypeError, "distributed must be True or False"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_options(options, error, message):
    logits, target = case_of((5, 6))
    with pytest.raises(error, match=message):
        soft_cldice_loss(logits, target, **options)
    with pytest.raises(error, match=message):
        SoftClDiceLoss(**options)


@everywhere
@pytest.mark.usefixtures("sync_checks")
def test_bad_tensors():
    logits, target = case_of((5, 6))
    with pytest.raises(ValueError, match=r"logits must have 2 or 3 spatial axes.*\(2, 3, 5\)"):
        soft_cldice_loss(logits[..., 0], target[..., 0])
    with pytest.raises(ValueError, match=r"target holds 9; allowed: 0\.\.2"):
        soft_cldice_loss(logits, target.clamp(min=9))
    with pytest.raises(ValueError, match="target must have shape"):
        soft_cldice_loss(logits, target[:1])
    with pytest.raises(TypeError, match=r"logits must be a torch\.Tensor, got ndarray"):
        soft_cldice_loss(np.zeros((1, 2, 5, 5)), target)


def test_module():
    logits, target = case_of((9, 9))
    module = SoftClDiceLoss(iterations=3, batch=False)
    assert torch.equal(
        module(logits, target), soft_cldice_loss(logits, target, iterations=3, batch=False)
    )
    assert "iterations=3, activation='softmax'" in repr(module)


@everywhere
def test_no_more_iterations_than_an_image_lasts():
    logits, target = make_case(channels=2, shape=(6, 9))
    last = soft_cldice_loss(logits, target, iterations=15)
    assert torch.equal(soft_cldice_loss(logits, target, iterations=2**63 - 1), last)
    sums = (_soft_cldice_ops.soft_cldice_sums(logits, target, n, True, 1, None) for n in (15, 40))
    torch.testing.assert_close(*sums, rtol=0, atol=0)
