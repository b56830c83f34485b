"""The torch ops under `torch.library.opcheck`, `torch.compile` and `torch.export`."""

from __future__ import annotations

import pytest
import torch
from devices import here
from srl_oracle import make_case, value_and_grad
from torch.utils import _pytree as pytree

import tubeskel
from tubeskel import srl_loss

pytestmark = pytest.mark.usefixtures("device")

IMAGE = (torch.rand(2, 9, 70) < 0.6).byte()
LABELS = torch.randint(0, 3, (2, 9, 70))


CLASSES = LABELS.flatten(1).byte()
COUNTS = torch.stack([torch.bincount(classes, minlength=3) for classes in CLASSES.int()])


def loss_arguments(dtype, with_grad):
    logits = torch.randn(2, 3, 630, dtype=dtype, requires_grad=with_grad)
    return logits, CLASSES, COUNTS, True, False, True, 0.0, with_grad


def gradient_arguments(dtype):
    one, logits = torch.ones((), dtype=torch.float64), torch.randn(2, 3, 630).to(dtype)
    return one, logits, CLASSES, torch.full((2, 3), -0.01, dtype=torch.float64), True


OPS = [
    ("pack_bits", (IMAGE,)),
    ("pack_bits", (IMAGE.float(),)),
    ("thin", (IMAGE, 2, "zhang", 2**63 - 1, False)),
    ("thin", (IMAGE, 2, "guo_hall", 2, False)),
    ("thin", (IMAGE, 3, "lee", 2**63 - 1, True)),
    ("dilate", (IMAGE, 2, "ball", 3.0, 1.0, 1.0, 1.0)),
    ("dilate", (IMAGE, 3, "ball", 3.0, 2.0, 1.0, 0.5)),
    ("tubed_skeleton", (LABELS, 2, "zhang", False, 2, False, None, 0, False, "labels")),
    ("tubed_skeleton", (LABELS, 2, "zhang", False, 2, True, 1, 3, True, "labels")),
    ("tubed_skeleton", (LABELS, 3, "lee", True, 2, True, 1, 3, True, "labels")),
    ("srl_classes", (LABELS.flatten(1), LABELS.flatten(1), 2, 3)),
    ("srl_classes", (LABELS.flatten(1), LABELS.flatten(1).short(), None, 300)),
    ("srl_loss", loss_arguments(torch.float32, True)),
    ("srl_loss", loss_arguments(torch.float64, True)),
    ("srl_loss", loss_arguments(torch.bfloat16, False)),
    ("srl_gradient", gradient_arguments(torch.float32)),
    ("srl_gradient", gradient_arguments(torch.float16)),
]


def test_every_op_is_checked():
    tubeskel.skeletonize(IMAGE, spatial_dims=2)  # loads the library
    names = {
        name.split("::")[1].split(".")[0]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("tubeskel::")
    }
    without_tensors = {"set_thread_limit", "use_instruction_set"}
    elsewhere = {"compound_sums", "compound_gradient", "compound_loss"}  # test_compound_tracing
    elsewhere |= {"probabilities", "soft_cldice_sums", "soft_cldice_gradient"}  # test_soft_cldice
    assert names - without_tensors - elsewhere == {name for name, _ in OPS}


@pytest.mark.parametrize(
    ("name", "arguments"), OPS, ids=[f"{i}-{op}" for i, (op, _) in enumerate(OPS)]
)
def test_opcheck(name, arguments):
    arguments = pytree.tree_map_only(torch.Tensor, here, arguments)
    torch.library.opcheck(getattr(torch.ops.tubeskel, name).default, arguments)


def test_pack_bits_puts_pixel_64_j_plus_i_in_bit_i_of_word_j():
    image = here(IMAGE)
    words = torch.ops.tubeskel.pack_bits(image)
    assert words.shape == (2, 9, 2)
    bits = words[..., None] >> torch.arange(64) & 1
    assert torch.equal(bits.flatten(2)[..., :70].byte(), image)
    assert not bits.flatten(2)[..., 70:].any()


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
        {"classes": "all", "smooth": 1e-5},
        {"batch": False, "ignore_index": 1, "per_class": True, "radius": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("given", [False, True])
def test_compiled_in_one_graph(options, given):
    logits, target = make_case(dtype=torch.float32)
    tube = target if given else None

    def loss(z):
        return 3 * srl_loss(2 * z, target, tube=tube, **options)

    value, grad = value_and_grad(compiled(loss)(logits), logits)
    expected, expected_grad = value_and_grad(loss(logits), logits)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(grad, expected_grad)


@pytest.mark.parametrize("dynamic", [True, None])
def test_compiled_with_changing_shapes(dynamic):
    loss = compiled(lambda z, y: srl_loss(z, y), dynamic=dynamic)
    for samples, shape in ((2, (20, 30)), (3, (24, 65)), (4, (40, 31)), (2, (20, 30))):
        logits, target = make_case(samples=samples, shape=shape, dtype=torch.float32)
        value, grad = value_and_grad(loss(logits, target), logits)
        expected, expected_grad = value_and_grad(srl_loss(logits, target), logits)
        assert torch.equal(value, expected)
        assert torch.equal(grad, expected_grad)


def test_compiled_module_and_sigmoid():
    logits, labels = make_case(channels=2, dtype=torch.float32)
    target = torch.stack([labels, 1 - labels], 1)
    module = tubeskel.SkeletonRecallLoss(activation="sigmoid")
    torch.testing.assert_close(compiled(module)(logits, target), module(logits, target))


def test_a_function_for_method_breaks_the_graph():
    logits, target = make_case(samples=2, shape=(16, 20), dtype=torch.float32)

    def loss(z):
        return 3 * srl_loss(2 * z, target, method=tubeskel.thin)

    value, grad = value_and_grad(torch.compile(loss, backend="aot_eager")(logits), logits)
    expected, expected_grad = value_and_grad(loss(logits), logits)
    assert torch.equal(value, expected)
    assert torch.equal(grad, expected_grad)
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="method is a function of NumPy arrays"):
        compiled(loss)(logits)


def test_compiled_without_gradient():
    logits, target = make_case(dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(compiled(srl_loss)(logits, target), srl_loss(logits, target))


@pytest.mark.parametrize(
    "function", [tubeskel.skeletonize, tubeskel.thin, tubeskel.dilate, tubeskel.tubed_skeleton]
)
def test_compiled_morphology(function):
    labels = here(LABELS)
    result = compiled(lambda x: function(x, spatial_dims=2))(labels)
    assert torch.equal(result, function(labels, spatial_dims=2))


def test_compiled_by_inductor_behind_a_channels_last_convolution(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    net = torch.nn.Conv2d(1, 3, 3, padding=1).to(memory_format=torch.channels_last)
    image = torch.randn(2, 1, 16, 20).contiguous(memory_format=torch.channels_last)
    _, target = make_case(samples=2, channels=3, shape=(16, 20))

    def step(image):
        return srl_loss(net(image).relu() * 2, target)

    expected = step(image)
    expected.backward()
    expected_grad = net.weight.grad.clone()
    net.weight.grad = None
    loss = torch.compile(step, fullgraph=True)(image)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(net.weight.grad, expected_grad, rtol=1e-4, atol=1e-7)
