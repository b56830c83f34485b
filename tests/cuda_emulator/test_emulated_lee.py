"""Lee's thinning in 2D and 3D: whole images in a block, and tiles over rounds of the re-check."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_shapes import make_mask
from scipy import ndimage
from skimage.morphology import skeletonize

import tubeskel

tubeskel.skeletonize(torch.zeros(1, 1))  # loads the ops
UNTIL_STABLE = 2**63 - 1
# Of a block: whole images of some thousand words, or tiles alone.
SHARED = (99 * 1024, 400)
RNG = np.random.default_rng(0)
P, R, C = np.ogrid[:18, :18, :140]


def spiral():
    volume = np.zeros((5, 40, 140), dtype=bool)
    angle = np.arange(0, 20 * np.pi, 0.01)
    rows, columns = 20 + angle * 0.3 * np.cos(angle), 70 + angle * np.sin(angle)
    volume[1:4, rows.astype(int), columns.astype(int)] = True
    return volume


# Where candidates hang on each other over long ways and across tiles of 8 x 8 x 128 voxels.
ADVERSARIAL = {
    "all ones": np.ones((17, 10, 130), dtype=bool),
    "slab": np.pad(np.ones((2, 18, 150), dtype=bool), 1),
    "wall": np.ones((12, 17, 2), dtype=bool),
    "checkerboard": (P + R + C) % 2 == 0,
    "blocks": (P // 3 + R // 3 + C // 3) % 2 == 0,
    "diagonal plane": abs(P + R + C // 8 - 20) <= 1,
    "diagonal bar": (abs(P - R) <= 1) & (abs(8 * R - C) <= 10),
    "shell": abs((P - 9) ** 2 + (R - 9) ** 2 + (C - 128) ** 2 - 49) < 25,
    "spiral": spiral(),
    "stripes": ((C + R[:, ::-1]) % 7 < 4) & (P % 5 < 3),
    "blob": ndimage.gaussian_filter(RNG.random((18, 20, 140)), 3) > 0.5,
}


def thin(emulated, image, keep_components=False):
    """The skeleton of a NumPy array or tensor, found right by the CPU op."""
    image = torch.as_tensor(image)
    dims = min(image.ndim, 3)
    found = emulated.thin(image, dims, "lee", UNTIL_STABLE, keep_components)
    expected = torch.ops.tubeskel.thin(image, dims, "lee", UNTIL_STABLE, keep_components)
    assert torch.equal(found, expected)
    return found.numpy()


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_lee_of_adversarial_volumes(emulated, device, shared, name):
    device(shared=shared)
    assert np.array_equal(thin(emulated, ADVERSARIAL[name]), skeletonize(ADVERSARIAL[name]))


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("density", [0.2, 0.6, 0.9])
def test_lee_of_volumes_of_awkward_shapes(emulated, device, shared, density):
    device(shared=shared)
    for shape in [
        (1, 1, 1),
        (1, 9, 64),
        (2, 1, 65),
        (3, 7, 1),
        (9, 8, 31),
        (7, 9, 32),
        (8, 17, 33),
    ]:
        volume = RNG.random(shape) < density
        assert np.array_equal(thin(emulated, volume), skeletonize(volume)), shape


@pytest.mark.parametrize("shared", SHARED)
def test_lee_of_images(emulated, device, shared):
    device(shared=shared)
    for shape in [(1, 1), (1, 70), (70, 1), (63, 63), (66, 129)]:
        for kind in ("random", "blobs", "ones", "frame"):
            image = make_mask(kind, shape, 0.7, seed=sum(shape))
            assert np.array_equal(thin(emulated, image), skeletonize(image, method="lee")), kind


@pytest.mark.parametrize("shared", SHARED)
def test_lee_of_batches(emulated, device, shared):
    device(shared=shared)
    # One that comes to rest long before the others, and one that is empty.
    volumes = torch.rand(4, 9, 10, 40) < torch.tensor([0.1, 0.7, 1.0, 0.0])[:, None, None, None]
    thin(emulated, volumes, False)
    thin(emulated, volumes, True)


@pytest.mark.parametrize("multiprocessors", [1, 4, 50])
def test_lee_on_devices_of_any_size(emulated, device, multiprocessors):
    device(multiprocessors=multiprocessors, shared=400)
    thin(emulated, ADVERSARIAL["blob"])


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("side", [2, 4])
def test_keep_components_of_cubes(emulated, device, shared, side):
    device(shared=shared)
    cubes = np.zeros((12, 20, 150), dtype=bool)
    for corner in [(1, 1, 30), (6, 6, 126), (6, 12, 60), (1, 14, 0)]:
        cubes[tuple(slice(at, at + side) for at in corner)] = True
    assert not thin(emulated, cubes).any()
    assert thin(emulated, cubes, True).sum() == 4


@pytest.mark.parametrize("density", [0.05, 0.2])
def test_keep_components_among_many(emulated, density):
    volume = RNG.random((17, 20, 140)) < density / 2
    volume |= ndimage.binary_dilation(RNG.random(volume.shape) < density / 20, np.ones((2, 2, 2)))
    kept = thin(emulated, volume, True)
    components, count = ndimage.label(volume, np.ones((3, 3, 3)))
    assert set(np.unique(components[kept])) == set(range(1, count + 1))
    assert kept.sum() > thin(emulated, volume).sum()


def test_keep_components_of_images(emulated):
    thin(emulated, np.kron(RNG.random((40, 70)) < 0.2, np.ones((2, 2))) > 0, True)
