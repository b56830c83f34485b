"""The emulator itself, by small kernels of its own."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import emulated as harness
import numpy as np
import pytest


@pytest.fixture(scope="session")
def toy_library():
    path = harness.build("toys", [Path(__file__).parent / "kernels" / "toys.cu"])
    return harness.Library(path)


def convert(argument):
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    return ctypes.c_uint(argument) if argument > 0x7FFFFFFF else ctypes.c_int(argument)


@pytest.fixture(params=[*harness.ORDERS, "shuffled:2"])
def toys(request, toy_library):
    """A function: call a toy in an order, return what went wrong or None."""

    def call(name: str, *arguments: int | np.ndarray) -> str | None:
        function = toy_library.functions[name]
        function.restype = ctypes.c_char_p
        report = function(*map(convert, arguments))
        return report.decode() if report else None

    call.order = request.param
    call.play = lambda **device: toy_library.play(request.param, harness.Device(**device))
    call.play()
    return call


# ---- order


def tickets(toys, blocks: int = 3, threads: int = 40) -> np.ndarray:
    ticket, of_thread = np.zeros(1, np.int32), np.zeros(blocks * threads, np.int32)
    assert toys("take_tickets", blocks, threads, ticket, of_thread) is None
    assert ticket[0] == blocks * threads
    return of_thread


def test_threads_and_blocks_take_turns_in_the_order_asked_for(toys):
    taken = tickets(toys)
    assert sorted(taken) == list(range(120))
    if toys.order == "forward":
        assert (np.diff(taken) == 1).all()
    elif toys.order == "reversed":
        assert (np.diff(taken) == -1).all()
    else:
        assert len(set(np.diff(taken))) > 10
        assert (tickets(toys) == taken).all()  # the same again


def test_shuffled_threads_of_blocks_that_run_together_are_interrupted(toys):
    for cooperative in (False, True):
        count = np.zeros(1, np.int32)
        assert toys("count", 2, cooperative, count) is None
        is_interrupted = cooperative and toys.order.startswith("shuffled")
        assert (count[0] < 128) == is_interrupted


@pytest.mark.parametrize("grid", [(1, 1, 1), (3, 2, 2)])
@pytest.mark.parametrize("block", [(1, 1, 1), (5, 3, 2), (1024, 1, 1)])
def test_each_thread_of_each_block_runs_once(toys, grid, block):
    out = np.zeros(np.prod(grid) * np.prod(block), np.int32)
    assert toys("indices", np.uint32(grid), np.uint32(block), out) is None
    assert (out == 1).all()


# ---- memory of a block


@pytest.mark.parametrize("threads", [1, 33, 256])
def test_a_barrier_makes_writes_visible(toys, threads):
    values, out = np.arange(threads, dtype=np.int32) + 100, np.zeros(threads, np.int32)
    for step in (1, threads - 1):
        assert toys("rotate", values, out, threads, step, True) is None
        assert (out == np.roll(values, -step)).all()


def test_a_missing_barrier_is_seen(toys):
    values, out = np.arange(64, dtype=np.int32) + 100, np.zeros(64, np.int32)
    wrong = 0
    for step in (1, 63):
        report = toys("rotate", values, out, 64, step, False)
        wrong += (out != np.roll(values, -step)).sum()
        if harness.KIND == "races":
            assert re.search(
                r"race in shared memory: thread \d+ of block 0 (reads|writes) \(toys.cu:\d+\) "
                r"what thread \d+ of block 0 (reads|writes) \(toys.cu:\d+\), and nothing",
                report,
            )
    assert harness.KIND == "races" or wrong > 30


@pytest.mark.parametrize("dynamic_bytes", [0, 64])
def test_shared_memory_starts_with_garbage(toys, dynamic_bytes):
    out = np.zeros(64, np.uint8)
    assert toys("untouched", out, 64, dynamic_bytes) is None
    assert (out != 0).all()


# ---- barriers


@pytest.mark.parametrize("votes", [[0] * 40, [1] * 40, [0, 2] * 20])
def test_votes_of_a_block(toys, votes):
    out = np.zeros(3, np.int32)
    assert toys("votes", np.int32(votes), 40, out) is None
    assert out.tolist() == [any(votes), all(votes), np.count_nonzero(votes)]


@pytest.mark.parametrize(
    ("toy", "report"),
    [
        (
            "divergent_barrier",
            r"deadlock in .*divergent_barrier_kernel\(\) on \(2, 1, 1\) blocks of \(64, 1, 1\) "
            r"threads; block \([01], 0, 0\): threads 0 to 39 wait at __syncthreads \(toys.cu:\d+\),"
            r" threads 40 to 63 have exited",
        ),
        (
            "different_barriers",
            r"deadlock in .*different_barriers_kernel.*threads 0 to 39 wait at __syncthreads "
            r"\(toys.cu:\d+\), threads 40 to 63 wait at __syncthreads_or \(toys.cu:\d+\)",
        ),
        (
            "missing_lanes",
            r"deadlock in .*threads 0 to 15 wait at __ballot_sync of mask 0xffffffff "
            r"\(toys.cu:\d+\), threads 16 to 31 wait at __syncthreads \(toys.cu:\d+\)",
        ),
        ("foreign_mask", r"__syncwarp with a mask that lacks the calling lane \(toys.cu:\d+\)"),
        (
            "missing_block",
            r"deadlock in .*missing_block_kernel.*; block \(0, 0, 0\): threads 0 to 31 wait at "
            r"grid_group::sync \(toys.cu:\d+\)",
        ),
        ("trap", r"trap_kernel\(\).*, block \(0, 0, 0\), thread \(0, 0, 0\): __trap"),
    ],
)
def test_what_never_ends_well_is_reported(toys, toy, report):
    assert re.search(report, toys(toy))
    assert tickets(toys).size  # and leaves nothing behind


def test_a_failed_assertion_ends_the_launch(toys):
    report = toys("failing_assertion", 37)
    assert re.search(r"thread \(37, 0, 0\): assertion `int\(threadIdx.x\) != .*\(toys.cu:", report)
    assert toys("failing_assertion", 64) is None


# ---- warps

OPS = ["ballot", "any", "all", "shfl", "up", "down", "xor"]


def expected(op: str, mask: int, values: list[int], argument: int, width: int, lane: int) -> int:
    first, size = lane - lane % 32, len(values)
    lanes = [i for i in range(first, min(first + 32, size)) if mask >> (i % 32) & 1]
    if op == "ballot":
        return sum(1 << (i % 32) for i in lanes if values[i])
    if op in ("any", "all"):
        return {"any": any, "all": all}[op](values[i] for i in lanes)
    segment = lane - lane % width
    source = {
        "shfl": segment + argument % width,
        "up": lane - argument if lane - argument >= segment else lane,
        "down": lane + argument if lane + argument < segment + width else lane,
        "xor": lane ^ argument if (lane ^ argument) < segment + width else lane,
    }[op]
    return values[source] if source in lanes else 0x7F7F7F7F


@pytest.mark.parametrize("op", range(len(OPS)), ids=OPS)
@pytest.mark.parametrize("mask", [0xFFFFFFFF, 0x0F0FF0F1, 1])
@pytest.mark.parametrize("threads", [64, 40])
def test_warp_operations(toys, op, mask, threads):
    values = np.random.default_rng(3).integers(0, 3, threads).astype(np.int32)
    for argument, width in [(1, 32), (5, 8), (2, 4), (16, 32), (0, 32)]:
        out = np.zeros(threads, np.int32)
        assert toys("warp", op, mask, values, argument, width, threads, out) is None
        for lane in range(threads):
            wanted = 0
            if mask >> (lane % 32) & 1:
                wanted = expected(OPS[op], mask, values.tolist(), argument, width, lane)
            assert out[lane] == np.uint32(wanted).view(np.int32), (argument, width, lane)


def test_lanes_that_have_exited_are_not_waited_for(toys):
    out = np.zeros(32, np.int32)
    assert toys("leaving", out) is None
    assert out.tolist() == [32 - lane for lane in range(32)]


# ---- grids


def test_blocks_of_a_cooperative_grid_meet_and_keep_their_memory(toys):
    values, sums = np.zeros(6, np.int32), np.zeros(6, np.int32)
    assert toys("meet", 6, 40, values, sums, 3, True, True) is None
    assert (sums == 6 * (1 + 2 + 3)).all()


def test_a_missing_barrier_of_the_grid_is_seen(toys):
    values, sums = np.zeros(6, np.int32), np.zeros(6, np.int32)
    report = toys("meet", 6, 40, values, sums, 3, False, True)
    if harness.KIND == "races":
        assert "race in global memory" in report
    else:
        assert (sums != 6 * (1 + 2 + 3)).any()


def test_only_a_cooperative_grid_can_meet(toys):
    values, sums = np.zeros(6, np.int32), np.zeros(6, np.int32)
    report = toys("meet", 6, 40, values, sums, 1, True, False)
    assert re.search(r"grid_group::sync in a launch that is not cooperative \(toys.cu:", report)


# ---- the device


def test_a_cooperative_grid_must_fit_the_device(toys):
    values, sums = np.zeros(64, np.int32), np.zeros(64, np.int32)
    blocks = np.zeros(1, np.int32)
    for device in ({}, {"multiprocessors": 2, "blocks_per_multiprocessor": 1}):
        toys.play(**device)
        assert toys("occupancy", 1024, 0, blocks) is None
        most = int(blocks[0]) * harness.Device(**device).multiprocessors
        assert toys("meet", most, 1024, values, sums, 1, True, True) is None
        report = toys("meet", most + 1, 1024, values, sums, 1, True, True)
        assert report == "too many blocks in cooperative launch"


def test_shared_memory_is_limited_by_the_device(toys):
    out = np.zeros(4, np.uint8)
    toys.play(shared=64 * 1024)
    assert toys("untouched", out, 4, 48 * 1024) is None
    assert toys("untouched", out, 4, 48 * 1024 + 1) == "invalid argument"
    assert toys("allow_shared", 64 * 1024) is None
    assert toys("untouched", out, 4, 64 * 1024) is None
    assert toys("allow_shared", 64 * 1024 + 1) == "invalid argument"


def test_occupancy_follows_shared_memory(toys):
    blocks = np.zeros(1, np.int32)
    toys.play(shared=99 * 1024, blocks_per_multiprocessor=16)
    for shared, expected_blocks in [(0, 16), (24 * 1024, 4), (48 * 1024, 2)]:
        assert toys("occupancy", 96, shared, blocks) is None
        assert blocks[0] == expected_blocks


def test_attributes(toys):
    toys.play(multiprocessors=5, shared=12345, capability=120)
    value = np.zeros(1, np.int32)
    for which, expected_value in [(16, 5), (97, 12345), (75, 12), (76, 0), (39, 1536), (10, 32)]:
        assert toys("attribute", which, value) is None
        assert value[0] == expected_value


@pytest.mark.parametrize(
    ("grid", "block"),
    [
        ((0, 1, 1), (1, 1, 1)),
        ((1, 1, 1), (1025, 1, 1)),
        ((1, 1, 1), (1, 1, 65)),
        ((1, 65536, 1), (1, 1, 1)),
        ((1, 1, 1), (0, 1, 1)),
    ],
)
def test_launches_no_gpu_takes_are_refused(toys, grid, block):
    report = toys("indices", np.uint32(grid), np.uint32(block), np.zeros(1, np.int32))
    assert report == "invalid configuration argument"


# ---- the build


def test_variables_of_the_host_are_refused():
    with pytest.raises(RuntimeError, match=r"variable that is no shared memory: .*counter"):
        harness.build("host_variable", [Path(__file__).parent / "kernels" / "host_variable.cu"])
