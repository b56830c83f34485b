from __future__ import annotations

import pytest
from devices import DEVICES, KINDS, maker_of

from tubeskel import _array

SETS = _array.available_instruction_sets()


@pytest.fixture(params=KINDS)
def kind(request):
    """A function: an array as it is, or as a tensor on each device."""
    return maker_of(request.param)


@pytest.fixture(params=[*SETS, *DEVICES])
def kernels(request):
    """A function: an array where these kernels take it.

    As it is for each instruction set of this machine, or as a tensor on each device.
    """
    before = _array.instruction_set()
    if request.param in SETS:
        _array.use_instruction_set(request.param)
    yield maker_of("array" if request.param in SETS else request.param)
    _array.use_instruction_set(before)


@pytest.fixture(params=SETS)
def instruction_set(request):
    """Each instruction set of this machine in turn, for NumPy arrays."""
    before = _array.instruction_set()
    _array.use_instruction_set(request.param)
    yield request.param
    _array.use_instruction_set(before)
