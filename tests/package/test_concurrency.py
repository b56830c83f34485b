"""Calls from several Python threads, from forked processes, and beside other Python code."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import tubeskel
from tubeskel import srl_loss

# Large enough for two threads each.
IMAGES = np.random.default_rng(0).random((4, 1100, 1000)) < 0.7
EXPECTED = tubeskel.skeletonize(IMAGES, spatial_dims=2)


def test_calls_from_several_threads(threads):
    threads(2)
    tensors = torch.from_numpy(IMAGES)
    target = tensors.byte()
    logits = torch.randn(4, 2, 1100, 1000)
    loss = srl_loss(logits, target)

    def work(i):
        image = i % 4
        if i % 3 == 0:
            return np.array_equal(tubeskel.skeletonize(IMAGES[image]), EXPECTED[image])
        if i % 3 == 1:
            return np.array_equal(tubeskel.skeletonize(tensors[image]).numpy(), EXPECTED[image])
        return torch.equal(srl_loss(logits, target), loss)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(24)))


def test_setting_threads_meanwhile_is_harmless(threads):
    threads(1)
    stop = threading.Event()

    def change():
        n = 0
        while not stop.is_set():
            n = n % 4 + 1
            tubeskel.set_num_threads(n)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(20):
            assert np.array_equal(tubeskel.skeletonize(IMAGES[0]), EXPECTED[0])
    finally:
        stop.set()
        changer.join()


def in_a_child(queue):
    same = np.array_equal(tubeskel.skeletonize(IMAGES[0]), EXPECTED[0])
    tube, counts = tubeskel.tubed_skeleton_and_counts(IMAGES[0], 2)
    queue.put(bool(same and counts[1] == tube.sum() and tubeskel.get_num_threads() == 2))


LOGITS = torch.zeros(1, 2, 1100, 1000, requires_grad=True)
TARGET = torch.from_numpy(IMAGES[:1]).byte()


def tensors_in_a_child(queue):
    # No op of PyTorch's own on so many elements: its OpenMP threads do not survive a fork.
    same = np.array_equal(tubeskel.skeletonize(torch.from_numpy(IMAGES[0])).numpy(), EXPECTED[0])
    loss = srl_loss(LOGITS, TARGET)
    queue.put(bool(same and abs(loss.item() + 0.5) < 1e-6))


@pytest.mark.parametrize("work", [in_a_child, tensors_in_a_child])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_after_threads_were_used(threads, work):
    threads(2)
    tubeskel.skeletonize(IMAGES[0])
    tubeskel.skeletonize(torch.from_numpy(IMAGES[0]))
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    children = [context.Process(target=work, args=(queue,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(20)
    hung = [child for child in children if child.is_alive()]
    for child in hung:
        child.kill()
    assert not hung
    assert [queue.get() for _ in children] == [True] * 3


def test_workers_of_a_data_loader():
    from torch.utils.data import DataLoader

    class Tubes(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return torch.from_numpy(tubeskel.skeletonize(IMAGES[i]))

    loader = DataLoader(Tubes(), batch_size=2, num_workers=2, multiprocessing_context="fork")
    assert np.array_equal(torch.cat(list(loader)).numpy(), EXPECTED)


LARGE = np.ones((3000, 2000), dtype=bool)
CALLS = {
    "skeletonize": lambda: tubeskel.skeletonize(LARGE),
    "thin": lambda: tubeskel.thin(LARGE),
    "dilate": lambda: tubeskel.dilate(LARGE, radius=20),
    "tubed_skeleton": lambda: tubeskel.tubed_skeleton(LARGE),
    "tensor": lambda: tubeskel.skeletonize(torch.from_numpy(LARGE)),
    "loss": lambda: srl_loss(torch.zeros(1, 2, 3000, 2000), torch.from_numpy(LARGE)[None].byte()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_other_python_code_runs_meanwhile(call):
    # Nobody is made to hand over the interpreter, so the other thread moves only where the call
    # lets go of it.
    steps, stop = 0, False

    def step():
        nonlocal steps
        while not stop:
            steps += 1
            time.sleep(0.0002)

    interval = sys.getswitchinterval()
    other = threading.Thread(target=step)
    other.start()
    sys.setswitchinterval(1000)
    try:
        before = steps
        call()
        assert steps > before
    finally:
        stop = True
        sys.setswitchinterval(interval)
        other.join()
