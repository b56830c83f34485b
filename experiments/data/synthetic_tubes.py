"""Branching tubes of varying width, generated: the data set that needs no download.

A tree grows as a random walk with inertia, tapers, and branches. The image shows it brighter than
the ground, except in gaps where its contrast fades while the label goes on; blobs, an edge, slow
shading and noise distract.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter

from experiments.data.base import DataConfig, Dataset, Sample, standardise
from experiments.random_streams import numpy_generator
from experiments.validation import Range

MIN_RADIUS = 1.0
MAX_RADIUS = 6.0
GAP_LENGTH = 14  # steps of one pixel


@dataclass(frozen=True)
class SyntheticTubes(DataConfig, data_set="synthetic_tubes"):
    """Generated branching tubes, 2 to 12 pixels wide, the same for the same seed."""

    count: Annotated[int, Range(2)] = 60
    """number of images; with folds = 0 the last fifth is the test part"""
    size: Annotated[int, Range(32)] = 128
    """height and width of an image, in pixels"""
    gaps: Annotated[float, Range(0, 1)] = 0.1
    """share of the tubes' length without contrast"""
    noise: Annotated[float, Range(0)] = 0.25
    """standard deviation of the noise; the tubes' contrast is 0.5 to 1"""
    distractors: Annotated[int, Range(0)] = 5
    """number of blobs"""
    seed: Annotated[int, Range(0)] = 0

    summary: ClassVar[str] = "generated branching tubes with gaps, noise and distractors"

    def load(self) -> Dataset:
        """Generate the images.

        Returns
        -------
        Dataset
            One-channel images, class 1 is tube.
        """
        samples = tuple(self._sample(index) for index in range(self.count))
        ids = [sample.id for sample in samples]
        cut = self.count - max(1, self.count // 5)
        return Dataset(samples, ("background", "tube"), tuple(ids[:cut]), tuple(ids[cut:]))

    def _sample(self, index: int) -> Sample:
        rng = numpy_generator("synthetic_tubes", self.seed, index)
        points = grow_tree(rng, self.size)
        while len(points) < 2 * self.size:
            points = np.concatenate([points, grow_tree(rng, self.size)])
        visible = self._visibility(rng, len(points))
        label, signal = draw(points, visible * rng.uniform(0.5, 1.0), self.size)
        image = signal + self._ground(rng) + rng.normal(0, self.noise, signal.shape)
        return Sample(f"tubes_{index:03d}", standardise(image[None]), label)

    def _visibility(self, rng: np.random.Generator, length: int) -> np.ndarray:
        """Contrast of each point along the tubes, 0 in the gaps, with soft ends."""
        visible = np.ones(length)
        for start in rng.integers(0, length, round(self.gaps * length / GAP_LENGTH)):
            visible[start : start + GAP_LENGTH] = 0
        return gaussian_filter(visible, 2)

    def _ground(self, rng: np.random.Generator) -> np.ndarray:
        """Slow shading, one edge and blobs, (size, size)."""
        y, x = np.mgrid[: self.size, : self.size]
        ground = gaussian_filter(rng.normal(size=(self.size, self.size)), self.size / 8)
        ground *= 0.3 / ground.std()
        angle = rng.uniform(0, 2 * np.pi)
        offset = rng.uniform(-0.3, 0.3) * self.size
        side = (x - self.size / 2) * np.cos(angle) + (y - self.size / 2) * np.sin(angle) > offset
        ground += 0.4 * side
        for _ in range(self.distractors):
            centre, radius = rng.uniform(0, self.size, 2), rng.uniform(2, 7)
            distance = np.hypot(y - centre[0], x - centre[1])
            ground += rng.uniform(0.5, 1.0) * np.clip(radius - distance + 0.5, 0, 1)
        return ground


def grow_tree(rng: np.random.Generator, size: int) -> np.ndarray:
    """Grow one branching tree across a square of `size` pixels.

    Returns
    -------
    numpy.ndarray
        (N, 3) float64: y, x and radius of points one pixel apart, branch after branch.
    """
    angle = rng.uniform(0, 2 * np.pi)
    middle = np.full(2, size / 2) + rng.uniform(-0.2, 0.2, 2) * size
    start = middle - 0.5 * size * np.array([np.sin(angle), np.cos(angle)])
    branches = [(start, angle, rng.uniform(0.6, 1.0) * MAX_RADIUS)]
    points: list[tuple[float, float, float]] = []
    while branches:
        position, angle, radius = branches.pop()
        turn = 0.0
        for _ in range(int(1.6 * size)):
            turn = 0.9 * turn + rng.normal(0, 0.012)
            angle += turn
            position = position + np.array([np.sin(angle), np.cos(angle)])
            radius *= 0.994
            outside = np.abs(position - size / 2).max() > 0.75 * size
            if outside or radius < MIN_RADIUS:
                break
            points.append((position[0], position[1], radius))
            if radius > 1.5 * MIN_RADIUS and rng.random() < 0.022:
                side = rng.choice((-1, 1)) * rng.uniform(0.4, 1.1)
                branches.append((position, angle + side, radius * rng.uniform(0.5, 0.8)))
    return np.array(points).reshape(-1, 3)


def draw(points: np.ndarray, contrast: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw discs along the tubes.

    Parameters
    ----------
    points : numpy.ndarray
        (N, 3): y, x, radius.
    contrast : numpy.ndarray
        (N,) brightness of each disc.
    size : int

    Returns
    -------
    label : numpy.ndarray
        (size, size) uint8, 1 inside a disc.
    signal : numpy.ndarray
        (size, size) float64, the largest of the discs' brightnesses, anti-aliased.
    """
    label = np.zeros((size, size), np.uint8)
    signal = np.zeros((size, size))
    for (y, x, radius), bright in zip(points, contrast, strict=True):
        low_y, low_x = (max(0, int(v - radius - 1)) for v in (y, x))
        high_y, high_x = (min(size, int(v + radius + 2)) for v in (y, x))
        if low_y >= high_y or low_x >= high_x:
            continue
        rows, columns = np.ogrid[low_y:high_y, low_x:high_x]
        depth = radius - np.hypot(rows - y, columns - x)
        label[low_y:high_y, low_x:high_x] |= (depth > 0).astype(np.uint8)
        window = signal[low_y:high_y, low_x:high_x]
        np.maximum(window, bright * np.clip(depth + 0.5, 0, 1), out=window)
    return label, signal
