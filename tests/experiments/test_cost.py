"""What is measured of a training: its steps, not what only looks at them."""

import itertools
import json
from dataclasses import replace

import pytest
import torch

from experiments import cost, runner, training
from experiments.batches import BatchStream
from experiments.config import GradientsConfig
from experiments.cost import Cost, CostMeter
from experiments.losses import ArmLoss

CPU = torch.device("cpu")


class Clock:
    """A clock that only the test moves."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(cost, "time", clock)
    return clock


def test_the_time_of_a_step_is_a_median_without_monitoring(config, clock, monkeypatch):
    def taking(seconds, function):
        def slow(*arguments):
            clock.now += next(seconds)
            return function(*arguments)

        return slow

    steps = itertools.cycle([1.0, 1.0, 1.0, 60.0, 1.0, 1.0])  # the machine pauses once
    hours = itertools.repeat(3600.0)
    monkeypatch.setattr(BatchStream, "batch", taking(steps, BatchStream.batch))
    monkeypatch.setattr(ArmLoss, "monitor", taking(hours, ArmLoss.monitor))
    for name in ("analyse", "write_atomically"):
        monkeypatch.setattr(training, name, taking(hours, getattr(training, name)))
    folder = runner.run(replace(config, gradients=GradientsConfig(every=2)))
    for job in folder.jobs():
        found = json.loads((folder.job_path(job) / "cost.json").read_text())
        assert found["training_seconds"] == 65
        assert found["median_step_seconds"] == 1


def test_a_span_is_divided_by_its_steps_and_goes_on_after_a_kill(clock):
    meter = CostMeter(CPU)
    for seconds, done in ((9.0, 1), (8.0, 5)):
        clock.now += seconds
        with meter.paused(done):
            clock.now += 100
    before = meter.cost()
    assert (before.training_seconds, before.step_seconds) == (17, (9, 2))
    meter = CostMeter(CPU, 5, before)
    clock.now += 3
    with meter.paused():
        clock.now += 100
    clock.now += 3
    with meter.paused(7):
        after = meter.cost()
    assert (after.training_seconds, after.step_seconds) == (23, (9, 2, 3))
    assert after.median_step_seconds == 3
    assert Cost().median_step_seconds is None


def test_a_gpu_has_finished_when_the_clock_is_read_and_its_memory_is_of_the_steps(monkeypatch):
    calls, held = [], [0]

    class Time:
        def monotonic(self):
            calls.append("clock")
            return 0.0

    monkeypatch.setattr(cost, "time", Time())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: calls.append("wait"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: held[0])
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda device: held.__setitem__(0, 0)
    )
    meter = CostMeter(torch.device("cuda"))
    held[0] = 10
    with meter.paused(1):
        held[0] = 99
    held[0] = 7
    with meter.paused(2):
        pass
    assert calls == ["wait", "clock"] * 5
    assert meter.cost().peak_memory_bytes == 10
