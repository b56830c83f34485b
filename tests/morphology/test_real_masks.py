"""Masks of real data sets against scikit-image, bit for bit."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest
import skimage.morphology
from devices import same
from tube_oracle import reference_tube, reference_tube_per_class

import tubeskel


def some(folder, pattern, count):
    if not folder.is_dir():
        pytest.skip(f"{folder.parent.name}/{folder.name} is not here")
    paths = sorted(folder.glob(pattern))
    return paths[:: max(1, len(paths) // count)][:count]


def assert_all_equal(kind, mask):
    image = kind(mask)
    assert same(tubeskel.skeletonize(image), skimage.morphology.skeletonize(mask))
    assert same(tubeskel.tubed_skeleton(image), reference_tube(mask))
    assert same(tubeskel.thin(image), skimage.morphology.thin(mask))


@pytest.mark.parametrize("labels", ["accurate", "noisy", "pseudo"])
def test_topomortar(data_folder, kind, labels):
    for path in some(data_folder / "TopoMortar" / "train" / labels, "*.png", 4):
        mask = iio.imread(path)
        assert_all_equal(kind, mask if mask.ndim == 2 else mask[..., 0])


def test_uav75(data_folder, kind):
    for path in some(data_folder / "UAV75" / "test_lab", "*.png", 5):
        mask = iio.imread(path)
        assert_all_equal(kind, mask if mask.ndim == 2 else mask[..., 0])


def test_hrf_crop_with_its_classes(data_folder, kind):
    (path,) = some(data_folder / "HRF" / "test" / "1st_manual", "*.png", 1)
    labels = iio.imread(path)[800:1500, 700:1900]  # arteries and veins
    assert len(np.unique(labels)) > 2
    assert_all_equal(kind, labels)
    per_class = tubeskel.tubed_skeleton(kind(labels), per_class=True)
    assert same(per_class, reference_tube_per_class(labels))
