"""What all data sets of files share: fewer samples, fewer pixels, slices, and the cache."""

import imageio.v3 as iio
import numpy as np
import pytest

from experiments.data import Folder, Sample
from experiments.data.cache import folder as cache_folder
from experiments.data.resample import downsample, slices
from experiments.errors import ConfigError, DataError


def load(root, **fields):
    return Folder("folder", root=str(root), **fields).load()


def equal(one, two):
    for a, b in zip(one.samples, two.samples, strict=True):
        assert (a.id, a.spacing, a.group) == (b.id, b.spacing, b.group)
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.label, b.label)
        assert a.image.dtype == b.image.dtype


# ---- fewer samples


def test_max_samples_counts_in_each_part(folder):
    root = folder.parent / "split"
    root.mkdir()
    folder.rename(root / "train")
    for kind in ("images", "masks"):
        (root / "test" / kind).mkdir(parents=True)
        for name in "ef":
            iio.imwrite(root / "test" / kind / f"{name}.png", np.eye(8, dtype=np.uint8))
    dataset = load(root, max_samples=1)
    assert (dataset.train, dataset.test) == (("train_a",), ("test_e",))


# ---- fewer pixels


def sample(label, **fields):
    image = np.arange(label.size, dtype=np.float32).reshape(1, *label.shape)
    return Sample("s", image, label, **fields)


def test_downsample_keeps_thin_lines_connected():
    label = np.zeros((12, 12), np.uint8)
    label[range(12), range(12)] = 1
    label[0, :] = 1
    small = downsample(sample(label), 3)
    assert small.label.shape == (4, 4)
    assert small.label[range(4), range(4)].all()
    assert small.label[0].all()
    assert small.label.sum() == 7


def test_downsample_takes_the_mean_and_the_most_frequent_foreground():
    label = np.array([[0, 0, 2, 1], [0, 0, 2, 2], [0, 3, 0, 0], [0, 0, 0, 0]], np.uint8)
    small = downsample(sample(label, spacing=(0.5, 2.0)), 2)
    np.testing.assert_array_equal(small.label, [[0, 2], [3, 0]])
    np.testing.assert_array_equal(small.image[0], [[2.5, 4.5], [10.5, 12.5]])
    assert small.spacing == (1.0, 4.0)


def test_downsample_ignores_any_and_sees_only_what_is_seen_whole():
    one = np.zeros((5, 4), bool)
    one[0, 0] = True
    small = downsample(sample(np.zeros((5, 4), np.uint8), ignore=one, field_of_view=~one), 2)
    np.testing.assert_array_equal(small.ignore, [[1, 0], [0, 0]])
    np.testing.assert_array_equal(small.field_of_view, [[0, 1], [1, 1]])


def test_downsample_leaves_the_first_axis_of_a_volume():
    small = downsample(sample(np.ones((3, 4, 6), np.uint8), spacing=(5.0, 1.0, 1.0)), 2)
    assert small.label.shape == small.image.shape[1:] == (3, 2, 3)
    assert small.spacing == (5.0, 2.0, 2.0)


def test_downsample_below_one_pixel_is_refused():
    with pytest.raises(ConfigError, match=r"data.downsample = 9: 's' is 6 x 4 pixels"):
        downsample(sample(np.ones((4, 6), np.uint8)), 9)


def test_downsample_is_a_field_of_every_set(folder):
    whole, small = load(folder), load(folder, downsample=2)
    assert small.samples[0].image.shape == (1, 20, 25)
    assert small.samples[0].image.std() == pytest.approx(1, abs=1e-3)
    assert small.samples[0].label.sum() * 4 >= whole.samples[0].label.sum()


# ---- slices


def test_slices_are_a_group_and_leave_out_empty_ones():
    label = np.zeros((4, 3, 5), np.uint8)
    label[1, 0, 0], label[3, 2, 2] = 1, 2
    volume = sample(label, ignore=label == 2, spacing=(9.0, 1.0, 2.0))
    one, two = slices(volume)
    assert (one.id, two.id) == ("s_z001", "s_z003")
    assert one.group == two.group == "s"
    assert one.spacing == (1.0, 2.0)
    np.testing.assert_array_equal(two.image, volume.image[:, 3])
    assert two.ignore.sum() == 1


# ---- the cache


def entries():
    return sorted(cache_folder().glob("*")) if cache_folder().is_dir() else []


def test_the_cache_gives_what_the_files_give(folder):
    fresh = load(folder, cache=False)
    assert not entries()
    equal(load(folder), fresh)
    assert len(entries()) == 4
    equal(load(folder), fresh)
    assert len(entries()) == 4


def test_the_cache_is_read(folder, monkeypatch):
    first = load(folder)
    monkeypatch.setattr(Folder, "read", lambda *_: pytest.fail("was decoded again"))
    equal(load(folder), first)


def test_files_may_be_moved_and_are_still_found(folder):
    load(folder)
    load(folder.rename(folder.with_name("elsewhere")))
    assert len(entries()) == 4


def test_a_changed_file_of_the_same_size_and_time_is_read(folder):
    import os

    path = folder / "masks" / "c.tif"
    before, times = load(folder), path.stat()
    size = times.st_size
    path.write_bytes(path.read_bytes().replace(b"\xff" * 40, b"\xff" * 39 + b"\x00", 1))
    assert path.stat().st_size == size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = load(folder)
    assert (before.samples[2].label != after.samples[2].label).any()


def test_another_setting_is_another_entry(folder):
    load(folder)
    load(folder, foreground=(255,))
    load(folder, downsample=2)
    assert len(entries()) == 12


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", None])
def test_a_corrupt_entry_is_made_anew(folder, content):
    first = load(folder)
    for path in entries():
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    equal(load(folder), first)
    for path in entries():
        with np.load(path) as entry:
            assert {"image", "label", "spacing"} <= set(entry)


def test_a_flipped_bit_in_an_entry_is_noticed(folder):
    first = load(folder)
    for path in entries():
        content = bytearray(path.read_bytes())
        content[400] ^= 1
        path.write_bytes(bytes(content))
    equal(load(folder), first)


def test_a_cache_that_cannot_be_written_is_named(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUBESKEL_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(DataError, match=r"cannot write .*TUBESKEL_CACHE.*data\.cache to false"):
        load(folder)
