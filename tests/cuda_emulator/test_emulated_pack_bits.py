"""Bit packing: the same words as on the CPU, whatever the type, the width and the alignment."""

from __future__ import annotations

import pytest
import torch

import tubeskel

tubeskel.skeletonize(torch.zeros(1, 1))  # loads the ops
DTYPES = [
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
]


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (1, 31), (2, 33, 1), (7, 63), (3, 5, 64), (2, 9, 65), (3, 40, 701), (0, 8), (8, 0)],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_pack_bits_equals_the_cpu(emulated, shape, dtype):
    image = (torch.rand(shape) < 0.5).to(dtype)
    assert torch.equal(emulated.pack_bits(image), torch.ops.tubeskel.pack_bits(image))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32, torch.int64])
@pytest.mark.parametrize("offset", [1, 3, 7, 15])
def test_pack_bits_of_arrays_that_start_anywhere(emulated, dtype, offset):
    image = (torch.rand(9000 + offset) < 0.5).to(dtype)[offset:].view(90, 100)
    assert torch.equal(emulated.pack_bits(image), torch.ops.tubeskel.pack_bits(image))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_pack_bits_of_floats_of_all_kinds(emulated, dtype):
    tiny, largest = torch.finfo(dtype).smallest_normal / 2, torch.finfo(dtype).max
    values = [0.0, -0.0, tiny, -tiny, 1.0, -1.0, largest, -largest, torch.inf, -torch.inf]
    image = torch.tensor(values, dtype=dtype).repeat(7).view(10, 7)
    assert torch.equal(emulated.pack_bits(image), torch.ops.tubeskel.pack_bits(image))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_pack_bits_of_negative_numbers(emulated, dtype):
    image = torch.tensor([0, -1, 1, torch.iinfo(dtype).min, torch.iinfo(dtype).max], dtype=dtype)
    image = image.repeat(9, 3)
    assert torch.equal(emulated.pack_bits(image), torch.ops.tubeskel.pack_bits(image))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("sign", [1, -1])
def test_sync_checks_name_nan(emulated, monkeypatch, dtype, sign):
    monkeypatch.setenv("TUBESKEL_SYNC_CHECKS", "1")
    image = torch.ones(30, 70, dtype=dtype)
    assert torch.equal(emulated.pack_bits(image), torch.ops.tubeskel.pack_bits(image))
    image[17, 69] = sign * torch.nan
    with pytest.raises(ValueError, match="image holds nan; allowed: every value but NaN"):
        emulated.pack_bits(image)


def test_an_invalid_value_stops_the_kernel(emulated):
    with pytest.raises(RuntimeError, match=r"pack_bits on \[3, 5\]"):
        emulated.pack_bits(torch.full((3, 5), torch.nan))
