"""Dilation, tubes and the loss in 3D."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from devices import same
from skimage import morphology

import tubeskel

RNG = np.random.default_rng(1)
POINTS = RNG.random((11, 13, 70)) < 0.004
FOOTPRINTS = {
    "diamond": morphology.octahedron,
    "box": lambda r: np.ones((2 * r + 1,) * 3, dtype=bool),
    "ball": lambda r: morphology.ball(r, strict_radius=True),
}


@pytest.mark.parametrize("footprint", FOOTPRINTS)
@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5])
def test_dilation_equals_scikit_image(kind, footprint, radius):
    expected = morphology.dilation(POINTS, FOOTPRINTS[footprint](radius))
    assert same(tubeskel.dilate(kind(POINTS), radius=radius, footprint=footprint), expected)


@pytest.mark.parametrize("spacing", [(2.0, 1.0, 0.5), (1.0, 1.0, 1.0), (0.3, 0.7, 0.9)])
@pytest.mark.parametrize("radius", [0.0, 0.9, 2.0, 3.3])
def test_balls_respect_the_spacing(kind, spacing, radius):
    offsets = np.argwhere(POINTS)[:, None] - np.argwhere(np.ones_like(POINTS))[None]
    near = (((offsets * spacing) ** 2).sum(-1) <= radius**2).any(0).reshape(POINTS.shape)
    result = tubeskel.dilate(kind(POINTS), footprint="ball", radius=radius, spacing=spacing)
    assert same(result, near)


def thick_labels(dtype=np.int16):
    mask = morphology.dilation(RNG.random((3, 20, 24, 70)) < 0.004, np.ones((1, 5, 5, 5)))
    return (mask * RNG.integers(1, 4, (3, 20, 24, 1))).astype(dtype)


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_tubes_equal_the_reference_recipe(kind, radius):
    labels = thick_labels()
    tube = tubeskel.tubed_skeleton(kind(labels), radius=radius, spatial_dims=3)
    for volume, result in zip(labels, tube, strict=True):
        expected = morphology.skeletonize(volume > 0)
        for _ in range(radius):
            expected = morphology.dilation(expected)
        assert same(result, expected * volume)
    assert tube.dtype == kind(labels).dtype


def test_tubes_per_class_and_their_counts(kind):
    labels = thick_labels(np.uint8)[0]
    tube, counts = tubeskel.tubed_skeleton_and_counts(kind(labels), 4, per_class=True)
    expected = np.zeros_like(labels)
    for k in (1, 2, 3):
        wide = morphology.dilation(morphology.dilation(morphology.skeletonize(labels == k)))
        expected[wide & (labels == k)] = k
    assert same(tube, expected)
    assert counts.tolist() == [0, *np.bincount(expected.ravel(), minlength=4)[1:]]


def test_no_object_leaves_the_loss(device):
    target = torch.zeros(1, 8, 8, 8, dtype=torch.long)
    target[:, 3:5, 3:5, 3:5] = 1  # scikit-image's skeleton of this cube is empty
    logits = torch.zeros(1, 2, 8, 8, 8)
    assert tubeskel.srl_loss(logits, target).item() == pytest.approx(-0.5)


def test_the_loss_makes_the_tube_of_volumes(device):
    target = torch.from_numpy(thick_labels(np.int64)).to(device)
    logits = torch.randn(3, 4, *target.shape[1:])
    tube = tubeskel.tubed_skeleton(target, keep_components=True, spatial_dims=3)
    assert torch.equal(
        tubeskel.srl_loss(logits, target), tubeskel.srl_loss(logits, target, tube=tube)
    )


def test_cldice_of_volumes():
    volume = thick_labels()[0] > 0
    assert tubeskel.metrics.cldice(volume, volume) == 1
    scores = tubeskel.metrics.evaluate(volume.astype(int), volume, num_classes=2)[1]
    assert scores["cldice"] == 1
    assert scores["betti_2_error"] == 0
