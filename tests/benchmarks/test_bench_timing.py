"""Timing against a clock of our own, memory against an allocation of known size, and the cases."""

import nibabel
import numpy as np
import pytest
from PIL import Image

import tubeskel
from benchmarks import cases, memory, timing
from benchmarks.cases import SUITES, Unavailable
from benchmarks.operations import OPERATIONS, Operation
from benchmarks.timing import Effort, Time, in_turn
from benchmarks.trees import diagonal_bars, tubes_3d, vessel_tree, vessel_tubes

LEE = next(operation for operation in OPERATIONS if operation.name == "skeletonize_3d")
EFFORT = Effort(runs=7, seconds=1.0, slow_runs=3, slow_seconds=10.0, once=20.0, most_runs=800)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when a side runs; ``clock.side(seconds)`` makes one."""

    class Clock:
        now = 0.0
        log: list[str]

        def side(self, name, seconds):
            def call():
                self.now += seconds
                self.log.append(name)
                return name

            return call

    clock = Clock()
    clock.log = []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


def test_sides_run_in_turn_until_each_has_enough(clock):
    sides = {"ours": clock.side("ours", 0.5), "peer": clock.side("peer", 0.1)}
    times = in_turn(sides, EFFORT)
    # one warm-up each, then rounds; the peer needs 1 s
    assert clock.log[:4] == ["ours", "peer", "ours", "peer"]
    assert times["peer"].runs in (10, 11)
    assert times["ours"].runs == times["peer"].runs
    assert times["ours"].median == pytest.approx(0.5)


def test_a_fast_side_runs_several_times_in_its_turn(clock):
    times = in_turn({"ours": clock.side("ours", 0.001), "peer": clock.side("peer", 1.0)}, EFFORT)
    assert times["peer"].runs == 7
    assert clock.log[2:23] == ["ours"] * 10 + ["peer"] + ["ours"] * 10
    assert times["ours"].runs == 800  # it went on to its most, short of 1 s


def test_slow_sides_run_less(clock):
    sides = {name: clock.side(name, t) for name, t in (("ours", 1), ("slow", 5), ("once", 30))}
    times = in_turn(sides, EFFORT)
    assert times["slow"].runs == 3
    assert times["once"].runs == 1
    assert clock.log.count("once") == 1


def test_every_result_is_checked(clock):
    seen = []
    sides = {"ours": clock.side("ours", 1.0), "peer": clock.side("peer", 1.0)}
    times = in_turn(sides, EFFORT, lambda side, result: seen.append((side, result)))
    assert [side for side, _ in seen] == clock.log
    assert len(seen) == times["ours"].runs + times["peer"].runs + 2
    assert set(seen) == {("ours", "ours"), ("peer", "peer")}


def test_a_time_is_median_and_quartiles():
    assert Time.of([4.0, 1.0, 3.0, 2.0, 5.0]) == Time(3.0, 2.0, 4.0, 5)


@pytest.mark.skipif(not memory.CLEAR.exists(), reason="needs Linux's /proc")
def test_peak_memory_counts_what_is_taken_and_freed():
    taken = 64 * 2**20
    greedy = Operation(
        *("greedy", "thin", "masks", ""),
        lambda mask: np.ones(taken, np.uint8).any() & mask,
        lambda ours, theirs: None,
    )
    found = memory._measure(greedy, "random-0.5")
    assert found["input_bytes"] == found["result_bytes"] == 512 * 512
    assert 0.95 * taken < found["extra_bytes"] < 1.1 * taken


def test_names_are_unique_and_every_operation_has_an_oracle():
    for suite in SUITES.values():
        names = [case.name for case in suite]
        assert len(names) == len(set(names))
    for operation in OPERATIONS:
        assert any(peer.same_result for peer in operation.peers)
        assert operation.suite in SUITES


def test_generated_cases_repeat_themselves():
    mask = vessel_tree(128, seed=3)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, vessel_tree(128, seed=3))
    assert (mask != vessel_tree(128, seed=4)).any()
    thick, thin = (tubes_3d((20, 20, 20), 4, radius=r) for r in (3, 1))
    assert set(np.unique(thick)) == {0, 1, 2, 3}
    assert 0 < (thin > 0).sum() < (thick > 0).sum()
    assert not ((thin > 0) & (thick == 0)).any()
    volume = vessel_tubes(48, seed=3)
    assert volume.shape == (48, 48, 48)
    assert volume.dtype == bool
    np.testing.assert_array_equal(volume, vessel_tubes(48, seed=3))
    assert (volume != vessel_tubes(48, seed=4)).any()


def test_volumes_are_read_as_masks_in_order_of_depth(tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "DATA", tmp_path)
    labels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4) % 5
    for folder in ("vesselNN/labels", "TopCoW_roi_labels"):
        (tmp_path / folder).mkdir(parents=True)
    pages = [Image.fromarray(page) for page in labels]
    pages[0].save(tmp_path / "vesselNN/labels/a.tif", save_all=True, append_images=pages[1:])
    nibabel.save(nibabel.Nifti1Image(labels.T, np.eye(4)), tmp_path / "TopCoW_roi_labels/a.nii.gz")
    for case in cases.VOLUMES[:2]:
        (mask,) = case.load()
        assert mask.dtype == bool
        assert mask.flags.c_contiguous
        np.testing.assert_array_equal(mask, labels > 0)


def test_bars_are_parallel_to_the_diagonal():
    for dims in (2, 3):
        bars = diagonal_bars(32, dims, width=2, number=4)
        assert bars.mean() == (2 * 4 / 32) ** (dims - 1)
        np.testing.assert_array_equal(bars, np.roll(bars, (1,) * dims, tuple(range(dims))))


def test_cases_are_found_by_name_also_of_other_sizes():
    assert cases.find_case("masks", "random-0.5").load()[0].shape == (512, 512)
    assert cases.find_case("masks", "square-32").load()[0].sum() == 28**2
    assert cases.find_case("volumes", "cube-32").load()[0].shape == (32, 32, 32)


@pytest.mark.parametrize("peer", LEE.peers, ids=lambda peer: peer.name)
def test_peers_thin_volumes(peer):
    volume = vessel_tubes(48)
    try:
        skeleton = peer.load(1)(volume)
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert skeleton.shape == volume.shape
    assert 0 < np.count_nonzero(skeleton) < np.count_nonzero(volume) / 4
    assert not (skeleton.astype(bool) & ~volume).any()
    if peer.same_result:
        assert LEE.difference(tubeskel.skeletonize(volume), skeleton) is None
