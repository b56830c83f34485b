"""Smaller samples: fewer pixels, or a volume as its slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from experiments.data.base import Sample
from experiments.errors import ConfigError


def downsample(sample: Sample, factor: int) -> Sample:
    """Join `factor` x `factor` pixels to one along the last two axes; a rest at the end is cut off.

    The image becomes the mean. A label becomes the most frequent class of the foreground, if there
    is any: so what was connected stays connected, and thin structures get wider. A pixel is ignored
    if one of its pixels was, and in the field of view if all were.
    """
    if factor == 1:
        return sample
    height, width = sample.label.shape[-2:]
    if min(height, width) < factor:
        raise ConfigError(f"data.downsample = {factor}: '{sample.id}' is {width} x {height} pixels")
    ignore, view = sample.ignore, sample.field_of_view
    spacing, within = sample.spacing, (-3, -1)
    return replace(
        sample,
        image=_blocks(sample.image, factor).mean(axis=within, dtype=np.float32),
        label=_frequent_foreground(_blocks(sample.label, factor)),
        ignore=None if ignore is None else np.asarray(_blocks(ignore, factor).any(axis=within)),
        field_of_view=None if view is None else np.asarray(_blocks(view, factor).all(axis=within)),
        spacing=(*spacing[:-2], *(size * factor for size in spacing[-2:])),
    )


def slices(volume: Sample) -> Iterator[Sample]:
    """Yield the slices of a volume along its first axis that have foreground, as one group."""
    for z in range(volume.label.shape[0]):
        if not volume.label[z].any():
            continue
        yield Sample(
            f"{volume.id}_z{z:03d}",
            volume.image[:, z],
            volume.label[z],
            None if volume.ignore is None else volume.ignore[z],
            None if volume.field_of_view is None else volume.field_of_view[z],
            volume.spacing[1:],
            volume.group or volume.id,
        )


def _blocks(array: np.ndarray, factor: int) -> np.ndarray:
    """View (..., H, W) as (..., H', factor, W', factor)."""
    rows, columns = (size // factor for size in array.shape[-2:])
    whole = array[..., : rows * factor, : columns * factor]
    return whole.reshape(*array.shape[:-2], rows, factor, columns, factor)


def _frequent_foreground(blocks: np.ndarray) -> np.ndarray:
    result = np.zeros((*blocks.shape[:-3], blocks.shape[-2]), np.uint8)
    most = np.zeros(result.shape, np.intp)
    for index in range(1, int(blocks.max(initial=0)) + 1):
        count = (blocks == index).sum(axis=(-3, -1))
        result[count > most] = index
        most = np.maximum(most, count)
    return result
