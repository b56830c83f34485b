"""Reading image files, with errors that name the file."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np

from experiments.errors import DataError

SUFFIXES = (".png", ".tif", ".tiff", ".gif", ".jpg", ".jpeg")


def read(path: Path) -> np.ndarray:
    """Read an image file as (H, W) or (H, W, channels).

    Raises
    ------
    DataError
        If the file is missing, cannot be decoded, or is no single 2D image.
    """
    if not path.is_file():
        raise DataError(f"missing file: {path}")
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            array = np.asarray(iio.imread(path, plugin="tifffile"))
        else:  # index=0: a GIF is a stack of frames, of which the first counts
            array = np.asarray(iio.imread(path, plugin="pillow", index=0))
    except Exception as error:  # each decoder raises its own kinds
        raise DataError(f"cannot decode {path}: {' '.join(str(error).split())}") from None
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] > 4) or array.size == 0:
        raise DataError(f"{path} has shape {array.shape}, not (height, width[, channels])")
    return array


def read_image(path: Path) -> np.ndarray:
    """Read an image as (C, H, W) float32, C = 1 or 3 (an alpha channel is dropped)."""
    array = read(path)
    if array.ndim == 2:
        array = array[..., None]
    channels = 1 if array.shape[2] < 3 else 3
    image = np.moveaxis(array[..., :channels], -1, 0).astype(np.float32)
    if not np.isfinite(image).all():
        raise DataError(f"{path} has values that are not finite")
    return image


def read_mask(path: Path, foreground: tuple[int, ...] = ()) -> np.ndarray:
    """Read a mask as (H, W) uint8 of 0 and 1.

    Parameters
    ----------
    path : Path
    foreground : tuple of int, optional
        The values that are foreground; by default all that are not 0.
    """
    array = read(path)
    if array.ndim == 3:
        colours = array[..., : 1 if array.shape[2] < 3 else 3]
        if (colours != colours[..., :1]).any():
            raise DataError(f"{path} is a colour image, not a mask")
        array = colours[..., 0]
    mask = np.isin(array, foreground) if foreground else array != 0
    return mask.astype(np.uint8)
