"""Dilation: every footprint, radii from nothing to beyond the image, many rows in many launches."""

from __future__ import annotations

import pytest
import torch

import tubeskel

tubeskel.skeletonize(torch.zeros(1, 1))  # loads the ops
FOOTPRINTS = ("diamond", "box", "ball")


def dots(*shape):
    return torch.rand(shape) < 0.01


def check(emulated, image, axes, footprint, radius, spacing=(1.0, 1.0, 1.0)):
    arguments = (image, axes, footprint, float(radius), *spacing)
    found = emulated.dilate(*arguments)
    assert found.dtype == torch.bool
    assert torch.equal(found, torch.ops.tubeskel.dilate(*arguments)), arguments[1:]


@pytest.mark.parametrize("footprint", FOOTPRINTS)
@pytest.mark.parametrize("radius", [0, 1, 2, 3, 16, 31, 32, 33, 64, 90])
def test_dilate_in_2d(emulated, footprint, radius):
    for shape in ((1, 1), (3, 1, 70), (2, 65, 33), (40, 300), (100, 7)):
        check(emulated, dots(*shape), 2, footprint, radius)


@pytest.mark.parametrize("footprint", FOOTPRINTS)
@pytest.mark.parametrize("radius", [0, 1, 2, 5, 12])
def test_dilate_in_3d(emulated, footprint, radius):
    for shape in ((1, 1, 1), (2, 5, 7, 70), (12, 10, 33)):
        check(emulated, dots(*shape), 3, footprint, radius)


@pytest.mark.parametrize("spacing", [(2.0, 1.0, 0.5), (0.3, 1.1, 0.7)])
def test_dilate_by_balls_of_uneven_spacing(emulated, spacing):
    check(emulated, dots(9, 20, 70), 3, "ball", 3.3, spacing)
    check(emulated, dots(20, 70), 2, "ball", 3.3, spacing)


@pytest.mark.parametrize(("axes", "shape"), [(2, (700, 40)), (3, (40, 40, 9))])
def test_dilate_by_more_rows_than_a_launch_takes(emulated, axes, shape):
    image = torch.zeros(shape, dtype=torch.bool)
    image[(-1,) * axes] = True
    check(emulated, image, axes, "diamond", 690 if axes == 2 else 36)


@pytest.mark.parametrize("shape", [(0, 5, 5), (3, 0, 5), (3, 5, 0)])
def test_dilate_of_nothing(emulated, shape):
    for radius in (1, 1000):
        assert emulated.dilate(torch.zeros(shape), 2, "box", radius, 1, 1, 1).shape == shape


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint16, torch.bfloat16, torch.float64])
def test_dilate_takes_any_dtype(emulated, dtype):
    check(emulated, dots(2, 30, 50).to(dtype) * 3, 2, "diamond", 2)
