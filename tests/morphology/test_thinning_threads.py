"""Results do not depend on the number of threads, within an image and over a batch."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.morphology
import torch
from mask_shapes import make_labels, make_mask

import tubeskel

# A thread is started for every 524,288 pixels: five of them here.
SHAPE = (2600, 1030)


@pytest.fixture(scope="module", params=["random", "blobs"])
def large(request):
    return make_mask(request.param, SHAPE, 0.6, seed=5)


@pytest.fixture(scope="module")
def expected(large):
    before = tubeskel.get_num_threads()
    tubeskel.set_num_threads(1)  # whose results the other tests compare with scikit-image's
    results = tubeskel.skeletonize(large), tubeskel.thin(large)
    tubeskel.set_num_threads(before)
    assert np.array_equal(results[0], skimage.morphology.skeletonize(large))
    return results


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_one_large_array(threads, instruction_set, number, large, expected):
    threads(number)
    assert np.array_equal(tubeskel.skeletonize(large), expected[0])
    assert np.array_equal(tubeskel.thin(large), expected[1])


@pytest.mark.parametrize("number", [1, 2, 5])
def test_one_large_tensor(threads, number, large, expected):
    threads(number)
    tensor = torch.from_numpy(large)
    assert np.array_equal(tubeskel.skeletonize(tensor).numpy(), expected[0])
    assert np.array_equal(tubeskel.thin(tensor).numpy(), expected[1])


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("images", [2, 9])  # within each image, and one image a thread
def test_a_batch(threads, number, images):
    shape = (2600 // images, 1030)
    batch = np.stack([make_mask("tubes", shape, 0.6, seed) for seed in range(images)])
    expected = np.stack([skimage.morphology.skeletonize(image) for image in batch])
    threads(number)
    assert np.array_equal(tubeskel.skeletonize(batch, spatial_dims=2), expected)
    tensor = torch.from_numpy(batch)
    assert np.array_equal(tubeskel.skeletonize(tensor, spatial_dims=2).numpy(), expected)


@pytest.mark.parametrize("per_class", [False, True])
def test_dilation_and_tubes(threads, instruction_set, per_class):
    labels = make_labels(SHAPE, 4, seed=1).astype(np.uint8)
    results = []
    for number in (1, 2, 5):
        threads(number)
        tube, counts = tubeskel.tubed_skeleton_and_counts(labels, 4, per_class=per_class)
        dilated = tubeskel.dilate(labels == 1, radius=9, footprint="ball")
        results.append((tube, counts, dilated))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("row", [0, 1300, 2599])
def test_an_invalid_value_is_found_in_the_part_of_any_thread(threads, row):
    image = np.zeros(SHAPE, dtype=np.float32)
    image[row, 700] = np.nan
    for number in (1, 5):
        threads(number)
        with pytest.raises(ValueError, match="nan"):
            tubeskel.skeletonize(image)
    assert not tubeskel.skeletonize(np.zeros(SHAPE)).any()
