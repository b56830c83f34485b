"""Generated vessel-like structures: the cases that need no data on disk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def vessel_tree(size: int, *, seed: int = 0, trunks: int = 3) -> NDArray[np.bool_]:
    """Return a mask of branching, winding vessels that get thinner at every fork.

    Parameters
    ----------
    size : int
        Side of the square image, in pixels.
    seed : int
        Same seed, same mask.
    trunks : int
        Number of trees; each enters at a border.

    Returns
    -------
    ndarray of bool, shape (size, size)

    Examples
    --------
    >>> mask = vessel_tree(128)
    >>> mask.shape, bool(0.02 < mask.mean() < 0.4)
    ((128, 128), True)
    """
    rng = np.random.default_rng(seed)
    mask = np.zeros((size, size), bool)
    widest, thinnest = size / 100, max(0.7, size / 330)
    branches = []
    for angle in 2 * np.pi * (np.arange(trunks) + rng.random()) / trunks:
        inward = np.array([np.cos(angle), np.sin(angle)])
        start = size / 2 - inward * size / 2 / np.abs(inward).max()
        branches.append((start, angle, widest))
    while branches:
        point, angle, radius = branches.pop()
        step = 0.012 * size * np.sqrt(radius / widest)
        for _ in range(rng.integers(6, 14)):
            angle += rng.normal(0, 0.15)
            end = point + step * np.array([np.cos(angle), np.sin(angle)])
            stamp_capsule(mask, point, end, radius, True)
            point = end
        if radius > thinnest and (point >= 0).all() and (point < size).all():
            # Murray's law: the cubes of the children's radii sum to the parent's
            share = rng.uniform(0.2, 0.8)
            turn = rng.uniform(0.5, 1.1)
            branches.append((point, angle + turn * (1 - share), radius * share ** (1 / 3)))
            branches.append((point, angle - turn * share, radius * (1 - share) ** (1 / 3)))
    return mask


def vessel_tubes(size: int, *, seed: int = 0) -> NDArray[np.bool_]:
    """Return a volume crossed by winding tubes, 2 to 6 voxels in radius, as capillaries are.

    Parameters
    ----------
    size : int
        Side of the cube, in voxels. The number of tubes grows with its square, so that their share
        of the volume, about a twentieth, stays.
    seed : int
        Same seed, same volume.

    Returns
    -------
    ndarray of bool, shape (size, size, size)

    Examples
    --------
    >>> volume = vessel_tubes(64)
    >>> volume.shape, bool(0.02 < volume.mean() < 0.1)
    ((64, 64, 64), True)
    """
    rng = np.random.default_rng(seed)
    volume = np.zeros((size,) * 3, bool)
    for _ in range(size**2 // 550):
        point, heading, radius = rng.random(3) * size, rng.normal(size=3), rng.uniform(2, 6)
        while (point >= 0).all() and (point < size).all():
            heading = heading / np.linalg.norm(heading) + rng.normal(0, 0.2, size=3)
            end = point + 2 * radius * heading
            stamp_capsule(volume, point, end, radius, True)
            point = end
    return volume


def tubes_3d(
    shape: tuple[int, int, int], num_classes: int, *, radius: float, seed: int = 0
) -> NDArray[np.int64]:
    """Return a label map with one winding tube a class; the path depends on the seed only.

    Parameters
    ----------
    shape : tuple of int
        (D, H, W).
    num_classes : int
        With background: tubes get the labels 1..num_classes-1.
    radius : float
        Of the tubes, in voxels.
    seed : int
        Same seed, same paths, whatever the radius.

    Returns
    -------
    ndarray of int64, shape (D, H, W)

    Examples
    --------
    >>> np.unique(tubes_3d((16, 16, 16), 3, radius=2)).tolist()
    [0, 1, 2]
    """
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int64)
    for label in range(1, num_classes):
        point = rng.random(3) * shape
        heading = rng.normal(size=3)
        for _ in range(24):
            heading = heading / np.linalg.norm(heading) + rng.normal(0, 0.25, size=3)
            end = np.clip(point + 0.06 * np.array(shape) * heading, 0, np.array(shape) - 1)
            stamp_capsule(labels, point, end, radius, label)
            point = end
    return labels


def diagonal_bars(size: int, dims: int, *, width: int, number: int) -> NDArray[np.bool_]:
    """Return parallel bars along the diagonal of a square or cube, wrapped around its sides.

    Parameters
    ----------
    size, dims : int
        Side in pixels, and number of axes.
    width : int
        Of a bar, in pixels along an axis.
    number : int
        Bars that cross each axis but the last. Foreground is (width * number / size)^(dims - 1).

    Returns
    -------
    ndarray of bool, shape (size,) * dims

    Examples
    --------
    >>> float(diagonal_bars(64, 2, width=4, number=8).mean())
    0.5
    """
    *across, along = np.ogrid[(slice(size),) * dims]
    bars = np.ones((size,) * dims, bool)
    for axis in across:
        bars &= (axis - along) % (size // number) < width
    return bars


def stamp_capsule(
    image: NDArray[Any], start: NDArray[Any], end: NDArray[Any], radius: float, value: Any
) -> None:
    """Set all pixels within ``radius`` of the segment from ``start`` to ``end``, in place."""
    shape = np.array(image.shape)
    low = np.clip(np.floor(np.minimum(start, end) - radius), 0, shape).astype(int)
    high = np.clip(np.ceil(np.maximum(start, end) + radius) + 1, 0, shape).astype(int)
    if (low >= high).any():
        return
    box = tuple(map(slice, low, high))
    grid = np.moveaxis(np.mgrid[box], 0, -1) - start
    along = end - start
    share = np.clip(grid @ along / max(float(along @ along), 1e-12), 0, 1)
    distance = np.linalg.norm(grid - share[..., None] * along, axis=-1)
    image[box][distance <= radius] = value
