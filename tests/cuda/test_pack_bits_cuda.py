"""Bit packing on a GPU: the same words as on the CPU."""

from __future__ import annotations

import pytest
import torch

import tubeskel

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("shape", [(1, 1), (7, 63), (3, 5, 64), (2, 9, 65), (4, 512, 700), (0, 8)])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8])
def test_pack_bits_on_cuda_equals_the_cpu(shape, dtype):
    tubeskel.skeletonize(torch.zeros(1, 1))  # loads the ops
    image = (torch.rand(shape) < 0.5).to(dtype)
    words = torch.ops.tubeskel.pack_bits(image.cuda())
    assert words.is_cuda
    assert torch.equal(words.cpu(), torch.ops.tubeskel.pack_bits(image))


def test_morphology_refuses_what_it_has_no_kernels_for():
    with pytest.raises(ValueError, match=r"image must be on the CPU .*cuda"):
        tubeskel.skeletonize(torch.zeros(8, 8, device="cuda"))
