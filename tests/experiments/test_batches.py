"""Batches depend on seed, fold and iteration only, and image and label stay together."""

import numpy as np
import pytest
import torch

from experiments.batches import BatchStream, change_intensity
from experiments.config import AugmentConfig
from experiments.data import Sample, SyntheticTubes
from experiments.random_streams import numpy_generator, torch_generator

NONE = AugmentConfig(flip=0, rotate=0, zoom=0, contrast=0, brightness=0, noise=0)
ALL = AugmentConfig(flip=0.5, rotate=1, zoom=1, contrast=1, brightness=1, noise=1)


@pytest.fixture(scope="module")
def samples():
    return SyntheticTubes("synthetic_tubes", count=5, size=64).load().samples


def stream(samples, augment=ALL, batch_size=2, crop=(32, 32), seed=0, fold=0):
    return BatchStream(samples, batch_size, crop, augment, seed, fold)


def test_a_batch_does_not_depend_on_the_batches_before(samples):
    one, two = stream(samples), stream(samples)
    for iteration in range(4):
        one.batch(iteration)
    torch.rand(7)  # nor on the global generators
    np.random.default_rng().random(7)
    for a, b in zip(one.batch(4), two.batch(4), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("change", [{"seed": 1}, {"fold": 1}])
def test_a_batch_depends_on_seed_and_fold(samples, change):
    assert not torch.equal(stream(samples).batch(3)[0], stream(samples, **change).batch(3)[0])


def test_shapes_and_types(samples):
    image, target = stream(samples, batch_size=3, crop=(32, 48)).batch(0)
    assert image.shape == (3, 1, 32, 48)
    assert image.dtype == torch.float32
    assert target.shape == (3, 32, 48)
    assert target.dtype == torch.int64
    assert set(target.unique().tolist()) <= {0, 1}


def test_every_sample_comes_once_in_each_pass():
    constant = [
        Sample(str(i), np.full((1, 16, 16), i, np.float32), np.zeros((16, 16), np.uint8))
        for i in range(6)
    ]
    batches = stream(constant, NONE, crop=(16, 16))
    seen = [int(v) for k in range(6) for v in batches.batch(k)[0][:, 0, 0, 0].round()]
    assert sorted(seen[:6]) == sorted(seen[6:]) == list(range(6))
    assert seen[:6] != seen[6:]


def test_without_augmentation_a_crop_is_a_piece_of_the_image(samples):
    image, target = stream(samples, NONE, batch_size=1).batch(0)
    found = 0
    for sample in samples:
        windows = np.lib.stride_tricks.sliding_window_view(sample.label, (32, 32))
        places = np.argwhere((windows == target[0].numpy()).all(axis=(2, 3)))
        for y, x in places:
            piece = sample.image[0, y : y + 32, x : x + 32]
            found += np.allclose(piece, image[0, 0].numpy(), atol=1e-3)
    assert found == 1


def test_image_and_label_are_moved_alike():
    rng = np.random.default_rng(0)
    label = (rng.random((8, 8)) > 0.5).repeat(8, axis=0).repeat(8, axis=1)
    sample = Sample("blocks", label[None].astype(np.float32), label.astype(np.uint8))
    geometry = AugmentConfig(flip=0.5, rotate=1, zoom=1, contrast=0, brightness=0, noise=0)
    for iteration in range(5):
        image, target = stream([sample], geometry, batch_size=1).batch(iteration)
        assert ((image[0, 0] > 0.5) == (target[0] > 0)).float().mean() > 0.98


def test_mirroring_gives_all_four_orientations():
    corner = np.zeros((16, 16), np.uint8)
    corner[0, 0] = 1
    sample = Sample("corner", corner[None].astype(np.float32), corner)
    mirror = AugmentConfig(flip=0.5, rotate=0, zoom=0, contrast=0, brightness=0, noise=0)
    batches = stream([sample], mirror, batch_size=1, crop=(16, 16))
    places = {tuple(batches.batch(k)[1][0].nonzero()[0].tolist()) for k in range(40)}
    assert places == {(0, 0), (0, 15), (15, 0), (15, 15)}


def test_an_image_smaller_than_the_crop_is_reflected():
    label = np.eye(16, dtype=np.uint8)
    sample = Sample("small", label[None].astype(np.float32), label)
    image, target = stream([sample], NONE, batch_size=1).batch(0)
    assert torch.equal(target[0, 8:24, 8:24], torch.eye(16, dtype=torch.int64))
    assert torch.equal(target[0, :8, 8:24], target[0, 8:16, 8:24].flip(0))
    assert torch.equal((image[0] > 0.5).long(), target)


def test_intensity_changes_stay_within_their_ranges():
    image = torch.randn(64, 1, 16, 16)
    image = (image - image.mean((2, 3), keepdim=True)) / image.std((2, 3), keepdim=True)
    only = AugmentConfig(contrast=1, brightness=1, noise=0)
    changed = change_intensity(image, only, numpy_generator("test"), torch_generator("test"))
    deviation, mean = changed.std((2, 3)), changed.mean((2, 3))
    assert 0.75 <= deviation.min() < 0.85
    assert 1.15 < deviation.max() <= 1.25
    assert -0.25 <= mean.min() < -0.15
    assert 0.15 < mean.max() <= 0.25
