"""The figures of a data set, on shapes whose figures are known."""

import math

import numpy as np
import pytest

from experiments.data import Dataset, Sample, SyntheticTubes
from experiments.data.describe import describe, local_widths


def dataset(*labels, classes=("background", "tube"), **fields):
    samples = (
        Sample(str(i), np.zeros((1, *label.shape), np.float32), label, **fields)
        for i, label in enumerate(labels)
    )
    return Dataset(tuple(samples), classes)


def bar(width, length=200, index=1):
    label = np.zeros((40, length), np.uint8)
    label[10 : 10 + width] = index
    return label


@pytest.mark.parametrize("width", [1, 3, 5, 7, 9])
def test_the_width_of_a_bar(width):
    on_skeleton, on_mask = local_widths(bar(width) > 0)
    assert np.median(on_skeleton) == width
    assert np.median(on_mask) == width
    assert on_mask.shape == ((bar(width) > 0).sum(),)


def test_a_thin_bar_is_its_own_tube_and_a_thick_one_is_not():
    (thin,) = describe(dataset(bar(3))).classes
    assert thin.tube_to_mask > 0.97
    assert thin.thinner_than_tube == 1
    (thick,) = describe(dataset(bar(11))).classes
    assert thick.tube_to_mask == pytest.approx(5 / 11, abs=0.05)
    assert thick.thinner_than_tube < 0.1
    assert thick.width_median == 11


def test_the_radius_decides_what_is_thin():
    assert describe(dataset(bar(5)), radius=2).classes[0].thinner_than_tube < 0.1
    assert describe(dataset(bar(5)), radius=3).classes[0].thinner_than_tube > 0.9


def test_half_of_the_foreground_is_thin():
    both = bar(3) + np.roll(bar(9), 15, axis=0)
    (one,) = describe(dataset(both)).classes
    assert one.thinner_than_tube == pytest.approx(3 / 12, abs=0.05)


def test_classes_are_counted_by_themselves_and_ignored_pixels_not_at_all():
    label = bar(4, index=1) + np.roll(bar(2, index=2), 20, axis=0)
    ignore = np.zeros(label.shape, bool)
    ignore[:, :100] = True
    names = ("background", "wide", "narrow", "absent")
    result = describe(dataset(label, bar(2), classes=names))
    wide, narrow, absent = result.classes
    assert (result.images, result.groups) == (2, 2)
    assert (wide.images, narrow.images, absent.images) == (2, 1, 0)
    assert wide.foreground == pytest.approx((4 + 2) / 80)
    assert absent.foreground == 0
    assert math.isnan(absent.tube_to_mask)
    (half,) = describe(dataset(bar(4), ignore=ignore)).classes
    assert half.foreground == pytest.approx(4 / 40)


def test_a_description_is_plain_data():
    import json

    result = describe(SyntheticTubes("synthetic_tubes", count=2, size=64).load()).as_dict()
    assert json.loads(json.dumps(result)) == result
    assert result["classes"][0]["name"] == "tube"


def test_volumes_are_described():
    label = np.zeros((20, 20, 60), np.uint8)
    label[8:11, 8:11] = 1
    (tube,) = describe(dataset(label)).classes
    assert tube.width_median == 3
    assert tube.thinner_than_tube == 1


def test_groups_are_counted():
    label = bar(3)
    assert describe(dataset(label, label, group="patient")).groups == 1
