"""Tubed skeletons by the recipe of the reference implementation, with scikit-image."""

from __future__ import annotations

import numpy as np
from skimage.morphology import diamond, dilation, skeletonize


def reference_tube(labels: np.ndarray, radius: int = 2, ignore_index=None) -> np.ndarray:
    """Skeleton of the union of the classes, dilated by the default footprint, times the labels."""
    labels = np.where(labels == ignore_index, 0, labels) if ignore_index is not None else labels
    skeleton = skeletonize(labels != 0)
    for _ in range(radius):
        skeleton = dilation(skeleton)
    return skeleton * labels


def reference_tube_per_class(labels: np.ndarray, radius: int = 2, ignore_index=None) -> np.ndarray:
    tube = np.zeros_like(labels)
    for label in np.unique(labels):
        if label not in (0, ignore_index):
            mask = labels == label
            tube[dilation(skeletonize(mask), diamond(radius)) & mask] = label
    return tube
