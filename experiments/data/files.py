"""Reading images, volumes and masks, with errors that name the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

from experiments.errors import DataError

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".gif", ".jpg", ".jpeg", ".npy")
VOLUME_SUFFIXES = (".nii.gz", ".nii", ".tif", ".tiff", ".npy")


def suffix_of(path: Path) -> str:
    """Return the suffix in small letters, ``.nii.gz`` as a whole."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def stem_of(path: Path) -> str:
    """Return the file's name without `suffix_of` it."""
    return path.name[: len(path.name) - len(suffix_of(path))]


def read(path: Path) -> np.ndarray:
    """Read an image file as (H, W) or (H, W, channels).

    Raises
    ------
    DataError
        If the file is missing, cannot be decoded, or is no single 2D image.
    """
    array, _ = _decode(path)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] > 4) or array.size == 0:
        raise DataError(f"{path} has shape {array.shape}, not (height, width[, channels])")
    return array


def read_volume(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    """Read a TIFF stack, NumPy array or NIfTI file.

    Returns
    -------
    volume : numpy.ndarray
        (Z, Y, X).
    spacing : tuple of float
        Size of a voxel along Z, Y and X as NIfTI states it, else empty.

    Raises
    ------
    DataError
        If the file is missing, cannot be decoded, or is no volume.
    """
    array, spacing = _decode(path)
    colours = array.ndim == 3 and array.shape[2] <= 4
    if array.ndim != 3 or array.size == 0 or colours:
        raise DataError(f"{path} has shape {array.shape}, not that of a volume")
    return array, spacing


def read_image(path: Path) -> np.ndarray:
    """Read an image as (C, H, W) uint8 or float32, C = 1 or 3 (an alpha channel is dropped)."""
    array = read(path)
    if array.ndim == 2:
        array = array[..., None]
    channels = 1 if array.shape[2] < 3 else 3
    return _numbers(np.moveaxis(array[..., :channels], -1, 0), path)


def read_image_volume(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    """Read a volume as (1, Z, Y, X) uint8 or float32, and its spacing."""
    volume, spacing = read_volume(path)
    return _numbers(volume[None], path), spacing


def grey(array: np.ndarray, path: Path) -> np.ndarray:
    """Return a mask that was stored with equal colour channels as (H, W)."""
    if array.ndim == 2:
        return array
    colours = array[..., : 1 if array.shape[2] < 3 else 3]
    if (colours != colours[..., :1]).any():
        raise DataError(f"{path} is a colour image, not a mask")
    return colours[..., 0]


def read_mask(path: Path, above: float = 0) -> np.ndarray:
    """Read a 2D mask as (H, W) uint8: 1 where its value is over `above`, or its one bit set."""
    values = grey(read(path), path)
    return (values if values.dtype == bool else values > above).astype(np.uint8)


def read_labels(path: Path, classes: Mapping[int, int]) -> np.ndarray:
    """Read a 2D mask as (H, W) uint8 of classes, see `to_classes`."""
    return to_classes(grey(read(path), path), classes, path)


def to_classes(labels: np.ndarray, classes: Mapping[int, int], path: Path) -> np.ndarray:
    """Return the class of each pixel.

    Parameters
    ----------
    labels : numpy.ndarray
        The values in the file.
    classes : Mapping
        Class of each value that may occur.
    path : Path
        For the error message.

    Raises
    ------
    DataError
        If another value occurs.
    """
    result = np.zeros(labels.shape, np.uint8)
    known = np.zeros(labels.shape, bool)
    for value, index in classes.items():
        here = labels == value
        result[here] = index
        known |= here
    if not known.all():
        *most, last = map(str, sorted(classes))
        odd = labels[~known][0]
        raise DataError(f"{path} has values other than {', '.join(most)} and {last}, first {odd}")
    return result


def _decode(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    if not path.is_file():
        raise DataError(f"missing file: {path}")
    suffix = suffix_of(path)
    try:
        if suffix in (".nii", ".nii.gz"):
            return _decode_nifti(path)
        if suffix == ".npy":
            return np.load(path, allow_pickle=False), ()
        if suffix in (".tif", ".tiff"):
            return np.asarray(iio.imread(path, plugin="tifffile")), ()
        # index=0: a GIF is a stack of frames, of which the first counts
        return np.asarray(iio.imread(path, plugin="pillow", index=0)), ()
    except Exception as error:  # each decoder raises its own kinds
        raise DataError(f"cannot decode {path}: {' '.join(str(error).split())}") from None


def _decode_nifti(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    import nibabel

    image: Any = nibabel.load(path)
    zooms = tuple(float(zoom) for zoom in image.header.get_zooms()[::-1])
    return np.asarray(image.dataobj).T, zooms  # stored as x, y, z


def _numbers(image: np.ndarray, path: Path) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    image = image.astype(np.float32)
    if not np.isfinite(image).all():
        raise DataError(f"{path} has values that are not finite")
    return image
