"""Who else makes tubed skeletons: nobody in one call, so recipes of thinning and dilation."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.dilations import diplib_dilation, opencv_dilation
from benchmarks.peers.peer import DIPLIB, OPENCV, SKIMAGE, Function, Peer
from benchmarks.peers.thinning import diplib_skeleton, opencv_thinning


def skimage_recipe(morphology: Any, threads: int) -> Function:
    """Return the Skeleton Recall reference's recipe, on booleans: kinder than its int16."""

    def recipe(labels: Any) -> Any:
        skeleton = morphology.skeletonize(labels > 0)
        return morphology.dilation(morphology.dilation(skeleton)) * labels

    return recipe


def _opencv_recipe(cv2: Any, threads: int) -> Function:
    thin, dilate = opencv_thinning(cv2, threads, rule="ZHANGSUEN"), opencv_dilation(cv2, threads)
    return lambda labels: dilate(thin(labels > 0)) * labels


def _diplib_recipe(diplib: Any, threads: int) -> Function:
    thin, dilate = diplib_skeleton(diplib, threads), diplib_dilation(diplib, threads)
    return lambda labels: dilate(np.ascontiguousarray(thin(labels > 0))) * labels


REFERENCE = "MIC-DKFZ's recipe: skeletonize, dilate twice, multiply"

PEERS = (
    Peer(
        *("scikit-image", "tubed_skeleton", REFERENCE, *SKIMAGE, skimage_recipe),
        target_mean=30,
        target_least=10,
    ),
    Peer(
        *("opencv", "tubed_skeleton", "the recipe with its thinning", *OPENCV, _opencv_recipe),
        same_result=False,
        target_least=3,
    ),
    Peer(
        *("diplib", "tubed_skeleton", "the recipe with its skeleton", *DIPLIB, _diplib_recipe),
        same_result=False,
        target_least=3,
    ),
    Peer(
        *("scikit-image", "tubed_skeleton_3d", REFERENCE, *SKIMAGE, skimage_recipe),
        target_least=10,
    ),
    Peer(
        *("diplib", "tubed_skeleton_3d", "the recipe with its skeleton", *DIPLIB, _diplib_recipe),
        same_result=False,
        target_least=3,
    ),
)
