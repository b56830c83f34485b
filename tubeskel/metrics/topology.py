"""Topology of masks: Betti numbers, the Euler number, and how far two masks differ in them.

A foreground pixel is a closed cell: it holds its sides and corners. So foreground is connected
through corners (8 neighbours, 26 in 3D) and background through sides only (4, 6). Outside the
image is background. With the number of components b0 and of 3D cavities b2 by labelling, and the
Euler number chi by counting cells, the number of loops follows from chi = b0 - b1 + b2: only
components are ever labelled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubeskel.metrics.inputs import Mask, Pair, as_mask, as_pair, check_spatial_dims, fold


def betti_numbers(image: object, *, spatial_dims: int | None = None) -> NDArray[np.int64]:
    """Return the Betti numbers of a mask: components, loops and, in 3D, cavities.

    Parameters
    ----------
    image : array_like, tensor or cupy.ndarray, shape (*B, *S)
        Mask of bool, integer or float type; nonzero = foreground. S has 2 or 3 axes.
    spatial_dims : {2, 3}, optional
        How many trailing axes are spatial; the others are a batch. Default: all.

    Returns
    -------
    ndarray of int64, shape (*B, 2) or (*B, 3)
        Betti-0: foreground components, 8- (2D) or 26-connected (3D). Betti-1: in 2D holes, the
        4-connected background components that do not reach the outside; in 3D tunnels.
        Betti-2 (3D): cavities, 6-connected.

    Raises
    ------
    ValueError
        NaN, or a number of spatial axes other than 2 or 3.
    TypeError
        An array that is not bool, integer or float.

    References
    ----------
    .. [1] T. Y. Kong, A. Rosenfeld, "Digital topology: introduction and survey",
       Computer Vision, Graphics, and Image Processing 48(3), 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from tubeskel.metrics import betti_numbers
    >>> ring = np.ones((5, 5), bool)
    >>> ring[1:4, 1:4] = False
    >>> betti_numbers(ring)
    array([1, 1])
    """
    masks, batch = _as_batch(image, spatial_dims)
    return _betti_numbers(masks).reshape((*batch, masks.ndim - 1))


def euler_number(image: object, *, spatial_dims: int | None = None) -> Any:
    """Return the Euler number: Betti-0 - Betti-1 (+ Betti-2 in 3D).

    Parameters and errors are those of `betti_numbers`.

    Returns
    -------
    int or ndarray of int64, shape (*B)

    Examples
    --------
    >>> from tubeskel.metrics import euler_number
    >>> euler_number([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    0
    """
    masks, batch = _as_batch(image, spatial_dims)
    numbers = _euler_numbers(masks)
    return numbers.reshape(batch) if batch else int(numbers[0])


def betti_errors(
    prediction: object,
    target: object,
    *,
    field_of_view: object | None = None,
    spatial_dims: int | None = None,
) -> NDArray[np.int64]:
    """Return the absolute differences of the Betti numbers of two masks.

    Parameters
    ----------
    prediction, target : array_like, tensor or cupy.ndarray, shape (*B, *S)
        Masks of bool, integer or float type; nonzero = foreground. S has 2 or 3 axes.
    field_of_view : array_like, tensor or cupy.ndarray, shape (*S) or (*B, *S), optional
        Pixels where it is zero count as background.
    spatial_dims : {2, 3}, optional
        How many trailing axes are spatial; the others are a batch. Default: all.

    Returns
    -------
    ndarray of int64, shape (*B, 2) or (*B, 3)
        ``|b_k(prediction) - b_k(target)|`` for k = 0, 1 and, in 3D, 2.

    Raises
    ------
    ValueError
        Shapes that differ, NaN, or a number of spatial axes other than 2 or 3.
    TypeError
        An array that is not bool, integer or float.

    See Also
    --------
    betti_numbers : the numbers themselves, and their connectivity.

    Examples
    --------
    >>> from tubeskel.metrics import betti_errors
    >>> betti_errors([[1, 0, 1]], [[1, 1, 1]])
    array([1, 0])
    """
    pair = as_pair(prediction, target, field_of_view, spatial_dims, allowed_dims=(2, 3))
    errors, _ = topology_errors(pair)
    return errors.reshape((*pair.batch, errors.shape[-1]))


def euler_error(
    prediction: object,
    target: object,
    *,
    field_of_view: object | None = None,
    spatial_dims: int | None = None,
) -> Any:
    """Return the absolute difference of the Euler numbers of two masks.

    Parameters and errors are those of `betti_errors`. One lost component and one lost hole
    cancel here: read it beside the Betti errors.

    Returns
    -------
    int or ndarray of int64, shape (*B)

    Examples
    --------
    >>> from tubeskel.metrics import euler_error
    >>> euler_error([[1, 0, 1]], [[1, 1, 1]])
    1
    """
    pair = as_pair(prediction, target, field_of_view, spatial_dims, allowed_dims=(2, 3))
    difference = _euler_numbers(pair.prediction) - _euler_numbers(pair.target)
    return pair.shaped(np.abs(difference))


def topology_errors(pair: Pair) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the Betti errors (N, D) and the Euler errors (N,) of one labelling."""
    difference = _betti_numbers(pair.prediction) - _betti_numbers(pair.target)
    signs = (-1) ** np.arange(difference.shape[-1])
    return np.abs(difference), np.abs(difference @ signs)


def _as_batch(image: object, spatial_dims: int | None) -> tuple[Mask, tuple[int, ...]]:
    mask = as_mask(image, "image")
    dims = check_spatial_dims(mask, spatial_dims, (2, 3))
    return fold(mask, dims), mask.shape[: mask.ndim - dims]


def _betti_numbers(masks: Mask) -> NDArray[np.int64]:
    dims = masks.ndim - 1
    numbers = np.zeros((len(masks), dims), dtype=np.int64)
    for row, mask in zip(numbers, masks, strict=True):
        padded = np.pad(mask, 1)
        components = _count_components(padded, connectivity=dims)
        # the outside is a background component too
        cavities = _count_components(~padded, connectivity=1) - 1 if dims == 3 else 0
        loops = components + cavities - _euler_number(padded)
        row[:] = (components, loops, cavities)[:dims]
    return numbers


def _count_components(mask: Mask, *, connectivity: int) -> int:
    # on first use: scipy.ndimage takes longer to import than numpy
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(mask.ndim, connectivity)
    return int(ndimage.label(mask, structure)[1])


def _euler_numbers(masks: Mask) -> NDArray[np.int64]:
    return np.array([_euler_number(np.pad(mask, 1)) for mask in masks], dtype=np.int64)


def _euler_number(padded: Mask) -> int:
    """Count the cells of the union of closed pixels, even dimensions minus odd ones.

    Along each axis a cell is either an open interval, in the mask where its pixel is, or the
    point between two pixels, in the mask where one of the two is.
    """
    cells = [(padded, 1)]
    for axis in range(padded.ndim):
        low = (slice(None),) * axis + (slice(None, -1),)
        high = (slice(None),) * axis + (slice(1, None),)
        points = [(cell[low] | cell[high], sign) for cell, sign in cells]
        cells = [(cell, -sign) for cell, sign in cells] + points
    return sum(sign * int(np.count_nonzero(cell)) for cell, sign in cells)
