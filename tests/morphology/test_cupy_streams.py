"""CuPy arrays on its streams, with stand-ins for CuPy and for PyTorch's streams: no GPU is needed.

The stand-in's arrays lie in the memory of the host, so the results are those of the CPU.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from mask_shapes import make_labels

import tubeskel

DEVICE = SimpleNamespace(id=None)
LEGACY, PER_THREAD, OWN = 1, 2, 0x5550


class Array:
    """What the door asks of a `cupy.ndarray`."""

    device = DEVICE

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.dtype = values.dtype
        self.strides = values.strides

    def view(self, dtype: object) -> Array:
        return Array(self.values.view(dtype))

    def __dlpack__(self, *, stream: int | None = None, **options: object) -> object:
        assert min(self.strides, default=0) >= 0, "PyTorch would end the process"
        return self.values.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.values.__dlpack_device__()


@pytest.fixture
def streams(monkeypatch):
    """A stand-in for CuPy whose current stream has the pointer `streams.pointer`.

    `streams.used` are the streams that PyTorch was put on.
    """
    log = SimpleNamespace(pointer=0, used=[])

    class Capsule:  # a capsule alone: with a tensor, the streams would be negotiated
        def __init__(self, capsule: object) -> None:
            self.capsule = capsule

        def __dlpack__(self, **options: object) -> object:
            return self.capsule

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    def from_dlpack(capsule: object) -> Array:
        assert type(capsule).__name__ == "PyCapsule"
        return Array(np.from_dlpack(Capsule(capsule)))

    @contextlib.contextmanager
    def stream(current: object):
        log.used.append(current)
        yield

    cupy = ModuleType("cupy")
    cupy.ndarray = Array
    cupy.from_dlpack = from_dlpack
    cupy.ascontiguousarray = lambda array: Array(np.ascontiguousarray(array.values))
    cupy.cuda = SimpleNamespace(
        get_current_stream=lambda device: SimpleNamespace(ptr=log.pointer),
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "default_stream", lambda device: "default")
    monkeypatch.setattr(torch.cuda, "ExternalStream", lambda pointer, device: pointer)
    door = importlib.util.find_spec("tubeskel._cupy_door")
    module = importlib.util.module_from_spec(door)
    door.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "tubeskel._cupy_door", module)
    monkeypatch.setattr(tubeskel, "_cupy_door", module, raising=False)
    return log


# PyTorch draws a stream from its own pool where it is given the pointer 0.
@pytest.mark.parametrize(
    ("pointer", "stream"),
    [(0, "default"), (LEGACY, "default"), (PER_THREAD, PER_THREAD), (OWN, OWN)],
)
def test_work_is_queued_on_the_current_stream(streams, pointer, stream):
    streams.pointer = pointer
    labels = make_labels((30, 41), 3, seed=1)
    found = tubeskel.tubed_skeleton(Array(labels))
    assert np.array_equal(found.values, tubeskel.tubed_skeleton(labels))
    assert set(streams.used) == {stream}


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int64", "float32"])
@pytest.mark.parametrize("steps", [(1, 1), (-1, 1), (1, -2), (2, 1)], ids=str)
def test_any_strides(streams, dtype, steps):
    labels = make_labels((30, 41), 3, seed=1).astype(dtype)[:: steps[0], :: steps[1]]
    for function in (tubeskel.skeletonize, tubeskel.tubed_skeleton):
        found, expected = function(Array(labels)), function(labels)
        assert found.dtype == expected.dtype
        assert np.array_equal(found.values, expected)


def test_no_images(streams):
    tube, counts = tubeskel.tubed_skeleton_and_counts(
        Array(np.zeros((0, 4, 5), dtype=np.int32)), 3, spatial_dims=2
    )
    assert tube.values.shape == (0, 4, 5)
    assert counts.values.shape == (0, 3)


def test_complex_numbers_are_refused(streams):
    with pytest.raises(TypeError, match="image must hold bools, integers or floats"):
        tubeskel.skeletonize(Array(np.ones((4, 4), dtype=complex)))
