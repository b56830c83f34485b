"""Arrays of every layout are taken, left alone, and answered with a fresh contiguous array."""

from __future__ import annotations

import numpy as np
import pytest
from devices import same
from mask_shapes import make_labels, make_mask

import tubeskel

MASK = make_mask("blobs", (40, 150), 0.6, seed=2)
LABELS = make_labels((40, 150), 4, seed=2).astype(np.int32)

FUNCTIONS = {
    "skeletonize": tubeskel.skeletonize,
    "thin": tubeskel.thin,
    "dilate": tubeskel.dilate,
    "tubed_skeleton": tubeskel.tubed_skeleton,
    "tube of each class": lambda x, **options: tubeskel.tubed_skeleton(
        x, per_class=True, **options
    ),
    "tube and counts": lambda x, **options: tubeskel.tubed_skeleton_and_counts(x, 4, **options)[0],
}
function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


def read_only(image):
    image = image.copy()
    image.setflags(write=False)
    return image


def padded_view(image):
    buffer = np.full((image.shape[0] + 4, image.shape[1] * 2 + 3), 1, dtype=image.dtype)
    view = buffer[2:-2, 1:-2:2]
    view[...] = image
    return view


def unaligned(image):
    raw = np.zeros(image.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(image.dtype).reshape(image.shape)
    view[...] = image
    return view


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "negative row stride": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "negative column stride": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "both strides negative": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "every other column of a larger array": padded_view,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "read-only": read_only,
    "unaligned": unaligned,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "list of lists": lambda x: x.tolist(),
    "tuple of arrays": tuple,
    "matrix": lambda x: x.view(np.matrix),
    "object with __array__": lambda x: type(
        "Image", (), {"__array__": lambda self, dtype=None, copy=None: x}
    )(),
}


@function
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_do_not_matter(function, layout):
    image = layout(LABELS)
    result = function(image)
    assert type(result) is np.ndarray
    assert np.array_equal(result, function(LABELS))
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert result.dtype.isnative


@function
@pytest.mark.parametrize("axis", [0, 1])
def test_broadcast_arrays(function, axis):
    line = np.take(LABELS, [5], axis)
    shape = (30, 150) if axis == 0 else (40, 130)
    assert np.array_equal(
        function(np.broadcast_to(line, shape)), function(np.broadcast_to(line, shape).copy())
    )


@function
def test_broadcast_batches(function):
    batch = np.broadcast_to(LABELS, (3, *LABELS.shape))
    result = function(batch, spatial_dims=2)
    assert all(np.array_equal(one, function(LABELS)) for one in result)


@function
def test_the_input_is_left_alone(function, kind):
    image = kind(LABELS.copy())
    result = function(image)
    assert same(image, LABELS)
    result[...] = 1
    assert same(image, LABELS)


@function
@pytest.mark.parametrize("leading", [(), (1,), (6,), (2, 3), (1, 1, 3, 2)])
def test_leading_axes_are_a_batch(function, kind, leading):
    count = int(np.prod(leading, dtype=int))
    batch = np.stack([make_labels((9, 70), 4, seed) for seed in range(count)])
    batch = batch.reshape(*leading, 9, 70)
    result = function(kind(batch), spatial_dims=2)
    assert tuple(result.shape) == batch.shape
    for index in np.ndindex(leading):
        assert same(result[index], function(batch[index]))


@function
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (0, 4, 5), (3, 0, 5), (2, 0, 3, 0)])
def test_nothing_gives_nothing(function, kind, shape):
    image = kind(np.zeros(shape, dtype=np.uint8))
    result = function(image, spatial_dims=2)
    assert tuple(result.shape) == shape
    assert type(result) is type(image)


@function
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 64), (65, 1)])
def test_one_pixel_and_lines_are_kept(function, kind, shape):
    assert function(kind(np.ones(shape, dtype=np.uint8))).all()


def test_numbers_of_spatial_axes_may_be_any_integer_type():
    for two in (2, np.int64(2), np.uint8(2)):
        assert np.array_equal(
            tubeskel.skeletonize(MASK, spatial_dims=two), tubeskel.skeletonize(MASK)
        )


def test_an_empty_list_of_rows_is_an_empty_image():
    assert tubeskel.skeletonize([[], []]).shape == (2, 0)
