"""Masks and label maps to test on, as arrays and as strategies for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage

# Around the borders of 64-pixel words and of blocks of eight rows.
AWKWARD_WIDTHS = (1, 2, 3, 7, 31, 63, 64, 65, 127, 128, 129, 200)
AWKWARD_HEIGHTS = (1, 2, 3, 7, 8, 9, 16, 17, 50)
KINDS = ("random", "blobs", "tubes", "ones", "zeros", "frame")


def make_mask(kind: str, shape: tuple[int, int], density: float, seed: int) -> np.ndarray:
    """A mask of one of KINDS; `density` is the share of foreground of the random ones."""
    random = np.random.default_rng(seed)
    if kind in ("ones", "zeros"):
        return np.full(shape, kind == "ones")
    if kind == "frame":  # touches every border
        mask = np.zeros(shape, dtype=bool)
        width = 1 + int(density * 5)
        mask[:width], mask[-width:], mask[:, :width], mask[:, -width:] = True, True, True, True
        return mask
    noise = random.random(shape)
    if kind == "random":
        return noise < density
    smooth = ndimage.gaussian_filter(noise, 1 + 4 * density)
    level = np.quantile(smooth, 1 - density)
    if kind == "blobs":
        return smooth >= level
    return abs(smooth - smooth.mean()) < density * smooth.std()


def make_labels(shape: tuple[int, int], classes: int, seed: int) -> np.ndarray:
    """A map of `classes` labels, background included, that lie in blobs side by side."""
    random = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(random.random((classes, *shape)), (0, 2.5, 2.5))
    fields /= fields.std(axis=(1, 2), keepdims=True) + 1e-12
    return (fields - fields.mean(axis=(1, 2), keepdims=True)).argmax(axis=0)


def masks(max_height: int = 40, max_width: int = 140) -> st.SearchStrategy[np.ndarray]:
    """Masks of every kind, often of an awkward size."""
    heights = st.sampled_from(AWKWARD_HEIGHTS) | st.integers(1, max_height)
    widths = st.sampled_from(AWKWARD_WIDTHS) | st.integers(1, max_width)
    return st.builds(
        make_mask,
        st.sampled_from(KINDS),
        st.tuples(heights, widths),
        st.sampled_from((0.3, 0.5, 0.7, 0.9, 0.97)),
        st.integers(0, 2**16),
    )


def label_maps(classes: int = 4) -> st.SearchStrategy[np.ndarray]:
    """Maps of labels 0 .. classes - 1, in blobs or at random."""
    shapes = st.tuples(st.integers(1, 40), st.integers(1, 140))
    blobs = st.builds(make_labels, shapes, st.just(classes), st.integers(0, 2**16))
    noise = st.builds(
        lambda shape, seed: np.random.default_rng(seed).integers(0, classes, shape),
        shapes,
        st.integers(0, 2**16),
    )
    return blobs | noise


def mosaic(count: int, size: int) -> np.ndarray:
    """The first `count` images of size x size pixels in one, with background between them."""
    pixels = size * size
    bits = (np.arange(count)[:, None] >> np.arange(pixels) & 1).astype(bool)
    columns = int(np.sqrt(count))
    tiles = np.pad(bits.reshape(-1, columns, size, size), [(0, 0), (0, 0), (1, 1), (1, 1)])
    return tiles.transpose(0, 2, 1, 3).reshape(-1, columns * (size + 2))
