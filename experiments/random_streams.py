"""Random numbers that depend on where they are used, not on what was drawn before.

Every draw comes from a generator made from (stream, seed, fold, iteration). So two arms see the
same batches, and a run that was killed goes on with the numbers it would have had.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch


def numpy_generator(stream: str, *keys: int) -> np.random.Generator:
    """Return the NumPy generator of a named stream at `keys` (seed, fold, iteration, ...)."""
    return np.random.default_rng([zlib.crc32(stream.encode()), *keys])


def torch_seed(stream: str, *keys: int) -> int:
    """Return a 63-bit seed for PyTorch, from the named stream at `keys`."""
    return int(numpy_generator(stream, *keys).integers(2**63))


def torch_generator(stream: str, *keys: int) -> torch.Generator:
    """Return the PyTorch CPU generator of a named stream at `keys`."""
    return torch.Generator().manual_seed(torch_seed(stream, *keys))
