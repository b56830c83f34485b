"""The CUDA ops on the emulator, in every order of threads and blocks."""

from __future__ import annotations

import emulated as harness
import pytest
import torch


@pytest.fixture(scope="session")
def library():
    """The library of the emulated ops."""
    return harness.load()


@pytest.fixture(params=harness.ORDERS)
def emulated(request, library):
    """`torch.ops.tubeskel_emulated`, its kernels run in an order; workspaces start with garbage."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)  # fills what torch.empty returns
    with library.playing(request.param):
        yield torch.ops.tubeskel_emulated
    torch.use_deterministic_algorithms(before)


@pytest.fixture
def device(emulated, library, request):
    """A function: play another device, such as `device(multiprocessors=2, shared=48 * 1024)`."""

    def play(**options: int) -> None:
        order = request.node.callspec.params["emulated"]
        library.play(order, harness.Device(**options))

    return play


if harness.KIND != "plain":  # what starts processes with the other kinds
    collect_ignore = ["test_faults.py", "test_planted_bugs.py"]
