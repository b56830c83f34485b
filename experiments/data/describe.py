"""What a data set is made of: classes, widths, and how much of the mask a tube leaves out.

Where a structure is thinner than the tube, the tube around its skeleton is the structure itself,
and the Skeleton Recall Loss is plain recall: these figures tell for how much of a data set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

import tubeskel
from experiments.data.base import Dataset, Sample


@dataclass(frozen=True)
class ClassDescription:
    """One class of the foreground, over all samples; NaN where there is none of it.

    Attributes
    ----------
    name : str
    images : int
        Samples that have the class.
    foreground : float
        Share of all pixels that are not ignored.
    tube_to_mask : float
        Pixels of the tube over pixels of the mask: 1 if the tube is the mask.
    thinner_than_tube : float
        Share of the class's pixels where it is thinner than the tube (2 x radius + 1 pixels): whose
        nearest skeleton pixel has a smaller local width.
    width_p10, width_median, width_p90 : float
        Percentiles of the local width over the skeleton, in pixels: twice the distance to the
        nearest other pixel, less 1, which is right for odd widths and 1 short for even ones.
    """

    name: str
    images: int
    foreground: float
    tube_to_mask: float
    thinner_than_tube: float
    width_p10: float
    width_median: float
    width_p90: float


@dataclass(frozen=True)
class Description:
    """Figures of a data set: samples, groups of samples, radius of the tube, and the classes."""

    images: int
    groups: int
    radius: int
    classes: tuple[ClassDescription, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, texts and numbers, for a report."""
        return {
            **dataclasses.asdict(self),
            "classes": [dataclasses.asdict(one) for one in self.classes],
        }


def describe(dataset: Dataset, radius: int = 2, per_class: bool = False) -> Description:
    """Measure the labels of a data set.

    Parameters
    ----------
    dataset : Dataset
    radius : int, optional
        Of the tube, in pixels.
    per_class : bool, optional
        Thin each class by itself for the tube, as the loss does if told so; by default the union of
        all classes is. Local widths are always those of each class.

    Returns
    -------
    Description

    Examples
    --------
    >>> from experiments.data import SyntheticTubes
    >>> from experiments.data.describe import describe
    >>> tubes = SyntheticTubes("synthetic_tubes", count=2, widths=(3, 3)).load()
    >>> describe(tubes).classes[0].thinner_than_tube > 0.9
    True
    """
    labels = [_without_ignored(sample) for sample in dataset.samples]
    pixels = sum(label.size for label in labels) - sum(
        int(sample.ignore.sum()) for sample in dataset.samples if sample.ignore is not None
    )
    tube = np.zeros(len(dataset.classes), np.int64)
    for label in labels:
        _, counts = tubeskel.tubed_skeleton_and_counts(
            label, len(dataset.classes), radius=radius, per_class=per_class
        )
        tube += counts
    classes = tuple(
        _describe_class(
            name, [label == index for label in labels], int(tube[index]), radius, pixels
        )
        for index, name in enumerate(dataset.classes)
        if index > 0
    )
    groups = {sample.group or sample.id for sample in dataset.samples}
    return Description(len(labels), len(groups), radius, classes)


def local_widths(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure how wide a mask is.

    Parameters
    ----------
    mask : numpy.ndarray
        (*spatial) bool, 2D or 3D.

    Returns
    -------
    on_skeleton : numpy.ndarray
        (S,) float64: width at each pixel of the skeleton.
    on_mask : numpy.ndarray
        (N,) float64: for each pixel of the mask, the width at the skeleton pixel nearest to it.
    """
    skeleton = tubeskel.skeletonize(mask)
    if not skeleton.any():
        return np.zeros(0), np.zeros(0)
    width = 2 * distance_transform_edt(mask) - 1
    _, nearest = distance_transform_edt(~skeleton, return_indices=True)
    return width[skeleton], width[tuple(axis[mask] for axis in nearest)]


def _describe_class(
    name: str, masks: Sequence[np.ndarray], tube: int, radius: int, pixels: int
) -> ClassDescription:
    present = [mask for mask in masks if mask.any()]
    if not present:
        nan = float("nan")
        return ClassDescription(name, 0, 0.0, nan, nan, nan, nan, nan)
    widths = [local_widths(mask) for mask in present]
    inside = sum(int(mask.sum()) for mask in present)
    thin = sum(int((on_mask < 2 * radius + 1).sum()) for _, on_mask in widths)
    on_skeleton = np.concatenate([width for width, _ in widths])
    p10, median, p90 = (float(p) for p in np.percentile(on_skeleton, (10, 50, 90)))
    return ClassDescription(
        name, len(present), inside / pixels, tube / inside, thin / inside, p10, median, p90
    )


def _without_ignored(sample: Sample) -> np.ndarray:
    if sample.ignore is None:
        return sample.label
    return np.where(sample.ignore, 0, sample.label).astype(np.uint8)
