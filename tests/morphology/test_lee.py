"""Lee's thinning against scikit-image, bit for bit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from devices import as_array, same
from PIL import Image, ImageSequence
from scipy import ndimage
from signals import heed_interrupts
from skimage.morphology import skeletonize as reference

import tubeskel
from tubeskel import _array

RNG = np.random.default_rng(0)
P, R, C = np.ogrid[:40, :40, :70]


def spiral():
    volume = np.zeros((7, 90, 90), dtype=bool)
    angle = np.arange(0, 40 * np.pi, 0.01)
    rows, columns = (45 + angle * 0.33 * f(angle) for f in (np.cos, np.sin))
    volume[2:5, rows.astype(int), columns.astype(int)] = True
    return volume


ADVERSARIAL = {
    "one voxel": np.ones((1, 1, 1), dtype=bool),
    "line": np.ones((1, 1, 200), dtype=bool),
    "slab": np.pad(np.ones((2, 50, 66), dtype=bool), 3),
    "all ones": np.ones((21, 22, 65), dtype=bool),
    "all zeros": np.zeros((5, 6, 7), dtype=bool),
    "checkerboard": (P + R + C) % 2 == 0,
    "blocks": (P // 3 + R // 3 + C // 3) % 2 == 0,
    "diagonal plane": abs(P + R + C - 70) <= 1,
    "diagonal bar": (abs(P - R) <= 1) & (abs(R - C) <= 1),
    "shell": abs((P - 20) ** 2 + (R - 20) ** 2 + (C - 35) ** 2 - 15**2) < 40,
    "spiral": spiral(),
    "blob": ndimage.gaussian_filter(RNG.random((40, 50, 70)), 4) > 0.5,
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_volumes(name, kernels):
    volume = ADVERSARIAL[name]
    assert same(tubeskel.skeletonize(kernels(volume)), reference(volume))


@pytest.mark.parametrize("density", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_random_volumes_of_awkward_shapes(density, kernels):
    for shape in [(1, 9, 64), (2, 1, 65), (3, 7, 1), (9, 8, 63), (13, 17, 129), (5, 40, 70)]:
        volume = RNG.random(shape) < density
        assert same(tubeskel.skeletonize(kernels(volume)), reference(volume)), shape


@pytest.mark.parametrize("density", [0.4, 0.6, 0.8, 1.0])
def test_images(density, kind):
    for shape in [(1, 1), (1, 80), (33, 1), (60, 64), (90, 131)]:
        image = RNG.random(shape) < density
        expected = reference(image, method="lee")
        assert same(tubeskel.skeletonize(kind(image), method="lee"), expected)
        assert same(tubeskel.skeletonize(kind(image[None])), expected[None])


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_number_of_threads_changes_nothing(threads, n):
    volume = ndimage.gaussian_filter(RNG.random((80, 160, 200)), 3) > 0.5
    threads(n)
    expected = reference(volume)
    assert np.array_equal(tubeskel.skeletonize(volume), expected)
    assert np.array_equal(tubeskel.skeletonize(torch.from_numpy(volume)), expected)


def test_batches_of_volumes(kind):
    volumes = RNG.random((2, 3, 6, 9, 70)) < 0.6
    skeletons = tubeskel.skeletonize(kind(volumes), spatial_dims=3)
    for index in np.ndindex(2, 3):
        assert same(skeletons[index], reference(volumes[index]))
    with pytest.raises(ValueError, match="5D"):
        tubeskel.skeletonize(kind(volumes))


def test_rounds_of_the_recheck_are_reported():
    volume = np.ascontiguousarray(ADVERSARIAL["blob"])[None]
    iterations, rounds, most = _array.lee_statistics(volume, 1)
    assert iterations > 1
    assert rounds >= most >= 2
    assert iterations == _array.lee_statistics(volume, 3)[0]


def test_real_volumes(data_folder, kind):
    paths = sorted((data_folder / "vesselNN" / "labels").glob("*.tif"))
    for path in paths[:3]:
        with Image.open(path) as stack:
            volume = np.stack([np.asarray(page) for page in ImageSequence.Iterator(stack)]) > 0
        assert same(tubeskel.skeletonize(kind(volume)), reference(volume)), path.name


@pytest.mark.parametrize("side", [2, 4])
def test_keep_components(side, kind):
    cube = np.pad(np.ones((side,) * 3, dtype=bool), 2)
    assert not reference(cube).any()
    assert not tubeskel.skeletonize(kind(cube)).any()
    assert tubeskel.skeletonize(kind(cube), keep_components=True).sum() == 1
    volume = RNG.random((30, 40, 70)) < 0.08
    volume |= ndimage.binary_dilation(RNG.random(volume.shape) < 0.002, np.ones((2, 2, 2)))
    kept = as_array(tubeskel.skeletonize(kind(volume), keep_components=True))
    components, count = ndimage.label(volume, np.ones((3, 3, 3)))
    assert set(np.unique(components[kept])) == set(range(1, count + 1))
    assert not (kept & ~volume).any()
    assert (kept >= tubeskel.skeletonize(volume)).all()


def test_ctrl_c_stops_a_long_call():
    script = (
        "import numpy as np, tubeskel\n"
        "tubeskel.set_num_threads(2)\n"
        "volume = np.ones((700, 700, 700), dtype=bool)\n"
        "print('ready', flush=True)\n"
        "tubeskel.skeletonize(volume)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    )
    assert process.stdout.readline() == b"ready\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    assert process.returncode != 0
