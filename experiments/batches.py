"""Training batches, made on the device: crops that are rotated, zoomed and mirrored in one gather.

A batch depends on (seed, fold, iteration) only: every arm is trained on the same batches, and a
run that goes on after a kill sees the batches it would have seen.

All images lie end to end in one tensor on the device, whatever their sizes. A crop is a grid of
positions in its image, mirrored back at the borders; the positions of the whole batch are looked up
at once: linearly (4 or 8 neighbours) in the image, the nearest pixel in the label.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from experiments.config import AugmentConfig, TrainConfig
from experiments.data import Sample
from experiments.errors import ConfigError
from experiments.intensities import change_intensities, to_device
from experiments.losses import IGNORE
from experiments.random_streams import numpy_generator

ANISOTROPIC = 3.0
"""Volumes whose coarsest axis is coarser than this many times the finest are rotated in-plane."""
PLACES = 10_000
"""Pixels of each class that are kept to centre crops on."""


class Store:
    """All samples on the device, end to end.

    Attributes
    ----------
    image : Tensor
        (pixels, C) float32.
    label : Tensor
        (pixels,) uint8, `IGNORE` where there is no label.
    offsets : numpy.ndarray
        (samples,) int64, the first pixel of each sample.
    sizes, spacings : numpy.ndarray
        (samples, axes).
    """

    def __init__(self, samples: Sequence[Sample], device: torch.device) -> None:
        self.sizes = np.array([sample.label.shape for sample in samples])
        axes = self.sizes.shape[1]
        self.spacings = np.array([sample.spacing or (1.0,) * axes for sample in samples])
        counts = self.sizes.prod(axis=1)
        self.offsets = np.cumsum(counts) - counts
        self.image = torch.cat(
            [
                torch.from_numpy(np.ascontiguousarray(s.image)).flatten(1).T.to(device)
                for s in samples
            ]
        ).contiguous()
        self.label = torch.cat(
            [torch.from_numpy(_with_ignored(s)).flatten().to(device) for s in samples]
        )
        self.places = [_places(sample) for sample in samples]


@dataclass(frozen=True)
class BatchStream:
    """The endless sequence of batches of one training.

    Attributes
    ----------
    store : Store
        The training part.
    train : TrainConfig
    augment : AugmentConfig
    seed, fold : int
    mirror_axes : tuple of int, optional
        Spatial axes along which crops are mirrored; by default all.
    """

    store: Store
    train: TrainConfig
    augment: AugmentConfig
    seed: int
    fold: int
    mirror_axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.train.crop) != self.axes:
            raise ConfigError(
                f"train.crop = {list(self.train.crop)}: allowed is a list of {self.axes}, "
                f"the images being {self.axes}D"
            )

    @property
    def axes(self) -> int:
        """How many spatial axes the images have."""
        return self.store.sizes.shape[1]

    def batch(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Make the batch of one iteration.

        Parameters
        ----------
        iteration : int
            From 0 on.

        Returns
        -------
        image : Tensor
            (B, C, *crop) float32.
        target : Tensor
            (B, *crop) uint8, `IGNORE` where there is no label.
        """
        rng = numpy_generator("batch", self.seed, self.fold, iteration)
        chosen = self._chosen(iteration)
        transforms = np.stack([self._transform(sample, rng) for sample in chosen])
        image, target = self._look_up(chosen, transforms)
        return change_intensities(image, self.augment, self.seed, self.fold, iteration), target

    def _chosen(self, iteration: int) -> list[int]:
        """Choose the samples: every sample once in each pass, in a new order."""
        count, chosen = len(self.store.offsets), []
        size = self.train.batch_size
        for position in range(iteration * size, (iteration + 1) * size):
            epoch, place = divmod(position, count)
            order = numpy_generator("order", self.seed, self.fold, epoch).permutation(count)
            chosen.append(int(order[place]))
        return chosen

    def _transform(self, sample: int, rng: np.random.Generator) -> np.ndarray:
        """Draw where a crop lies: [axes, axes + 1], from its centred pixels to the image's."""
        size, crop = self.store.sizes[sample], np.array(self.train.crop)
        matrix = self._matrix(self.store.spacings[sample], rng)
        # Where the crop is smaller than the image, its centre keeps it inside.
        room = np.maximum(size - crop, 0)
        offset = (rng.random(len(size)) - 0.5) * room
        on_foreground, kind, which = rng.random(3)
        places = self.store.places[sample]
        if places and on_foreground < self.train.foreground:
            of_class = places[int(kind * len(places))]
            place = np.array(np.unravel_index(of_class[int(which * len(of_class))], size))
            offset = np.clip(place + 0.5 - size / 2, -room / 2, room / 2)
        centre = size / 2 + offset
        if _on_pixels(matrix):  # whole pixels stay sharp
            centre = np.round(centre - crop / 2) + crop / 2
        return np.column_stack([matrix, centre])

    def _matrix(self, spacing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a rotation, a zoom and mirroring, [axes, axes] in pixels."""
        axes, augment = len(spacing), self.augment
        angle, quaternion = rng.uniform(-math.pi, math.pi), rng.normal(size=4)
        rotates = rng.random() < augment.rotate
        low, high = augment.zoom_range
        zoom = math.exp(rng.uniform(math.log(low), math.log(high)))
        zoom = zoom if rng.random() < augment.zoom else 1.0
        mirror = np.where(rng.random(axes) < augment.flip, -1.0, 1.0)
        if self.mirror_axes is not None:
            mirror[np.setdiff1d(range(axes), self.mirror_axes)] = 1.0
        rotation = np.eye(axes)
        if rotates and axes == 3 and spacing.max() <= ANISOTROPIC * spacing.min():
            rotation = Rotation.from_quat(quaternion).as_matrix()
        elif rotates:
            plane = np.sort(np.argsort(spacing, kind="stable")[:2])
            turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
            rotation[np.ix_(plane, plane)] = turn
        return rotation * spacing / spacing[:, None] * mirror / zoom  # turns in real space

    def _look_up(self, chosen: list[int], transforms: np.ndarray) -> tuple[Tensor, Tensor]:
        """Read the crops of a batch: the image (B, C, *crop), the label (B, *crop)."""
        store, crop = self.store, self.train.crop
        device = store.image.device
        sizes = to_device(store.sizes[chosen], device)
        affine = to_device(transforms.astype(np.float32), device)
        steps = [torch.arange(n, device=device) + 0.5 - n / 2 for n in crop]
        grid = torch.stack([axis.flatten() for axis in torch.meshgrid(*steps, indexing="ij")])
        position = affine[..., :-1] @ grid + affine[..., -1:] - 0.5  # [B, axes, pixels]

        # Along each axis: the pixels below and above in flat order, and how far it is from below.
        start = to_device(store.offsets[chosen], device)[:, None]
        nearest, stride = start, torch.ones_like(start)
        neighbours = []
        for axis in reversed(range(len(crop))):
            size = sizes[:, axis, None]
            at = _reflect(position[:, axis], size)  # [B, pixels]
            low = at.floor()
            share = at - low
            below = low.long()
            above = torch.minimum(below + 1, size - 1)
            below = below.clamp_(min=0)
            nearest = nearest + torch.where(share < 0.5, below, above) * stride
            neighbours.append(((below * stride, 1 - share), (above * stride, share)))
            stride = stride * size
        image, label = store.image[nearest], store.label[nearest]
        between = np.flatnonzero([not _on_pixels(transform[:, :-1]) for transform in transforms])
        if len(between):
            at = to_device(between, device)
            mean = torch.zeros((), device=device)
            for corner in itertools.product(*neighbours):
                index, weight = start[at], torch.ones((), device=device)
                for place, part in corner:
                    index, weight = index + place[at], weight * part[at]
                mean = mean + store.image[index] * weight[..., None]
            image[at] = mean
        return image.mT.reshape(len(chosen), -1, *crop), label.reshape(len(chosen), *crop)


def _on_pixels(matrix: np.ndarray) -> bool:
    """Tell whether a crop is mirrored at most, so that nothing is to be interpolated."""
    return np.array_equal(np.abs(matrix), np.eye(len(matrix)))


def _reflect(position: Tensor, size: Tensor) -> Tensor:
    """Mirror positions back into -0.5 to size - 0.5."""
    around = torch.remainder(position + 0.5, 2 * size)
    return torch.minimum(around, 2 * size - around) - 0.5


def _with_ignored(sample: Sample) -> np.ndarray:
    label = np.ascontiguousarray(sample.label, dtype=np.uint8)
    return label if sample.ignore is None else np.where(sample.ignore, np.uint8(IGNORE), label)


def _places(sample: Sample) -> list[np.ndarray]:
    """Return for each foreground class that is there some of its pixels, as flat indices."""
    label = _with_ignored(sample).ravel()
    classes = np.setdiff1d(np.unique(label), (0, IGNORE))
    found = (np.flatnonzero(label == c) for c in classes)
    return [pixels[:: -(-len(pixels) // PLACES)] for pixels in found]
