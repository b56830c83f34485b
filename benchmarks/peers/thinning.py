"""Who else thins: skeletons of images and volumes."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.cases import Unavailable
from benchmarks.peers.peer import (
    CUCIM,
    DIPLIB,
    GAARA,
    ITK,
    MAHOTAS,
    OPENCV,
    SKIMAGE,
    Function,
    Peer,
)


def _skimage_skeletonize(morphology: Any, threads: int, *, method: str) -> Function:
    return lambda mask: morphology.skeletonize(mask, method=method)


def _skimage_thin(morphology: Any, threads: int) -> Function:
    return lambda mask: morphology.thin(mask)


def opencv_thinning(cv2: Any, threads: int, *, rule: str) -> Function:
    """Return OpenCV's thinning by ``"ZHANGSUEN"`` or ``"GUOHALL"``; it works on 0 and 255."""
    if not hasattr(cv2, "ximgproc"):
        raise Unavailable("OpenCV is here without its contributed modules (ximgproc)")
    cv2.setNumThreads(threads)
    kind = getattr(cv2.ximgproc, f"THINNING_{rule}")
    return lambda mask: cv2.ximgproc.thinning(mask.view("uint8") * 255, thinningType=kind) > 0


def _mahotas_thin(mahotas: Any, threads: int) -> Function:
    return lambda mask: mahotas.thin(mask)


def diplib_skeleton(diplib: Any, threads: int) -> Function:
    """Return DIPlib's Euclidean skeleton."""
    import numpy as np

    def skeleton(mask: Any) -> Any:
        binary = diplib.Image(mask)  # a boolean array becomes a binary image
        return np.asarray(diplib.EuclideanSkeleton(binary, endPixelCondition="natural"))

    diplib.SetNumberOfThreads(threads)
    return skeleton


def _itk_thinning(itk: Any, threads: int) -> Function:
    if not hasattr(itk, "binary_thinning_image_filter3_d"):
        raise Unavailable("itk-thickness3d is not installed")
    itk.MultiThreaderBase.SetGlobalMaximumNumberOfThreads(threads)

    def skeleton(volume: Any) -> Any:
        image = itk.image_view_from_array(volume.view("uint8"))
        return itk.array_view_from_image(itk.binary_thinning_image_filter3_d(image)).view(bool)

    return skeleton


def _gaara_thin(gaara: Any, threads: int) -> Function:
    # it works on Fortran order: the transpose spares it a conversion
    return lambda volume: gaara.thin(volume.T, threads=threads).T


def _cucim_thin(morphology: Any, threads: int) -> Function:
    import cupy
    import torch

    def thin(masks: Any) -> Any:
        images = cupy.from_dlpack(masks.view(torch.uint8)).astype(bool)
        return torch.from_dlpack(cupy.stack([morphology.thin(image) for image in images]))

    return thin


EUCLIDEAN = "Euclidean skeleton"

PEERS = (
    Peer(
        *("scikit-image", "skeletonize", "Zhang-Suen table", *SKIMAGE),
        partial(_skimage_skeletonize, method="zhang"),
        target_mean=40,
        target_least=15,
    ),
    Peer(
        *("opencv", "skeletonize", "ximgproc.thinning, textbook Zhang-Suen", *OPENCV),
        partial(opencv_thinning, rule="ZHANGSUEN"),
        same_result=False,
        target_least=3,
    ),
    Peer(
        *("diplib", "skeletonize", EUCLIDEAN, *DIPLIB, diplib_skeleton),
        same_result=False,
        target_least=3,
    ),
    Peer(
        *("scikit-image", "skeletonize_lee", "Lee", *SKIMAGE),
        partial(_skimage_skeletonize, method="lee"),
        target_least=10,
    ),
    Peer(
        *("scikit-image", "thin", "Guo-Hall", *SKIMAGE, _skimage_thin),
        target_mean=200,
        target_least=15,
    ),
    Peer(
        *("opencv", "thin", "ximgproc.thinning, Guo-Hall in another order", *OPENCV),
        partial(opencv_thinning, rule="GUOHALL"),
        same_result=False,
        target_least=3,
    ),
    Peer(
        *("mahotas", "thin", "hit-or-miss thinning", *MAHOTAS, _mahotas_thin),
        same_result=False,
        target_least=3,
    ),
    Peer(
        *("diplib", "thin", EUCLIDEAN, *DIPLIB, diplib_skeleton),
        same_result=False,
        target_least=3,
    ),
    Peer(
        *("cucim", "thin", "Guo-Hall, one image after the other", *CUCIM, _cucim_thin),
        devices=("cuda",),
    ),
    Peer(
        *("scikit-image", "skeletonize_3d", "Lee", *SKIMAGE),
        partial(_skimage_skeletonize, method="lee"),
        target_least=20,
        target_unlisted=8,
    ),
    Peer(
        *("itk", "skeletonize_3d", "Lee, BinaryThinningImageFilter3D", *ITK, _itk_thinning),
        target_least=5,
        target_unlisted=5,
    ),
    Peer(
        *("diplib", "skeletonize_3d", EUCLIDEAN, *DIPLIB, diplib_skeleton),
        same_result=False,
        target_least=5,
        target_unlisted=5,
    ),
    Peer(
        *("gaara", "skeletonize_3d", "Palágyi, isthmus-based", *GAARA, _gaara_thin),
        same_result=False,
        target_least=5,
        target_unlisted=5,
    ),
)
