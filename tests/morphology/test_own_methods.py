"""`method=` as a function: what it is given, what becomes of its result, what is refused."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
import skimage.morphology
import torch
from devices import as_array, same
from hypothesis import given
from hypothesis import strategies as st
from mask_shapes import label_maps, make_labels, masks
from scipy import ndimage
from skimage.morphology import diamond, dilation

import tubeskel

# Its ties are broken at random.
medial_axis = partial(skimage.morphology.medial_axis, rng=0)
LABELS = make_labels((40, 70), 4, seed=1)
VOLUME = np.stack([make_labels((20, 33), 3, seed) for seed in range(7)])
VOLUME[:3, :3, :3] = 0
VOLUME[:2, :2, :2] = 1  # a cube that Lee's method deletes
SAME = pytest.mark.parametrize("method", [tubeskel.skeletonize, skimage.morphology.skeletonize])


@SAME
@given(
    labels=label_maps(),
    radius=st.integers(0, 4),
    per_class=st.booleans(),
    ignore_index=st.sampled_from([None, 0, 1, 3, 255, 2**40]),
    keep_components=st.booleans(),
)
def test_the_built_in_rules_as_a_function_change_nothing(kind, method, labels, **options):
    expected, expected_counts = tubeskel.tubed_skeleton_and_counts(labels, 4, **options)
    tube, counts = tubeskel.tubed_skeleton_and_counts(kind(labels), 4, method=method, **options)
    assert type(tube) is type(counts) is type(kind(labels))
    assert same(tube, expected)
    assert same(counts, expected_counts)


@SAME
@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("keep_components", [False, True])
def test_volumes(method, kind, per_class, keep_components):
    options = {"per_class": per_class, "keep_components": keep_components}
    expected = tubeskel.tubed_skeleton(VOLUME, radius=1, **options)
    tube = tubeskel.tubed_skeleton(kind(VOLUME), radius=1, method=method, **options)
    assert same(tube, expected)
    if per_class:
        assert expected[:2, :2, :2].any() == keep_components


@given(mask=masks())
def test_a_skeleton_by_a_function_is_its_result(kind, mask):
    skeleton = tubeskel.skeletonize(kind(mask), method=tubeskel.thin)
    assert as_array(skeleton).dtype == bool
    assert same(skeleton, tubeskel.thin(mask))


def test_a_medial_axis_is_widened_and_clipped(kind):
    union = dilation(medial_axis(LABELS != 0), diamond(2)) * LABELS
    assert same(tubeskel.tubed_skeleton(kind(LABELS), method=medial_axis), union)
    each = sum(
        k * (dilation(medial_axis(k == LABELS), diamond(2)) & (k == LABELS)) for k in (1, 2, 3)
    )
    tube = tubeskel.tubed_skeleton(kind(LABELS), method=medial_axis, per_class=True)
    assert same(tube, each)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "uint64", "float16", "float64"])
def test_dtypes_are_kept(dtype, kind):
    labels = LABELS.astype(dtype)
    tube = tubeskel.tubed_skeleton(kind(labels), method=medial_axis)
    assert tube.dtype == kind(labels).dtype
    assert same(tube, tubeskel.tubed_skeleton(LABELS, method=medial_axis).astype(dtype))


def test_bfloat16(device):
    labels = torch.from_numpy(LABELS).to(device).bfloat16()
    tube = tubeskel.tubed_skeleton(labels, method=tubeskel.skeletonize)
    assert tube.dtype == torch.bfloat16
    assert torch.equal(tube, tubeskel.tubed_skeleton(labels))


class Recorder:
    """Keeps the masks it was given, and spoils them."""

    def __init__(self):
        self.masks = []

    def __call__(self, mask):
        self.masks.append(mask.copy())
        assert type(mask) is np.ndarray
        assert mask.flags.c_contiguous
        skeleton = tubeskel.skeletonize(mask)
        mask[:] = False
        return skeleton


def test_it_is_given_each_image(kind):
    batch = np.stack([LABELS, 0 * LABELS, LABELS[::-1], LABELS.T.reshape(40, 70)])
    method = Recorder()
    tube = tubeskel.tubed_skeleton(
        kind(batch.reshape(2, 2, 40, 70)), method=method, spatial_dims=2, ignore_index=3
    )
    expected = [(labels != 0) & (labels != 3) for labels in batch]
    del expected[1]  # no foreground
    assert np.array_equal(method.masks, expected)
    plain = tubeskel.tubed_skeleton(batch, spatial_dims=2, ignore_index=3)
    assert same(tube.reshape(batch.shape), plain)


def test_it_is_given_each_class(kind):
    method = Recorder()
    tubeskel.tubed_skeleton(kind(LABELS), method=method, per_class=True, ignore_index=2)
    assert np.array_equal(method.masks, [LABELS == 1, LABELS == 3])


@pytest.mark.parametrize("view", [np.s_[::-1, ::2], np.s_[:0], np.s_[:, :0]])
def test_views_and_empty_images(view):
    labels = LABELS[view]
    method = Recorder()
    tube = tubeskel.tubed_skeleton(labels, method=method, per_class=True)
    assert np.array_equal(tube, tubeskel.tubed_skeleton(labels, per_class=True))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
def test_nonzero_is_the_skeleton(kind, dtype):
    labels = kind(LABELS)
    tube = tubeskel.tubed_skeleton(labels, method=lambda m: tubeskel.thin(m).astype(dtype) * 7)
    assert same(tube, tubeskel.tubed_skeleton(LABELS, method=tubeskel.thin))


@pytest.mark.parametrize("labels", [LABELS, VOLUME], ids=["2D", "3D"])
def test_keep_components_leaves_a_pixel_of_every_one_that_was_lost(kind, labels):
    def nothing(mask):
        return np.zeros_like(mask)

    assert not tubeskel.tubed_skeleton(kind(labels), method=nothing).any()
    near = np.ones((3,) * labels.ndim)
    tube = as_array(
        tubeskel.tubed_skeleton(kind(labels), radius=0, method=nothing, keep_components=True)
    )
    components, number = ndimage.label(labels, near)
    assert np.array_equal(np.sort(components[tube != 0]), np.arange(1, number + 1))
    skeleton = tubeskel.skeletonize(kind(labels), method=nothing, keep_components=True)
    assert same(skeleton, tube != 0)


REFUSED = {
    "list": (lambda m: m.tolist(), TypeError, "a NumPy array, got list"),
    "none": (lambda m: None, TypeError, "a NumPy array, got NoneType"),
    "tensor": (torch.from_numpy, TypeError, "a NumPy array, got Tensor"),
    "pair": (
        lambda m: medial_axis(m, return_distance=True),
        TypeError,
        "a NumPy array, got tuple",
    ),
    "floats": (lambda m: m.astype(np.float32), TypeError, "bools or integers, got dtype float32"),
    "shape": (lambda m: m[1:], ValueError, r"the mask's shape (40, 70), got (39, 70)"),
    "axes": (lambda m: m[None], ValueError, r"the mask's shape (40, 70), got (1, 40, 70)"),
    "outside": (lambda m: m | (LABELS == 0), ValueError, "pixels of the mask only, got"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_results_are_refused(kind, case):
    method, error, message = REFUSED[case]
    for function in (tubeskel.skeletonize, tubeskel.tubed_skeleton):
        with pytest.raises(error, match="method must return .*" + re.escape(message)):
            function(kind(LABELS), method=method)


def test_a_skeleton_of_another_class_is_outside():
    with pytest.raises(ValueError, match="outside it"):
        tubeskel.tubed_skeleton(LABELS, method=lambda m: LABELS != 0, per_class=True)


def test_its_exceptions_pass_through(kind):
    def fails(mask):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tubeskel.tubed_skeleton(kind(LABELS), method=fails)


def test_labels_are_checked_as_ever(kind, sync_checks):
    with pytest.raises(ValueError, match=r"labels holds 3; allowed: 0\.\.2 and ignore_index"):
        tubeskel.tubed_skeleton_and_counts(kind(LABELS), 3, method=tubeskel.thin)
    image = np.where(LABELS == 1, np.nan, LABELS)
    with pytest.raises(ValueError, match="image holds nan"):
        tubeskel.skeletonize(kind(image), method=tubeskel.thin)
