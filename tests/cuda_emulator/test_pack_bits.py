"""Bit packing: the same words as on the CPU."""

from __future__ import annotations

import pytest
import torch

import tubeskel


@pytest.mark.parametrize("shape", [(1, 1), (7, 63), (3, 5, 64), (2, 9, 65), (40, 700), (0, 8)])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8])
def test_pack_bits_equals_the_cpu(emulated, shape, dtype):
    tubeskel.skeletonize(torch.zeros(1, 1))  # loads the ops
    image = (torch.rand(shape) < 0.5).to(dtype)
    assert torch.equal(emulated.pack_bits(image), torch.ops.tubeskel.pack_bits(image))
