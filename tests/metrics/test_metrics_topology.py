"""Betti and Euler numbers against gudhi, scikit-image and scipy."""

import csv
from pathlib import Path

import numpy as np
import pytest
import skimage.measure
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage

from tubeskel.metrics import betti_errors, betti_numbers, euler_error, euler_number

TOPOMORTAR = Path(__file__).parents[3] / "shared" / "data" / "TopoMortar"

MASKS_2D = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))
MASKS_3D = hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6))
MASKS = st.one_of(MASKS_2D, MASKS_3D)


def gudhi_betti(mask):
    gudhi = pytest.importorskip("gudhi")
    # foreground enters the filtration first, as closed top-dimensional cells
    complex_ = gudhi.CubicalComplex(top_dimensional_cells=np.where(mask, 0.0, 1.0))
    complex_.compute_persistence()
    return complex_.persistent_betti_numbers(0, 0)[: mask.ndim]


@given(MASKS)
def test_betti_numbers_equal_gudhi(mask):
    # a padded copy: gudhi drops axes of length 1 from its dimension
    np.testing.assert_array_equal(betti_numbers(mask), gudhi_betti(np.pad(mask, 1)))


@given(MASKS)
def test_euler_number_equals_scikit_image_and_the_betti_numbers(mask):
    expected = skimage.measure.euler_number(np.pad(mask, 1), connectivity=mask.ndim)
    assert euler_number(mask) == expected
    assert euler_number(mask) == np.dot(betti_numbers(mask), [1, -1, 1][: mask.ndim])


@given(MASKS_2D)
def test_holes_are_background_components_that_do_not_reach_the_outside(mask):
    background = ndimage.label(~np.pad(mask, 1))[1]
    assert betti_numbers(mask)[1] == background - 1


@given(MASKS_2D)
def test_numbers_do_not_change_under_symmetries(mask):
    for moved in (mask.T, mask[::-1], np.rot90(mask), np.pad(mask, 2), mask.repeat(2, axis=0)):
        np.testing.assert_array_equal(betti_numbers(moved), betti_numbers(mask))


def ball_shell():
    z, y, x = np.ogrid[-6:7, -6:7, -6:7]
    distance = np.sqrt(z**2 + y**2 + x**2)
    return (distance < 6) & (distance > 3)


def torus():
    z, y, x = np.ogrid[-4:5, -10:11, -10:11]
    return (np.sqrt(y**2 + x**2) - 6) ** 2 + z**2 < 7


@pytest.mark.parametrize(
    ("mask", "betti"),
    [
        (np.zeros((3, 4)), (0, 0)),
        (np.ones((3, 4)), (1, 0)),
        (np.eye(5), (1, 0)),
        (1 - np.eye(5), (1, 3)),
        (np.zeros((3, 3, 3)), (0, 0, 0)),
        (ball_shell(), (1, 0, 1)),
        (torus(), (1, 1, 0)),
    ],
)
def test_known_shapes(mask, betti):
    np.testing.assert_array_equal(betti_numbers(mask), betti)


@pytest.mark.parametrize("shape", [(0, 5), (4, 0), (2, 0, 3)])
def test_an_image_without_pixels_has_no_topology(shape):
    assert not betti_numbers(np.zeros(shape, bool)).any()
    assert euler_number(np.zeros(shape, bool)) == 0


@given(MASKS_2D, st.data())
def test_errors_are_absolute_differences(prediction, data):
    target = data.draw(hnp.arrays(bool, prediction.shape))
    expected = abs(betti_numbers(prediction) - betti_numbers(target))
    np.testing.assert_array_equal(betti_errors(prediction, target), expected)
    difference = abs(euler_number(prediction) - euler_number(target))
    assert euler_error(prediction, target) == difference
    assert type(euler_error(prediction, target)) is int


def test_outside_the_field_of_view_is_background():
    target = np.ones((9, 9), bool)
    target[4, 4] = False
    region = np.ones((9, 9), bool)
    region[:, 4] = False
    np.testing.assert_array_equal(betti_errors(target, target, field_of_view=region), (0, 0))
    whole = np.ones_like(target)
    np.testing.assert_array_equal(betti_errors(target, whole), (0, 1))
    np.testing.assert_array_equal(betti_errors(target, whole, field_of_view=region), (0, 0))


@pytest.mark.parametrize("dims", [2, 3])
def test_a_batch_is_measured_image_by_image(dims):
    prediction, target = np.random.default_rng(0).random((2, 2, 3, *(8,) * dims)) > 0.6
    errors = betti_errors(prediction, target, spatial_dims=dims)
    assert errors.shape == (2, 3, dims)
    assert errors.dtype == np.int64
    np.testing.assert_array_equal(errors[1, 2], betti_errors(prediction[1, 2], target[1, 2]))
    euler = euler_error(prediction, target, spatial_dims=dims)
    assert euler.shape == (2, 3)
    assert euler[1, 2] == euler_error(prediction[1, 2], target[1, 2])
    assert euler_number(target, spatial_dims=dims).shape == (2, 3)


@pytest.mark.skipif(not TOPOMORTAR.is_dir(), reason="needs ../shared/data/TopoMortar")
def test_topomortar_masks_have_their_published_betti_numbers():
    with (TOPOMORTAR / "betti_numbers.csv").open() as file:
        rows = {row["ID"]: row for row in csv.DictReader(file)}
    masks = sorted((TOPOMORTAR / "test" / "accurate").glob("*.png"))
    assert masks
    for path in masks[:8]:
        with Image.open(path) as image:
            found = betti_numbers(np.asarray(image))
        published = rows[path.stem]
        assert tuple(found) == (int(published["Betti0"]), int(published["Betti1"]))
