"""Bad input is refused with the type of error scikit-image has for it, and a message that helps."""

from __future__ import annotations

import re

import numpy as np
import pytest
import skimage.morphology
import torch

import tubeskel

FUNCTIONS = {
    "skeletonize": tubeskel.skeletonize,
    "thin": tubeskel.thin,
    "dilate": tubeskel.dilate,
    "tubed_skeleton": tubeskel.tubed_skeleton,
    "tubed_skeleton_and_counts": lambda x, **kw: tubeskel.tubed_skeleton_and_counts(x, 3, **kw),
}
function = pytest.mark.parametrize("name", FUNCTIONS)
IMAGE = np.eye(7, dtype=np.uint8)


def called(name):
    """What an error calls the array."""
    return "labels" if name.startswith("tube") else "image"


@function
@pytest.mark.parametrize(
    "dtype", ["complex64", "complex128", "object", "U3", "S3", "M8[s]", "m8[s]", "V4"]
)
def test_dtypes(name, dtype):
    with pytest.raises(
        TypeError, match=f"{called(name)} .*dtype {re.escape(str(np.dtype(dtype)))}"
    ):
        FUNCTIONS[name](np.zeros((3, 3), dtype=dtype))


@function
def test_structured_dtypes(name):
    with pytest.raises(TypeError, match=called(name)):
        FUNCTIONS[name](np.zeros((3, 3), dtype=[("a", int), ("b", float)]))


@function
@pytest.mark.parametrize("bad", [None, "mask.png", object(), {"a": 1}, [["a", "b"], ["c", "d"]]])
def test_what_is_no_array(name, bad):
    with pytest.raises(TypeError, match=called(name)):
        FUNCTIONS[name](bad)


@function
def test_ragged_lists(name):
    with pytest.raises(ValueError, match="inhomogeneous"):
        FUNCTIONS[name]([[1, 2], [1]])


@function
@pytest.mark.parametrize("ndim", [0, 1, 4, 5])
def test_numbers_of_axes(name, kind, ndim):
    if name == "skeletonize":
        with pytest.raises(ValueError, match="2D"):
            skimage.morphology.skeletonize(np.zeros((2,) * ndim))
    with pytest.raises(ValueError, match=f"{called(name)} .*{ndim}D"):
        FUNCTIONS[name](kind(np.zeros((2,) * ndim)))


def test_thin_is_2d_as_in_scikit_image(kind):
    volume = kind(np.zeros((3, 4, 5), dtype=np.uint8))
    for options in ({}, {"spatial_dims": 3}):
        with pytest.raises(ValueError, match="3D"):
            tubeskel.thin(volume, **options)


@function
@pytest.mark.parametrize("bad", [0, 1, 4, -2, 2**70])
def test_values_of_spatial_dims(name, kind, bad):
    with pytest.raises(ValueError, match=f"spatial_dims .*{bad}"):
        FUNCTIONS[name](kind(IMAGE), spatial_dims=bad)


@function
@pytest.mark.parametrize("bad", [2.0, "2", True, (2,)])
def test_types_of_spatial_dims(name, bad):
    with pytest.raises(TypeError, match="spatial_dims"):
        FUNCTIONS[name](IMAGE, spatial_dims=bad)


@function
@pytest.mark.parametrize(("spatial", "shape"), [(2, ()), (2, (5,)), (3, (5, 5))])
def test_fewer_axes_than_spatial_dims(name, kind, spatial, shape):
    with pytest.raises(ValueError, match=called(name)):
        FUNCTIONS[name](kind(np.zeros(shape, dtype=np.uint8)), spatial_dims=spatial)


@pytest.mark.parametrize("name", ["skeletonize", "thin", "dilate", "tubed_skeleton"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("sign", [1, -1])
def test_nan_is_named(name, kind, sync_checks, dtype, sign):
    image = np.zeros((20, 70), dtype=dtype)
    image[11, 66] = np.copysign(np.nan, sign)
    with pytest.raises(ValueError, match=rf"{called(name)} holds nan"):
        FUNCTIONS[name](kind(image))


def test_nan_of_bfloat16_and_of_one_class(device, sync_checks):
    labels = torch.ones(3, 70, dtype=torch.bfloat16)
    labels[1, 65] = torch.nan
    with pytest.raises(ValueError, match="labels holds nan"):
        tubeskel.tubed_skeleton(labels, per_class=True)


@pytest.mark.parametrize("name", ["skeletonize", "tubed_skeleton", "tubed_skeleton_and_counts"])
@pytest.mark.parametrize("bad", ["Zhang", "", "guo_hall", 5, b"zhang", ["zhang"], {}])
def test_unknown_methods(name, bad):
    with pytest.raises(
        ValueError, match=r"method must be one of 'zhang', 'lee' or a function, got"
    ):
        FUNCTIONS[name](IMAGE, method=bad)


def test_method_errors_are_of_the_type_scikit_image_raises():
    for image, method in ((IMAGE, "other"), (np.zeros((3, 3, 3)), "zhang")):
        for skeletonize in (skimage.morphology.skeletonize, tubeskel.skeletonize):
            with pytest.raises(ValueError, match="zhang"):
                skeletonize(image, method=method)


def test_spacing_goes_with_balls_and_has_a_positive_value_for_each_axis():
    with pytest.raises(ValueError, match=r"spacing .*'box'"):
        tubeskel.dilate(IMAGE, footprint="box", spacing=(1, 1))
    for bad in ((1,), (1, 1, 1), (0, 1), (-1, 1), (float("nan"), 1)):
        with pytest.raises(ValueError, match="spacing"):
            tubeskel.dilate(IMAGE, footprint="ball", spacing=bad)
    with pytest.raises(TypeError, match="spacing"):
        tubeskel.dilate(IMAGE, footprint="ball", spacing=("a", 1))
    with pytest.raises(ValueError, match=r"radius .*-1"):
        tubeskel.dilate(IMAGE, footprint="ball", radius=-1.0, spacing=(1, 1))


@pytest.mark.parametrize("name", ["dilate", "tubed_skeleton", "tubed_skeleton_and_counts"])
@pytest.mark.parametrize("bad", [-1, -(2**70)])
def test_negative_radii(name, bad):
    with pytest.raises(ValueError, match=f"radius .*{bad}"):
        FUNCTIONS[name](IMAGE, radius=bad)


@pytest.mark.parametrize("name", ["dilate", "tubed_skeleton", "tubed_skeleton_and_counts"])
@pytest.mark.parametrize("bad", [1.0, np.float32(2), "1", True, None, [1]])
def test_radii_that_are_no_integer(name, bad):
    with pytest.raises(TypeError, match="radius"):
        FUNCTIONS[name](IMAGE, radius=bad)


@pytest.mark.parametrize("radius", [np.int8(2), np.uint64(2), torch.tensor(2)])
def test_radii_of_any_integer_type(radius):
    assert np.array_equal(tubeskel.dilate(IMAGE, radius=radius), tubeskel.dilate(IMAGE, radius=2))


@pytest.mark.parametrize("bad", ["disk", "", None, 3, ["box"], np.ones((3, 3))])
def test_unknown_footprints(bad):
    with pytest.raises(ValueError, match="footprint must be one of 'diamond', 'box', 'ball'"):
        tubeskel.dilate(IMAGE, footprint=bad)


@pytest.mark.parametrize("flag", ["per_class", "keep_components"])
@pytest.mark.parametrize("bad", [1, None, "yes"])
def test_flags_that_are_no_bool(flag, bad):
    with pytest.raises(TypeError, match=flag):
        tubeskel.tubed_skeleton(IMAGE, **{flag: bad})


@pytest.mark.parametrize("bad", [1.0, "255", True])
def test_ignore_index_that_is_no_integer(bad):
    with pytest.raises(TypeError, match="ignore_index"):
        tubeskel.tubed_skeleton(IMAGE, ignore_index=bad)


def test_unknown_instruction_sets():
    with pytest.raises(ValueError, match="'mmx'"):
        tubeskel._array.use_instruction_set("mmx")
