"""Training batches: random crops, rotated, zoomed, mirrored and with changed intensities.

A batch depends on (seed, fold, iteration) only: every arm is trained on the same batches, and a
run that goes on after a kill sees the batches it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from experiments.config import AugmentConfig
from experiments.data import Sample
from experiments.random_streams import numpy_generator, torch_generator


@dataclass(frozen=True)
class BatchStream:
    """The endless sequence of batches of one training.

    Attributes
    ----------
    samples : sequence of Sample
        The training part.
    batch_size : int
    crop : tuple of int
        Height and width of a crop.
    augment : AugmentConfig
    seed, fold : int
    """

    samples: Sequence[Sample]
    batch_size: int
    crop: tuple[int, int]
    augment: AugmentConfig
    seed: int
    fold: int

    def batch(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Make the batch of one iteration.

        Parameters
        ----------
        iteration : int
            From 0 on.

        Returns
        -------
        image : Tensor
            (B, C, H, W) float32.
        target : Tensor
            (B, H, W) int64.
        """
        rng = numpy_generator("batch", self.seed, self.fold, iteration)
        crops = [self._crop(self.samples[i], rng) for i in self._chosen(iteration)]
        image = torch.cat([image for image, _ in crops])
        target = torch.cat([target for _, target in crops])
        noise = torch_generator("noise", self.seed, self.fold, iteration)
        return change_intensity(image, self.augment, rng, noise), target

    def _chosen(self, iteration: int) -> list[int]:
        """Choose the samples: every sample once in each pass, in a new order."""
        count, chosen = len(self.samples), []
        for position in range(iteration * self.batch_size, (iteration + 1) * self.batch_size):
            epoch, place = divmod(position, count)
            order = numpy_generator("order", self.seed, self.fold, epoch).permutation(count)
            chosen.append(int(order[place]))
        return chosen

    def _crop(self, sample: Sample, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Resample one crop in one go: image (1, C, H, W) linearly, target (1, H, W) nearest."""
        size = np.array(sample.label.shape, dtype=float)
        matrix, zoom = self._transform(rng)
        # Where the crop is smaller than the image, its centre keeps it inside.
        room = np.maximum(size - np.array(self.crop), 0)
        centre = size / 2 + (rng.random(2) - 0.5) * room
        if zoom == 1 and np.allclose(np.abs(matrix), np.eye(2)):
            centre = np.round(centre - np.array(self.crop) / 2) + np.array(self.crop) / 2
        # theta maps output to input coordinates, both -1 to 1 and x before y.
        scale = matrix * (np.array(self.crop) / size[:, None]) / zoom
        shift = 2 * centre / size - 1
        theta = torch.tensor(
            [[scale[1, 1], scale[1, 0], shift[1]], [scale[0, 1], scale[0, 0], shift[0]]],
            dtype=torch.float32,
        )
        grid = functional.affine_grid(theta[None], [1, 1, *self.crop], align_corners=False)
        image = torch.from_numpy(sample.image)[None]
        label = torch.from_numpy(sample.label)[None, None].float()
        image = functional.grid_sample(image, grid, "bilinear", "reflection", align_corners=False)
        label = functional.grid_sample(label, grid, "nearest", "reflection", align_corners=False)
        return image, label[:, 0].long()

    def _transform(self, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """Draw a rotation with mirroring, (2, 2) in pixels (y, x), and a zoom."""
        angle = rng.uniform(-math.pi, math.pi) * (rng.random() < self.augment.rotate)
        low, high = self.augment.zoom_range
        zoom = math.exp(rng.uniform(math.log(low), math.log(high)))
        zoom = zoom if rng.random() < self.augment.zoom else 1.0
        mirror = np.where(rng.random(2) < self.augment.flip, -1.0, 1.0)
        rotation = np.array(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        )
        return rotation * mirror, zoom


def change_intensity(
    image: Tensor, augment: AugmentConfig, rng: np.random.Generator, noise: torch.Generator
) -> Tensor:
    """Change contrast and brightness and add noise, each with its probability for each image.

    Parameters
    ----------
    image : Tensor
        (B, C, H, W), standardised.
    augment : AugmentConfig
    rng : numpy.random.Generator
        Draws the strengths.
    noise : torch.Generator
        Draws the noise itself.
    """

    def strength(probability: float, low: float, high: float) -> Tensor:
        drawn = rng.uniform(low, high, len(image)) * (rng.random(len(image)) < probability)
        return torch.tensor(drawn, dtype=image.dtype)[:, None, None, None]

    mean = image.mean(dim=(2, 3), keepdim=True)
    image = mean + (image - mean) * (1 + strength(augment.contrast, -0.25, 0.25))
    image = image + strength(augment.brightness, -0.25, 0.25)
    grain = torch.randn(image.shape, generator=noise)
    return image + grain * strength(augment.noise, 0.0, 0.1)
