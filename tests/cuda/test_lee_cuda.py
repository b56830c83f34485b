"""Lee's thinning on a GPU: the bits of the CPU, in a block and in tiles; graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

import tubeskel

pytestmark = pytest.mark.cuda

# In one block, in tiles; at the borders of words and tiles.
SHAPES = [
    (1, 1, 1),
    (1, 40, 70),
    (9, 63, 65),
    (64, 64, 64),
    (1, 3000, 2000),
    (65, 100, 129),
    (128, 128, 128),
]


def check(volume, **options):
    found = tubeskel.skeletonize(torch.from_numpy(volume).cuda(), method="lee", **options)
    assert np.array_equal(found.cpu(), tubeskel.skeletonize(volume, method="lee", **options))
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("keep_components", [False, True])
def test_blobs_noise_and_blocks(shape, keep_components):
    rng = np.random.default_rng(1)
    noise = rng.random(shape)
    check(ndimage.gaussian_filter(noise, 3) > 0.5, keep_components=keep_components)
    check(noise < 0.1, keep_components=keep_components)
    check(noise < 0.8, keep_components=keep_components)
    check(np.ones(shape, dtype=bool), keep_components=keep_components)
    pairs = ndimage.binary_dilation(noise < 0.005, np.ones([min(2, n) for n in shape]))
    check(pairs, keep_components=keep_components)


def test_batches():
    volumes = np.random.default_rng(3).random((5, 70, 80, 90)) < np.array(
        [0, 0.1, 0.5, 0.9, 1]
    ).reshape(5, 1, 1, 1)
    check(volumes, spatial_dims=3)
    check(volumes, spatial_dims=3, keep_components=True)
    check(volumes, spatial_dims=2)


def test_every_run_gives_the_same():
    noise = np.random.default_rng(4).random((100, 120, 260))
    volume = torch.from_numpy(ndimage.gaussian_filter(noise, 4) > 0.5).cuda()
    first = tubeskel.skeletonize(volume, keep_components=True)
    for _ in range(20):
        assert torch.equal(tubeskel.skeletonize(volume, keep_components=True), first)


def test_a_graph_holds_it():
    volume = torch.from_numpy(np.random.default_rng(5).random((40, 90, 140)) < 0.7).cuda()
    tubeskel.skeletonize(volume, keep_components=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        skeleton = tubeskel.skeletonize(volume, keep_components=True)
    volume.copy_(volume.flip(0))
    graph.replay()
    assert torch.equal(skeleton.cpu(), tubeskel.skeletonize(volume.cpu(), keep_components=True))
