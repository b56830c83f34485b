"""2D thinning: whole images in a block, and tiles with halos over several rounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mask_shapes import make_mask
from skimage import morphology

import tubeskel

tubeskel.skeletonize(torch.zeros(1, 1))  # loads the ops
UNTIL_STABLE = 2**63 - 1
METHODS = ("zhang", "guo_hall")
# Of a block: whole images of 13 x 13 words, tiles of some words, tiles of one word and its halo.
SHARED = (99 * 1024, 12 * 1024, 4100)


def check(emulated, image, method, iterations=UNTIL_STABLE):
    found = emulated.thin(image, 2, method, iterations, False)
    assert found.dtype == torch.bool
    assert torch.equal(found, torch.ops.tubeskel.thin(image, 2, method, iterations, False))
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 70), (70, 1), (31, 33), (64, 64), (33, 129), (97, 65)]
)
def test_thin_equals_scikit_image(emulated, device, method, shape):
    function = {"zhang": morphology.skeletonize, "guo_hall": morphology.thin}[method]
    for kind in ("random", "blobs", "ones", "frame"):
        mask = make_mask(kind, shape, 0.7, seed=sum(shape))
        for shared in SHARED:
            device(shared=shared)
            found = check(emulated, torch.from_numpy(mask), method)
            assert np.array_equal(found.numpy(), function(mask)), (kind, shared)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shared", SHARED)
def test_thin_over_many_rounds(emulated, device, method, shared):
    # 75 iterations, and an image that comes to rest long before the other
    image = torch.stack([torch.ones(150, 201), torch.rand(150, 201) < 0.6]).bool()
    image[0, :9, 40] = False
    device(shared=shared)
    check(emulated, image, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("iterations", [0, 1, 2, 15, 16, 17, 32, 33, 40, 49, 1000])
def test_thin_stops_after_iterations(emulated, device, method, shared, iterations):
    image = torch.ones(100, 120, dtype=torch.bool)
    image[30:34, 90:] = False
    device(shared=shared)
    check(emulated, image, method, iterations)


@pytest.mark.parametrize("multiprocessors", [1, 7, 100])
def test_thin_on_devices_of_any_size(emulated, device, multiprocessors):
    image = torch.from_numpy(make_mask("blobs", (160, 330), 0.6, seed=3))
    for shared in SHARED:
        device(multiprocessors=multiprocessors, shared=shared)
        check(emulated, image, "zhang")


def test_thin_with_more_shared_memory_than_every_device_has(emulated, device):
    device(multiprocessors=1)
    check(emulated, torch.from_numpy(make_mask("tubes", (416, 416), 0.6, seed=4)), "zhang")


@pytest.mark.parametrize("method", METHODS)
def test_thin_of_many_small_images(emulated, method):
    check(emulated, torch.rand(40, 3, 28, 28) < 0.8, method)


@pytest.mark.parametrize("shape", [(0, 5, 5), (3, 0, 5), (3, 5, 0)])
def test_thin_of_nothing(emulated, shape):
    for method in ("zhang", "guo_hall", "lee"):
        assert emulated.thin(torch.zeros(shape), 2, method, UNTIL_STABLE, False).shape == shape


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float16, torch.float64])
def test_thin_takes_any_dtype(emulated, dtype):
    check(emulated, (torch.rand(2, 40, 50) < 0.9).to(dtype) * -3, "zhang")


@pytest.mark.parametrize("name", ["thin", "dilate", "tubed_skeleton"])
def test_sync_checks_name_nan(emulated, monkeypatch, name):
    monkeypatch.setenv("TUBESKEL_SYNC_CHECKS", "1")
    image = torch.ones(3, 9, 33)
    image[2, 8, 32] = torch.nan
    arguments = {
        "thin": (2, "zhang", UNTIL_STABLE, False),
        "dilate": (2, "box", 1.0, 1.0, 1.0, 1.0),
        "tubed_skeleton": (2, "zhang", False, 2, False, None, 0, False, "image"),
    }
    with pytest.raises(ValueError, match="image holds nan; allowed: every value but NaN"):
        getattr(emulated, name)(image, *arguments[name])


def test_thin_names_itself_where_it_fails(emulated):
    with pytest.raises(RuntimeError, match=r"thin on \[4, 5\]"):
        emulated.thin(torch.full((4, 5), torch.nan), 2, "zhang", UNTIL_STABLE, False)


def test_sizes_beyond_32_bits_are_refused(emulated):
    for shape in [(2**31, 1, 0), (1, 2**31, 0)]:
        with pytest.raises(ValueError, match=r"at most 2147483647 images, .* got 2147483648"):
            emulated.thin(torch.zeros(shape), 2, "zhang", UNTIL_STABLE, False)
