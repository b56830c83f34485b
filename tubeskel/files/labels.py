"""What counts as a mask or label map: one whole number a pixel, and few different ones."""

from __future__ import annotations

import numpy as np

_CHUNK = 1 << 22  # pixels looked at together


def one_channel(image: np.ndarray) -> np.ndarray:
    """Return the grey values of (..., channels), if it is grey and of one transparency."""
    colours = 3 if image.shape[-1] >= 3 else 1
    if (image[..., :colours] != image[..., :1]).any():
        raise ValueError("a colour image; a mask has equal channels")
    for extra in range(colours, image.shape[-1]):
        if (image[..., extra] != image[..., extra].flat[0]).any():
            raise ValueError("an alpha channel that varies; a mask has none")
    return np.ascontiguousarray(image[..., 0])


def check_labels(labels: np.ndarray, most: int) -> None:
    """Raise ValueError for what is no label map, or has more than `most` labels beside 0."""
    if labels.dtype.kind not in "biuf" or labels.dtype.itemsize > 8:
        raise ValueError(f"values of type {labels.dtype}; a mask holds bools or integers")
    pixels = labels.reshape(-1)
    found = pixels[:0]
    for start in range(0, pixels.size, _CHUNK):
        chunk = pixels[start : start + _CHUNK]
        found = np.union1d(found, chunk[chunk != 0])
        if labels.dtype.kind == "f":
            broken = found[~np.isfinite(found) | (found != np.rint(found))]
            if broken.size:
                raise ValueError(f"the value {broken[0]}; a mask holds whole numbers")
        if found.size > most:
            raise ValueError(
                f"more than {most} different values beside 0, "
                "as in an image and not a mask; --max-labels sets the limit"
            )
