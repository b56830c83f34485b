"""Random changes of intensities, batched on the device: only images drawn for one pay for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from experiments.config import AugmentConfig
from experiments.random_streams import numpy_generator, torch_seed

SMOOTHING_RADIUS = 4
"""Pixels on either side of a Gaussian kernel."""


def change_intensities(
    image: Tensor, augment: AugmentConfig, seed: int, fold: int, iteration: int
) -> Tensor:
    """Change intensities, each change with its probability for each image.

    In this order: noise, smoothing, scale, contrast, brightness, low resolution, gamma of the
    inverted image, gamma.

    Parameters
    ----------
    image : Tensor
        (B, C, *S), standardised; it is changed in place.
    augment : AugmentConfig
    seed, fold, iteration : int
        What all random numbers depend on.

    Returns
    -------
    Tensor
        `image`.
    """
    rng = numpy_generator("intensity", seed, fold, iteration)
    grains = torch.Generator(image.device).manual_seed(torch_seed("noise", seed, fold, iteration))

    def noise(x: Tensor, strength: Tensor) -> Tensor:
        grain = torch.randn(x.shape, generator=grains, device=x.device)
        return x + grain * strength

    def brightness(x: Tensor, strength: Tensor) -> Tensor:
        return x + strength

    def scale(x: Tensor, strength: Tensor) -> Tensor:
        return x * strength

    def contrast_in_range(x: Tensor, strength: Tensor) -> Tensor:
        axes = tuple(range(1, x.ndim))
        low, high = x.amin(axes, keepdim=True), x.amax(axes, keepdim=True)
        return contrast(x, strength).clamp(low, high)

    def inverted(x: Tensor, strength: Tensor) -> Tensor:
        return -gamma(-x, strength)

    changes: list[tuple[float, float, float, Callable[[Tensor, Tensor], Tensor]]] = [
        (augment.noise, 0.0, 0.1, noise),
        (augment.smooth, 0.5, 1.0, smooth),
        (augment.scale, 0.75, 1.25, scale),
        (
            augment.contrast,
            0.75,
            1.25,
            contrast_in_range if augment.contrast_keeps_range else contrast,
        ),
        (augment.brightness, -0.25, 0.25, brightness),
        (augment.low_resolution, 0.5, 1.0, lower_resolution),
        (augment.gamma_inverted, 0.7, 1.5, inverted),
        (augment.gamma, 0.7, 1.5, gamma),
    ]
    for probability, low, high, change in changes:
        strength = rng.uniform(low, high, len(image))
        chosen = np.flatnonzero(rng.random(len(image)) < probability)
        if len(chosen):
            at = to_device(chosen, image.device)
            drawn = to_device(strength[chosen].astype(np.float32), image.device)
            image[at] = change(image[at], drawn.view(-1, *[1] * (image.ndim - 1)))
    return image


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy a few numbers to the device without waiting for what it does."""
    return torch.from_numpy(array).to(device, non_blocking=True)


def contrast(image: Tensor, strength: Tensor) -> Tensor:
    """Multiply the distance from each channel's mean."""
    mean = image.mean(tuple(range(2, image.ndim)), keepdim=True)
    return mean + (image - mean) * strength


def smooth(image: Tensor, deviation: Tensor) -> Tensor:
    """Convolve each image with a Gaussian of its own standard deviation, in pixels."""
    samples, channels = image.shape[:2]
    axes = image.ndim - 2
    steps = torch.arange(-SMOOTHING_RADIUS, SMOOTHING_RADIUS + 1, device=image.device)
    kernel = torch.exp(-0.5 * (steps / deviation.reshape(-1, 1)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)  # [B C, taps]
    convolve = functional.conv3d if axes == 3 else functional.conv2d
    flat = image.reshape(1, samples * channels, *image.shape[2:])
    for axis in range(axes):
        shape = [1] * axes
        shape[axis] = len(steps)
        padding = [0] * (2 * axes)
        last_first = 2 * (axes - 1 - axis)
        padding[last_first : last_first + 2] = [SMOOTHING_RADIUS] * 2
        padded = functional.pad(flat, padding, mode="replicate")
        flat = convolve(padded, kernel.view(-1, 1, *shape), groups=samples * channels)
    return flat.view_as(image)


def lower_resolution(image: Tensor, factor: Tensor) -> Tensor:
    """Sample each image at a lower resolution (nearest) and enlarge it again (linearly)."""
    for axis in range(2, image.ndim):
        image = _lower_along(image, axis, factor.reshape(-1, 1))
    return image


def _lower_along(image: Tensor, axis: int, factor: Tensor) -> Tensor:
    n = image.shape[axis]
    last = (n * factor).round().clamp(min=1) - 1  # of the pixels of the lower resolution, [B, 1]
    position = (torch.arange(n, device=image.device) + 0.5) * factor - 0.5  # [B, n]
    position = torch.minimum(position.clamp(min=0), last)
    low = position.floor()
    shape = [len(image), *[1] * (image.ndim - 1)]
    shape[axis] = n

    def sampled(pixel: Tensor) -> Tensor:
        source = ((pixel + 0.5) / factor).floor().long().clamp(0, n - 1)
        return image.gather(axis, source.view(shape).expand_as(image))

    above = torch.minimum(low + 1, last)
    return torch.lerp(sampled(low), sampled(above), (position - low).view(shape))


def gamma(image: Tensor, exponent: Tensor) -> Tensor:
    """Raise each image, scaled to 0 to 1, to a power; it keeps its mean and standard deviation."""
    axes = tuple(range(1, image.ndim))
    low = image.amin(axes, keepdim=True)
    extent = (image.amax(axes, keepdim=True) - low).clamp(min=1e-7)
    raised = ((image - low) / extent) ** exponent
    deviation, mean = torch.std_mean(raised, axes, keepdim=True)
    wanted, centre = torch.std_mean(image, axes, keepdim=True)
    return (raised - mean) / deviation.clamp(min=1e-7) * wanted + centre
