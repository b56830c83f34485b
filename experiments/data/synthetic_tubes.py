"""Branching tubes of chosen width, generated: the data set that needs no download.

A tree grows as a random walk with inertia, tapers, and branches. The image shows it brighter than
the ground, except in gaps where its contrast fades while the label goes on; blobs, an edge, slow
shading and noise distract. For a designed experiment set `widths`, equal for tubes that do not
taper, and `gaps`: the trees of a seed have the same centre lines for all widths, and the same
background and noise for all shares of gaps. With a `lumen` there are two classes, one inside the
other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from scipy.ndimage import gaussian_filter

from experiments.data.base import DataConfig, Dataset, Sample, standardise
from experiments.errors import ConfigError
from experiments.random_streams import numpy_generator
from experiments.validation import Range

# A branch grows with a thickness between these, which `widths` turns into pixels.
THINNEST = 1.0
THICKEST = 6.0
GAP_LENGTH = 14  # pixels without contrast, along the centre line

Width = Annotated[float, Range(1, 64)]


@dataclass(frozen=True)
class SyntheticTubes(DataConfig, data_set="synthetic_tubes"):
    """Generated branching tubes, the same for the same seed."""

    count: Annotated[int, Range(2)] = 60
    """number of images; with folds = 0 the last fifth is the test part"""
    size: Annotated[int, Range(32)] = 128
    """height and width of an image (and depth of a volume), in pixels"""
    dimensions: Literal[2, 3] = 2
    """2 for images, 3 for volumes"""
    widths: tuple[Width, Width] = (2.0, 12.0)
    """narrowest and widest tube, in pixels; equal: all tubes are as wide"""
    lumen: Annotated[float, Range(0, 0.9)] = 0.0
    """share of a tube's width that is its lumen, half as bright as the wall and a class of its own;
    0: tubes have none"""
    gaps: Annotated[float, Range(0, 1)] = 0.1
    """share of the tubes' length without contrast"""
    noise: Annotated[float, Range(0)] = 0.25
    """standard deviation of the noise; the tubes' contrast is 0.5 to 1"""
    distractors: Annotated[int, Range(0)] = 5
    """number of blobs"""
    seed: Annotated[int, Range(0)] = 0

    summary: ClassVar[str] = "generated branching tubes with gaps, noise and distractors, 2D or 3D"

    def load(self) -> Dataset:
        """Generate the images.

        Returns
        -------
        Dataset
            One-channel images; class 1 is tube, or 1 is wall and 2 lumen.

        Raises
        ------
        ConfigError
            If the narrowest tube is wider than the widest.
        """
        if self.widths[0] > self.widths[1]:
            raise ConfigError(f"data.widths = {list(self.widths)}: allowed is narrowest, widest")
        samples = tuple(self._sample(index) for index in range(self.count))
        ids = [sample.id for sample in samples]
        cut = self.count - max(1, self.count // 5)
        classes = ("background", "wall", "lumen") if self.lumen else ("background", "tube")
        return Dataset(samples, classes, tuple(ids[:cut]), tuple(ids[cut:]))

    def _sample(self, index: int) -> Sample:
        rng = numpy_generator("synthetic_tubes", self.seed, index)
        points = grow_tree(rng, self.size, self.dimensions)
        while len(points) < 2 * self.size * (self.dimensions - 1):
            points = np.concatenate([points, grow_tree(rng, self.size, self.dimensions)])
        points[:, -1] = np.interp(
            points[:, -1], (THINNEST, THICKEST), (self.widths[0] / 2, self.widths[1] / 2)
        )
        visible = self._visibility(index, points)
        contrast = visible * rng.uniform(0.5, 1.0)
        label, signal = draw(points, contrast, self.size)
        if self.lumen:
            points[:, -1] *= self.lumen
            inside, dark = draw(points, contrast, self.size)
            label += inside
            signal -= 0.5 * dark
        image = signal + self._ground(rng) + rng.normal(0, self.noise, signal.shape)
        return Sample(f"tubes_{index:03d}", standardise(image[None]), label)

    def _visibility(self, index: int, points: np.ndarray) -> np.ndarray:
        """Contrast of each point along the tubes, 0 in the gaps, with soft ends.

        Discs on both sides reach into a gap by their radius, so it has no discs for a width more
        than its length. Gaps are added until their share of the points in the image is reached;
        the last one stays by such a chance that this share is right on average.
        """
        rng = numpy_generator("synthetic_tubes gaps", self.seed, index)
        place, radius = points[:, :-1], np.rint(points[:, -1]).astype(int)
        inside = ((place >= 0) & (place < self.size)).all(axis=1)
        wanted = self.gaps * inside.sum()
        drawn = np.ones(len(points), bool)
        dark = 0
        for start in rng.permutation(np.flatnonzero(inside)):
            if dark >= wanted:
                break
            fewer = drawn.copy()
            fewer[max(0, start - radius[start]) : start + GAP_LENGTH + radius[start]] = False
            more = int(np.count_nonzero(inside & ~covered(fewer, radius)))
            if more > wanted and rng.random() > (wanted - dark) / (more - dark):
                break
            drawn, dark = fewer, more
        return gaussian_filter(drawn.astype(float), 2)

    def _ground(self, rng: np.random.Generator) -> np.ndarray:
        """Slow shading, one edge and blobs, of the image's shape."""
        shape = (self.size,) * self.dimensions
        place = np.moveaxis(np.indices(shape), 0, -1)
        ground = gaussian_filter(rng.normal(size=shape), self.size / 8)
        ground *= 0.3 / ground.std()
        across = direction(random_angles(rng, self.dimensions))
        offset = rng.uniform(-0.3, 0.3) * self.size
        ground += 0.4 * ((place - self.size / 2) @ across > offset)
        for _ in range(self.distractors):
            centre, radius = rng.uniform(0, self.size, self.dimensions), rng.uniform(2, 7)
            distance = np.linalg.norm(place - centre, axis=-1)
            ground += rng.uniform(0.5, 1.0) * np.clip(radius - distance + 0.5, 0, 1)
        return ground


def random_angles(rng: np.random.Generator, dimensions: int) -> np.ndarray:
    """Draw a direction, uniformly: the angle in the plane of y and x, in 3D also that above it."""
    angles = [rng.uniform(0, 2 * np.pi)]
    if dimensions == 3:
        angles.append(np.arcsin(rng.uniform(-1, 1)))
    return np.array(angles)


def direction(angles: np.ndarray) -> np.ndarray:
    """Return the unit vector, ([z,] y, x), in the direction of the angles."""
    plane = np.array([np.sin(angles[0]), np.cos(angles[0])])
    if len(angles) == 1:
        return plane
    return np.array([np.sin(angles[1]), *(np.cos(angles[1]) * plane)])


def grow_tree(rng: np.random.Generator, size: int, dimensions: int) -> np.ndarray:
    """Grow one branching tree across a square or cube of `size` pixels.

    Returns
    -------
    numpy.ndarray
        (N, dimensions + 1) float64: place and thickness, from `THINNEST` to `THICKEST`, of points
        one pixel apart, branch after branch.
    """
    angles = random_angles(rng, dimensions)
    middle = np.full(dimensions, size / 2) + rng.uniform(-0.2, 0.2, dimensions) * size
    start = middle - 0.5 * size * direction(angles)
    branches = [(start, angles, rng.uniform(0.6, 1.0) * THICKEST)]
    points: list[np.ndarray] = []
    while branches:
        position, angles, thickness = branches.pop()
        turn = np.zeros(len(angles))
        for _ in range(int(1.6 * size)):
            turn = 0.9 * turn + rng.normal(0, 0.012, len(angles))
            angles = angles + turn
            position = position + direction(angles)
            thickness *= 0.994
            outside = np.abs(position - size / 2).max() > 0.75 * size
            if outside or thickness < THINNEST:
                break
            points.append(np.append(position, thickness))
            if thickness > 1.5 * THINNEST and rng.random() < 0.022:
                side = [rng.choice((-1, 1)) * rng.uniform(0.4, 1.1) for _ in angles]
                branches.append((position, angles + side, thickness * rng.uniform(0.5, 0.8)))
    return np.array(points).reshape(-1, dimensions + 1)


def covered(drawn: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return which points of the centre line lie in a disc of a point that is drawn."""
    steps = np.arange(len(drawn))
    ends = np.zeros(len(drawn) + 1, int)
    np.add.at(ends, np.maximum(steps - radius, 0)[drawn], 1)
    np.add.at(ends, np.minimum(steps + radius + 1, len(drawn))[drawn], -1)
    return np.cumsum(ends)[:-1] > 0


def draw(points: np.ndarray, contrast: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw discs, or balls, along the tubes.

    Parameters
    ----------
    points : numpy.ndarray
        (N, D + 1): place, radius.
    contrast : numpy.ndarray
        (N,) brightness of each disc.
    size : int

    Returns
    -------
    label : numpy.ndarray
        D axes of `size`, uint8, 1 inside a disc.
    signal : numpy.ndarray
        D axes of `size`, float64, the largest of the discs' brightnesses, anti-aliased.
    """
    shape = (size,) * (points.shape[1] - 1)
    label = np.zeros(shape, np.uint8)
    signal = np.zeros(shape)
    for (*centre, radius), bright in zip(points, contrast, strict=True):
        window = tuple(
            slice(max(0, int(v - radius - 1)), max(0, min(size, int(v + radius + 2))))
            for v in centre
        )
        grid = np.ogrid[window]
        distance = np.sqrt(sum((axis - v) ** 2 for axis, v in zip(grid, centre, strict=True)))
        depth = radius - distance
        label[window] |= (depth > 0).astype(np.uint8)
        part = signal[window]
        np.maximum(part, bright * np.clip(depth + 0.5, 0, 1), out=part)
    return label, signal
