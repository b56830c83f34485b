"""Masks and label maps in files: png, tif, npy and nii.

A reader is one function a format, which imports the format's library. It returns the labels and a
function that writes other labels as the file was: with its palette, resolution, axes or affine.
"""

from __future__ import annotations

import gzip
import importlib.util
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .atomic import write_atomically
from .labels import one_channel


@dataclass(frozen=True)
class LabelFile:
    """What a file holds.

    Attributes
    ----------
    labels : ndarray
        Axes in the order time, z, y, x, as far as there are any.
    write : callable
        ``write(labels, file)`` writes labels of the same shape and dtype, the rest as it was.
    stack_of : str
        What the file says its leading axis is, if that is none of space; else empty.
    """

    labels: np.ndarray
    write: Callable[[np.ndarray, Any], Any]
    stack_of: str = ""


@dataclass(frozen=True)
class Format:
    """A file format: the suffixes of its names, and its reader with the library that it needs."""

    suffixes: tuple[str, ...]
    library: str
    distribution: str
    read: Callable[[Path], LabelFile]


def format_of(path: Path) -> Format | None:
    """Return the format that the name of a file tells, None for a name of another kind."""
    name = path.name.lower()
    return next((known for known in FORMATS if name.endswith(known.suffixes)), None)


def require_library(path: Path) -> None:
    """Raise ImportError, which says what to install, unless a file's library is there."""
    known = format_of(path)
    if known is not None and importlib.util.find_spec(known.library) is None:
        raise ImportError(
            f"{path} needs {known.distribution}, which is not installed: "
            'pip install "tubeskel[files]"'
        )


def read(path: Path) -> LabelFile:
    """Read a file; OSError or ValueError says why it cannot be."""
    known = format_of(path)
    if known is None:
        raise ValueError(f"its name ends in none of {SUFFIXES}")
    try:
        return known.read(path)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # each library raises its own kinds
        raise ValueError(str(error) or type(error).__name__) from error


def save(file: LabelFile, labels: np.ndarray, path: Path) -> None:
    """Write `labels` to `path` in the way of `file`, whole or not at all."""

    def fill(out: BinaryIO) -> None:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=6, mtime=0) as z:
                file.write(labels, z)
        else:
            file.write(labels, out)

    write_atomically(path, fill)


def _read_npy(path: Path) -> LabelFile:
    with path.open("rb") as file:
        return LabelFile(np.lib.format.read_array(file, allow_pickle=False), _write_npy)


def _write_npy(labels: np.ndarray, file: Any) -> None:
    np.save(file, labels)


def _read_png(path: Path) -> LabelFile:
    from PIL import Image
    from PIL.PngImagePlugin import PngImageFile  # unlike Image.open it has no limit of size

    with PngImageFile(path) as image:
        if image.is_animated:
            raise ValueError(f"an animation of {image.n_frames} frames")
        array = np.asarray(image)
        palette, dpi = image.getpalette(), image.info.get("dpi")

    def write(labels: np.ndarray, file: Any) -> None:
        out = Image.fromarray(labels)
        if palette is not None:
            out.putpalette(palette)
        out.save(file, "png", dpi=dpi)

    return LabelFile(array if array.ndim == 2 else one_channel(array), write)


def _read_tif(path: Path) -> LabelFile:
    import tifffile

    with _errors_of("tifffile"), tifffile.TiffFile(path) as tif:
        if len(tif.series) != 1:
            raise ValueError(f"{len(tif.series)} images that are no stack")
        array, axes = tif.series[0].asarray(), tif.series[0].axes
        options = _tif_options(tif)
    if "S" in axes:
        array = one_channel(np.moveaxis(array, axes.index("S"), -1))
        axes = axes.replace("S", "")
    options["metadata"] = {**options["metadata"], "axes": axes}

    def write(labels: np.ndarray, file: Any) -> None:
        tifffile.imwrite(file, labels, **options)

    return LabelFile(array, write, {"T": "times", "C": "channels"}.get(axes[0], ""))


@contextmanager
def _errors_of(library: str) -> Iterator[None]:
    """Raise what a library only logs, when it returns the part of a damaged file that is left."""
    errors: list[str] = []

    def is_warning(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            errors.append(record.getMessage())
        return record.levelno < logging.ERROR

    logger = logging.getLogger(library)
    logger.addFilter(is_warning)
    try:
        yield
    finally:
        logger.removeFilter(is_warning)
    if errors:
        raise ValueError(f"damaged: {errors[0]}")


def _tif_options(tif: Any) -> dict[str, Any]:
    """Return how to write a file like this one."""
    from tifffile import COMPRESSION, PHOTOMETRIC, xml2dict

    page = tif.pages.first
    kept = page.photometric in (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.PALETTE)
    options: dict[str, Any] = {
        "photometric": page.photometric if kept else PHOTOMETRIC.MINISBLACK,
        "colormap": page.colormap,
        "compression": None if page.compression == COMPRESSION.NONE else "zlib",
        "metadata": {},
    }
    if "XResolution" in page.tags:
        options |= {"resolution": page.resolution, "resolutionunit": page.resolutionunit}
    if tif.is_imagej:
        options |= {"imagej": True, "metadata": tif.imagej_metadata}
    elif tif.is_ome:
        pixels = xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
        sizes = {key: value for key, value in pixels.items() if key.startswith("PhysicalSize")}
        options |= {"ome": True, "metadata": sizes}
    return options


def _read_nii(path: Path) -> LabelFile:
    import nibabel

    image = nibabel.load(path)
    if not isinstance(image, nibabel.Nifti1Image):
        raise ValueError("no NIfTI file")

    def write(labels: np.ndarray, file: Any) -> None:
        header = image.header.copy()
        header.set_data_dtype(labels.dtype)
        type(image)(labels.T, image.affine, header).to_stream(file)

    return LabelFile(np.asanyarray(image.dataobj).T, write)  # x comes first in the file


FORMATS = (
    Format((".npy",), "numpy", "NumPy", _read_npy),
    Format((".png",), "PIL", "Pillow", _read_png),
    Format((".tif", ".tiff"), "tifffile", "tifffile", _read_tif),
    Format((".nii", ".nii.gz"), "nibabel", "NiBabel", _read_nii),
)
SUFFIXES = ", ".join(suffix for known in FORMATS for suffix in known.suffixes)
