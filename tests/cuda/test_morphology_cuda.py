"""Thinning, dilation and tubes on a GPU: the bits of the CPU, graphs, streams, compile, CuPy."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from mask_shapes import KINDS, make_labels, make_mask

import tubeskel
from tubeskel import _torch_ops

pytestmark = pytest.mark.cuda

# One block an image, one block a tile, one warp an image, tiles of all sizes.
SHAPES = [
    (1, 1),
    (28, 28),
    (63, 65),
    (512, 512),
    (565, 584),
    (1024, 1024),
    (33, 5000),
    (2336, 3504),
]
OPERATIONS = {
    "zhang": tubeskel.skeletonize,
    "guo_hall": tubeskel.thin,
    "lee": lambda image, **options: tubeskel.skeletonize(image, method="lee", **options),
    "dilate": lambda image, **options: tubeskel.dilate(image, radius=3, **options),
    "tube": tubeskel.tubed_skeleton,
    "tube of each class": lambda image, **options: tubeskel.tubed_skeleton(
        image, per_class=True, **options
    ),
}
operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


def check(function, image, **options):
    found = function(image.cuda(), **options)
    expected = function(image, **options)
    assert found.is_cuda
    assert found.dtype == expected.dtype
    assert torch.equal(found.cpu(), expected)


@pytest.mark.parametrize("dtype", [*_torch_ops.LABEL_DTYPES, *_torch_ops.FLOAT_DTYPES])
@pytest.mark.parametrize("shape", [(1, 1), (7, 63), (3, 5, 64), (2, 9, 65), (4, 512, 700), (0, 8)])
def test_pack_bits(dtype, shape):
    image = (torch.rand(shape) < 0.5).to(dtype)
    words = torch.ops.tubeskel.pack_bits(image.cuda())
    assert torch.equal(words.cpu(), torch.ops.tubeskel.pack_bits(image))


@operation
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_images(operation, shape):
    for kind in KINDS:
        check(operation, torch.from_numpy(make_mask(kind, shape, 0.6, seed=1)))


@operation
@pytest.mark.parametrize("batch", [0, 1, 13, 200, 3000])
def test_batches(operation, batch):
    masks = np.stack([make_mask("blobs", (90, 70), 0.7, seed) for seed in range(7)])
    check(operation, torch.from_numpy(masks)[torch.arange(batch) % 7], spatial_dims=2)


@pytest.mark.parametrize("iterations", [1, 2, 15, 16, 17, 31, 32, 33, 200])
def test_iterations(iterations):
    for shape in ((512, 512), (1500, 2000)):
        image = torch.from_numpy(make_mask("blobs", shape, 0.9, seed=4))
        check(tubeskel.thin, image, max_num_iter=iterations)


@pytest.mark.parametrize("footprint", ["diamond", "box", "ball"])
@pytest.mark.parametrize("radius", [0, 1, 2, 7, 32, 33, 100, 2000])
def test_dilation(footprint, radius):
    image = torch.zeros(1100, 900, dtype=torch.bool)
    image[torch.randint(0, 1100, (9,)), torch.randint(0, 900, (9,))] = True
    check(tubeskel.dilate, image, radius=radius, footprint=footprint)
    check(tubeskel.dilate, image[:96].view(12, 8, 900), radius=min(radius, 20), footprint=footprint)


@operation
def test_every_run_gives_the_same(operation):
    labels = torch.from_numpy(make_labels((900, 1100), 3, seed=5)).byte().cuda()
    first = operation(labels)
    for _ in range(20):
        assert torch.equal(operation(labels), first)


@operation
@pytest.mark.parametrize("size", [(4, 100, 120), (2, 1500, 1600)])
def test_graphs(operation, size):
    maps = [
        torch.from_numpy(np.stack([make_labels(size[1:], 3, 10 * n + i) for i in range(size[0])]))
        for n in range(3)
    ]
    labels = maps[0].byte().cuda()
    operation(labels, spatial_dims=2)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = operation(labels, spatial_dims=2)
    for other in maps[1:]:
        labels.copy_(other)
        graph.replay()
        assert torch.equal(found.cpu(), operation(other.byte(), spatial_dims=2))


@operation
def test_streams(operation):
    labels = torch.from_numpy(make_labels((700, 900), 3, seed=6)).byte()
    expected = operation(labels)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        late = torch.zeros_like(labels, device="cuda")
        torch.cuda._sleep(50_000_000)
        late.copy_(labels, non_blocking=True)
        found = operation(late)
    stream.synchronize()
    assert torch.equal(found.cpu(), expected)


@operation
def test_no_call_waits_for_the_device(operation):
    labels = torch.from_numpy(make_labels((700, 900), 3, seed=6)).byte().cuda()
    operation(labels)
    torch.cuda.set_sync_debug_mode("error")
    try:
        operation(labels)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@operation
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one CUDA device")
def test_other_devices(operation):
    labels = torch.from_numpy(make_labels((300, 200), 3, seed=7)).byte()
    found = operation(labels.to("cuda:1"))
    assert found.device == torch.device("cuda:1")
    assert torch.equal(found.cpu(), operation(labels))


@operation
def test_compile(operation):
    labels = torch.from_numpy(make_labels((200, 300), 3, seed=8)).byte()
    compiled = torch.compile(lambda x: operation(x + 0), fullgraph=True)
    assert torch.equal(compiled(labels.cuda()).cpu(), operation(labels))


def test_an_invalid_value_stops_the_device():
    code = """
import torch, tubeskel
tubeskel.thin(torch.full((9, 9), torch.nan, device="cuda"))
torch.cuda.synchronize()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "NaN, or a label out of range" in done.stderr


@operation
@pytest.mark.parametrize("own_stream", [False, True])
def test_cupy(operation, own_stream):
    cupy = pytest.importorskip("cupy")
    stream = cupy.cuda.Stream(non_blocking=True) if own_stream else cupy.cuda.Stream.null
    labels = make_labels((300, 401), 3, seed=9)
    for dtype, step in itertools.product(("bool", "uint8", "int64", "float32"), (1, 2, -1)):
        expected = operation(labels.astype(dtype)[::step])
        with stream:
            found = operation(cupy.asarray(labels.astype(dtype))[::step])
            assert isinstance(found, cupy.ndarray)
            assert found.dtype == expected.dtype
            assert np.array_equal(cupy.asnumpy(found), expected)
    tube, counts = tubeskel.tubed_skeleton_and_counts(cupy.asarray(labels), 3)
    expected_tube, expected_counts = tubeskel.tubed_skeleton_and_counts(labels, 3)
    assert np.array_equal(cupy.asnumpy(tube), expected_tube)
    assert np.array_equal(cupy.asnumpy(counts), expected_counts)


@operation
@pytest.mark.parametrize("name", ["null", "ptds", "own"])
def test_the_stream_of_cupy(operation, name):
    cupy = pytest.importorskip("cupy")
    streams = cupy.cuda.Stream
    stream = streams(non_blocking=True) if name == "own" else getattr(streams, name)
    labels = make_labels((300, 401), 3, seed=9).astype("uint8")
    source = cupy.asarray(labels)
    late, busy = cupy.zeros_like(source), cupy.zeros(2**26)
    cupy.cuda.Device().synchronize()
    with stream:
        for _ in range(50):  # some ten milliseconds
            busy += 1
        late[...] = source
        found = operation(late[::2])
        assert np.array_equal(cupy.asnumpy(found), operation(labels[::2]))
