"""What a peer is."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.cases import Unavailable

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Peer:
    """Another implementation of an operation.

    ``make`` gets the imported module and the number of threads and returns the function that is
    timed. Where ``same_result`` holds, every result is compared with ours. ``target_mean``,
    ``target_least`` and ``target_unlisted`` are how far ahead we mean to be: geometric mean over
    the listed cases, on every one of them, and on every other case. A peer that is slow to set up
    is not ``quick``: ``--quick`` leaves it out unless it is named. ``devices`` says where it takes
    its input from: arrays of the CPU, tensors of a GPU, or either.
    """

    name: str
    operation: str
    algorithm: str
    module: str
    distribution: str
    make: Callable[[Any, int], Function]
    same_result: bool = True
    target_mean: float | None = None
    target_least: float | None = None
    target_unlisted: float | None = None
    quick: bool = True
    devices: tuple[str, ...] = ("cpu",)

    def load(self, threads: int) -> Function:
        """Import the peer; `Unavailable` if it is not installed."""
        try:
            module = importlib.import_module(self.module)
        except ImportError:
            raise Unavailable(f"{self.distribution} is not installed") from None
        return self.make(module, threads)

    @property
    def version(self) -> str:
        """Version of the installed distribution."""
        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return "?"


# module and distribution of the peers that do several operations
SKIMAGE = ("skimage.morphology", "scikit-image")
OPENCV = ("cv2", "opencv-contrib-python-headless")
MAHOTAS = ("mahotas", "mahotas")
DIPLIB = ("diplib", "diplib")
ITK = ("itk", "itk-thickness3d")
GAARA = ("gaara", "gaara")
SCIPY = ("scipy.ndimage", "scipy")
TORCH = ("torch", "torch")
MONAI = ("monai.losses", "monai")
# written after their documentation, not yet run on a GPU
CUPY = ("cupyx.scipy.ndimage", "cupy-cuda13x")
CUCIM = ("cucim.skimage.morphology", "cucim-cu13")
ANYWHERE = ("cpu", "cuda")
