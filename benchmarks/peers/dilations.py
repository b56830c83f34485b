"""Who else widens masks by a diamond of radius 2: two passes of the cross."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.peer import CUPY, DIPLIB, MAHOTAS, OPENCV, SCIPY, SKIMAGE, Function, Peer


def _skimage_dilation(morphology: Any, threads: int) -> Function:
    return lambda mask: morphology.dilation(morphology.dilation(mask))


def _scipy_dilation(ndimage: Any, threads: int) -> Function:
    return lambda mask: ndimage.binary_dilation(mask, iterations=2)


def opencv_dilation(cv2: Any, threads: int) -> Function:
    """Return OpenCV's dilation of a mask, in one pass of the whole diamond."""
    cv2.setNumThreads(threads)
    rows, columns = np.ogrid[-2:3, -2:3]
    diamond = (abs(rows) + abs(columns) <= 2).astype(np.uint8)
    return lambda mask: cv2.dilate(mask.view("uint8"), diamond).view(bool)


def _mahotas_dilation(mahotas: Any, threads: int) -> Function:
    return lambda mask: mahotas.dilate(mahotas.dilate(mask))


def diplib_dilation(diplib: Any, threads: int) -> Function:
    """Return DIPlib's binary dilation, which keeps a queue of the border."""
    diplib.SetNumberOfThreads(threads)

    def dilate(mask: Any) -> Any:
        return np.asarray(diplib.BinaryDilation(diplib.Image(mask), connectivity=1, iterations=2))

    return dilate


def _cupy_dilation(ndimage: Any, threads: int) -> Function:
    import cupy
    import torch

    crosses = {dims: cupy.asarray(_cross(dims)[None]) for dims in (2, 3)}

    def dilate(masks: Any) -> Any:
        images = cupy.from_dlpack(masks.view(torch.uint8)).astype(bool)
        cross = crosses[masks.ndim - 1]
        return torch.from_dlpack(ndimage.binary_dilation(images, cross, iterations=2))

    return dilate


def _cross(dims: int) -> Any:
    from scipy import ndimage

    return ndimage.generate_binary_structure(dims, 1)


PEERS = tuple(
    peer
    for operation in ("dilate", "dilate_3d")
    for peer in (
        Peer(
            *("scikit-image", operation, "dilation by a cross, twice", *SKIMAGE),
            _skimage_dilation,
            target_least=10,
        ),
        Peer(*("scipy", operation, "binary_dilation, two iterations", *SCIPY), _scipy_dilation),
        *(
            [Peer(*("opencv", operation, "dilate by a diamond", *OPENCV), opencv_dilation)]
            if operation == "dilate"
            else []
        ),
        Peer(*("mahotas", operation, "dilate by a cross, twice", *MAHOTAS), _mahotas_dilation),
        Peer(*("diplib", operation, "BinaryDilation, two iterations", *DIPLIB), diplib_dilation),
        Peer(
            *("cupy", operation, "binary_dilation, two iterations", *CUPY),
            _cupy_dilation,
            devices=("cuda",),
        ),
    )
)
