"""Batches depend on seed, fold and iteration only, and image and label stay together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments import intensities
from experiments.batches import BatchStream, Store
from experiments.config import AugmentConfig, TrainConfig
from experiments.data import Sample, SyntheticTubes
from experiments.errors import ConfigError
from experiments.intensities import change_intensities
from experiments.losses import IGNORE

NONE = AugmentConfig(flip=0, rotate=0, zoom=0, contrast=0, brightness=0, noise=0)
GEOMETRY = AugmentConfig(flip=0.5, rotate=1, zoom=1, contrast=0, brightness=0, noise=0)
ALL = AugmentConfig(
    *(0.5, 1, 1, (0.7, 1.4), 1, 1, 1),
    brightness=1,
    scale=1,
    low_resolution=1,
    gamma=1,
    gamma_inverted=1,
)
INTENSITIES = ("noise", "smooth", "scale", "contrast", "brightness", "low_resolution", "gamma")


@pytest.fixture(scope="module")
def samples():
    return SyntheticTubes("synthetic_tubes", count=5, size=64).load().samples


def stream(samples, augment=ALL, batch_size=2, crop=(32, 32), seed=0, fold=0, foreground=0.0):
    train = TrainConfig(batch_size=batch_size, crop=crop, foreground=foreground)
    return BatchStream(Store(samples, torch.device("cpu")), train, augment, seed, fold)


def sample_of(label, image=None, **fields):
    label = np.asarray(label, np.uint8)
    return Sample("a", label[None].astype(np.float32) if image is None else image, label, **fields)


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
    assert target.dtype == torch.uint8
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
    for iteration in range(5):
        image, target = stream([sample], GEOMETRY, batch_size=1).batch(iteration)
        assert ((image[0, 0] > 0.5) == (target[0] > 0)).float().mean() > 0.98


def test_what_is_only_mirrored_stays_sharp_beside_what_is_rotated():
    rng = np.random.default_rng(0)
    label = (rng.random((8, 8)) > 0.5).repeat(8, axis=0).repeat(8, axis=1)
    some = AugmentConfig(flip=0.5, rotate=0.5, zoom=0, contrast=0, brightness=0, noise=0)
    image, target = stream([sample_of(label)] * 4, some, batch_size=16).batch(0)
    difference = (image[:, 0] - target).abs().mean((1, 2))
    assert 0 < (difference == 0).sum() < 16
    assert difference.max() < 0.1


def test_mirroring_is_along_the_allowed_axes_only():
    """Where it would make a left structure a right one."""
    label = np.zeros((16, 16), np.uint8)
    label[2:5, 2:8] = 1
    sample = Sample("a", np.zeros((1, 16, 16), np.float32), label)
    mirror = AugmentConfig(flip=0.5, rotate=0, zoom=0, contrast=0, brightness=0, noise=0)
    batches = replace(stream([sample], mirror, batch_size=1, crop=(16, 16)), mirror_axes=(0,))
    seen = {batches.batch(i)[1][0].numpy().tobytes() for i in range(20)}
    assert seen == {label.tobytes(), label[::-1].tobytes()}


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
    assert torch.equal(target[0, 8:24, 8:24], torch.eye(16, dtype=torch.uint8))
    assert torch.equal(target[0, :8, 8:24], target[0, 8:16, 8:24].flip(0))
    assert torch.equal((image[0] > 0.5).byte(), target)


def test_a_volume_is_cropped_and_moved_like_an_image():
    rng = np.random.default_rng(0)
    label = (rng.random((4, 6, 6)) > 0.5).repeat(4, 0).repeat(4, 1).repeat(4, 2)
    sample = sample_of(label, spacing=(2.0, 1.0, 1.0))
    whole = stream([sample], NONE, batch_size=1, crop=(16, 24, 24)).batch(0)
    assert torch.equal(whole[1][0], torch.from_numpy(label).byte())
    for iteration in range(3):
        image, target = stream([sample], GEOMETRY, crop=(8, 12, 16)).batch(iteration)
        assert image.shape == (2, 1, 8, 12, 16)
        assert ((image[:, 0] > 0.5) == (target > 0)).float().mean() > 0.95


def test_volumes_with_thick_slices_are_rotated_within_them():
    planes = np.arange(8)[:, None, None].repeat(16, 1).repeat(16, 2)
    turn = AugmentConfig(flip=0, rotate=1, zoom=0, contrast=0, brightness=0, noise=0)
    thick = sample_of(planes, spacing=(5.0, 1.0, 1.0))
    _, target = stream([thick], turn, batch_size=1, crop=(8, 8, 8)).batch(0)
    assert torch.equal(target[0], torch.arange(8)[:, None, None].expand(8, 8, 8).byte())
    cube = sample_of(planes, spacing=(1.0, 1.0, 1.0))
    _, target = stream([cube], turn, batch_size=1, crop=(8, 8, 8)).batch(0)
    assert len(target[0, 0].unique()) > 1


def test_a_rotation_is_one_in_real_space():
    spacing = (3.0, 1.0)
    y, x = np.mgrid[:32, :96]
    distance = np.hypot((y - 15.5) * spacing[0], x - 47.5)
    disc = distance < 30
    turn = AugmentConfig(flip=0, rotate=1, zoom=0, contrast=0, brightness=0, noise=0)
    batches = stream([sample_of(disc, spacing=spacing)], turn, batch_size=1, crop=(32, 96))
    for iteration in range(4):
        turned = batches.batch(iteration)[1][0].numpy()
        assert (turned != disc)[distance < 45].mean() < 0.05  # beyond, the image is reflected


def test_ignored_pixels_keep_out_of_the_target():
    ignore = np.zeros((16, 16), bool)
    ignore[4:9] = True
    sample = sample_of(np.ones((16, 16)), ignore=ignore)
    _, target = stream([sample], NONE, batch_size=1, crop=(16, 16)).batch(0)
    assert torch.equal(target[0] == IGNORE, torch.from_numpy(ignore))
    _, target = stream([sample], GEOMETRY, batch_size=1, crop=(16, 16)).batch(0)
    assert set(target.unique().tolist()) <= {1, IGNORE}


def test_crops_are_centred_on_any_class_where_asked():
    label = np.zeros((64, 64))
    label[10, 12], label[40:50, 40:50] = 1, 2
    batches = stream([sample_of(label)], NONE, 16, (8, 8), foreground=1.0)
    _, target = batches.batch(0)
    centres = target[:, 3:5, 3:5].amax((1, 2))
    assert set(centres.tolist()) == {1, 2}
    _, target = stream([sample_of(label)], NONE, 16, (8, 8)).batch(0)
    assert (target.amax((1, 2)) == 0).any()


def test_images_of_different_sizes_share_a_batch():
    samples = [sample_of(np.eye(n)) for n in (40, 50, 33)]
    image, target = stream(samples, NONE, batch_size=3, crop=(32, 32)).batch(0)
    assert torch.equal((image[:, 0] > 0.5).byte(), target)


def test_a_crop_of_other_dimensions_is_refused(samples):
    with pytest.raises(ConfigError, match=r"train.crop = \[8, 8, 8\]: allowed is a list of 2"):
        stream(samples, crop=(8, 8, 8))


def standardised(*shape):
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    axes = tuple(range(2, image.ndim))
    return (image - image.mean(axes, keepdim=True)) / image.std(axes, keepdim=True)


def test_intensity_changes_stay_within_their_ranges():
    only = AugmentConfig(contrast=1, brightness=1, noise=0)
    changed = change_intensities(standardised(64, 1, 16, 16), only, 0, 0, 0)
    deviation, mean = changed.std((2, 3)), changed.mean((2, 3))
    assert 0.75 <= deviation.min() < 0.85
    assert 1.15 < deviation.max() <= 1.25
    assert -0.25 <= mean.min() < -0.15
    assert 0.15 < mean.max() <= 0.25


@pytest.mark.parametrize("shape", [(4, 2, 20, 16), (3, 1, 8, 12, 10)])
@pytest.mark.parametrize("name", INTENSITIES)
def test_each_change_changes_only_the_images_drawn(name, shape):
    image = standardised(*shape)
    nothing = dict.fromkeys(("contrast", "brightness", "noise"), 0)
    for probability, changed in ((0, 0), (1, shape[0])):
        augment = AugmentConfig(**nothing | {name: probability})
        after = change_intensities(image.clone(), augment, 0, 0, 0)
        assert after.shape == image.shape
        assert after.isfinite().all()
        assert sum(not torch.equal(a, b) for a, b in zip(image, after, strict=True)) == changed


def test_smoothing_is_a_gaussian_of_each_images_own_width():
    from scipy.ndimage import gaussian_filter

    image = standardised(2, 1, 20, 24)
    smoothed = intensities.smooth(image, torch.tensor([0.5, 1.0]).view(2, 1, 1, 1))
    for i, sigma in enumerate((0.5, 1.0)):
        expected = gaussian_filter(image[i, 0].numpy(), sigma, mode="nearest", radius=4)
        np.testing.assert_allclose(smoothed[i, 0], expected, atol=1e-5)


def test_a_lower_resolution_loses_detail_and_keeps_the_rest():
    stripes = (torch.arange(32) % 2).float().expand(1, 1, 32, 32)
    ramp = torch.arange(32.0).expand(1, 1, 32, 32)
    half = torch.full((1, 1, 1, 1), 0.5)
    assert intensities.lower_resolution(stripes, half).std() == 0
    assert (intensities.lower_resolution(ramp, half) - ramp).abs().max() <= 1
    assert torch.equal(intensities.lower_resolution(ramp, 2 * half), ramp)


def test_gamma_keeps_mean_and_deviation():
    image = 2 * standardised(2, 3, 16, 16) + 1
    for exponent in (0.7, 1.5):
        after = intensities.gamma(image, torch.full((2, 1, 1, 1), exponent))
        torch.testing.assert_close(after.mean((1, 2, 3)), image.mean((1, 2, 3)))
        torch.testing.assert_close(after.std((1, 2, 3)), image.std((1, 2, 3)))
        assert (after.median() > image.median()) == (exponent < 1)
    flat = torch.ones(1, 1, 8, 8)
    assert torch.equal(intensities.gamma(flat, torch.full((1, 1, 1, 1), 0.7)), flat)


def test_a_contrast_change_can_keep_the_range():
    image = standardised(16, 2, 16, 16)
    for keeps in (False, True):
        only = AugmentConfig(contrast=1, contrast_keeps_range=keeps, brightness=0, noise=0)
        after = change_intensities(image.clone(), only, 0, 0, 0)
        inside = (after <= image.amax((1, 2, 3), keepdim=True)) & (
            after >= image.amin((1, 2, 3), keepdim=True)
        )
        assert bool(inside.all()) == keeps
