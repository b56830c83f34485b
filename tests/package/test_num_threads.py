"""`set_num_threads` and `get_num_threads`."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

import tubeskel

IMAGE = np.random.default_rng(0).random((900, 600)) < 0.6


@pytest.fixture(autouse=True)
def restored():
    yield
    tubeskel.set_num_threads(None)


def test_by_default_one_for_each_cpu_of_this_process():
    assert tubeskel.get_num_threads() == len(os.sched_getaffinity(0))


def test_fewer_cpus_fewer_threads(python):
    code = """
import os, tubeskel
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(tubeskel.get_num_threads())
"""
    assert python(code) == "1\n"


def test_what_was_set_is_got():
    for n in (1, 7, np.int64(3)):
        tubeskel.set_num_threads(n)
        assert tubeskel.get_num_threads() == n
    tubeskel.set_num_threads(None)
    test_by_default_one_for_each_cpu_of_this_process()


@pytest.mark.parametrize("bad", [0, -1, -(2**70)])
def test_refuses_less_than_one(bad):
    tubeskel.set_num_threads(3)
    with pytest.raises(ValueError, match=f"n must be at least 1, got {bad}"):
        tubeskel.set_num_threads(bad)
    assert tubeskel.get_num_threads() == 3


@pytest.mark.parametrize("bad", [1.0, "2", True, [1]])
def test_refuses_what_is_no_integer(bad):
    with pytest.raises(TypeError, match="n must be an integer"):
        tubeskel.set_num_threads(bad)


@pytest.mark.parametrize("n", [1000, 2**31, 2**63, 2**70])
def test_a_huge_limit_works(n):
    expected = tubeskel.skeletonize(IMAGE)
    tubeskel.set_num_threads(n)
    assert np.array_equal(tubeskel.skeletonize(IMAGE), expected)
    assert np.array_equal(tubeskel.skeletonize(torch.from_numpy(IMAGE)).numpy(), expected)


THREADS_SEEN = """
import os, threading, time, numpy, torch, tubeskel
def most_threads(work):
    most, done = 0, False
    def watch():
        nonlocal most
        while not done:
            most = max(most, len(os.listdir("/proc/self/task")))
            time.sleep(0.0005)
    before = len(os.listdir("/proc/self/task"))
    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(5):
        work()
    done = True
    watcher.join()
    return most - before - 1
image = numpy.ones((2000, 2000), dtype=bool)
tensor = torch.from_numpy(image)
tubeskel.skeletonize(tensor[:9, :9])
"""
ON_ARRAYS = "print(most_threads(lambda: tubeskel.skeletonize(image)))\n"
ON_TENSORS = "print(most_threads(lambda: tubeskel.skeletonize(tensor)))\n"
needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self/task"), reason="counts threads by /proc/self/task"
)


@needs_proc
def test_the_limit_holds_for_arrays(python):
    code = THREADS_SEEN + "".join(f"tubeskel.set_num_threads({n})\n" + ON_ARRAYS for n in (1, 3))
    assert python(code).split() == ["0", "2"]


@needs_proc
def test_tensors_use_the_lesser_of_both_settings(python):
    code = THREADS_SEEN
    for of_torch, own in ((1, 4), (3, None), (3, 2), (2, 3)):
        code += f"torch.set_num_threads({of_torch}); tubeskel.set_num_threads({own})\n" + ON_TENSORS
    assert python(code).split() == ["0", "2", "1", "1"]


@needs_proc
def test_a_limit_set_before_torch_is_loaded_holds(python):
    code = "import tubeskel; tubeskel.set_num_threads(1)\n" + THREADS_SEEN
    assert python(code + "torch.set_num_threads(4)\n" + ON_TENSORS).split() == ["0"]


@needs_proc
def test_small_images_start_no_threads(python):
    code = THREADS_SEEN + "tubeskel.set_num_threads(8)\nimage = image[:300, :800]\n"
    assert python(code + ON_ARRAYS).split() == ["0"]
