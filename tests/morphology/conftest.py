from __future__ import annotations

import pytest

from tubeskel import _array


@pytest.fixture(params=_array.available_instruction_sets())
def instruction_set(request):
    """Each instruction set of this machine in turn, for NumPy arrays."""
    before = _array.instruction_set()
    _array.use_instruction_set(request.param)
    yield request.param
    _array.use_instruction_set(before)
