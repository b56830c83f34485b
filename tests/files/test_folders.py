"""Which files of a folder are read, and where they are written."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from tubeskel import skeletonize

MASK = np.eye(9, dtype=np.uint8) * 255
MASK[2:6, 2:6] = 255


def put(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".png":
            Image.fromarray(MASK).save(path)
        elif path.suffix == ".npy":
            np.save(path, MASK)
        else:
            path.write_text("something else")


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_names_and_folders_come_again(command, tmp_path):
    source, out = tmp_path / "in", tmp_path / "new" / "out"
    names = ["a.npy", "a.png", "b/A.PNG", "b/c/a.npy"]
    put(*(source / name for name in names))
    assert command("skeletonize", source, out) == (0, "4 written, 0 failed\n", "")
    assert tree(out) == sorted(names)
    assert np.array_equal(np.load(out / "b/c/a.npy"), skeletonize(MASK) * 255)
    assert tree(source) == sorted(names)


def test_other_files_are_counted(command, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    others = ["a.jpg", "b/b.JPG", "notes.txt", "LICENSE", ".a.png", ".hidden/a.png"]
    put(source / "a.png", *(source / name for name in others))
    (source / "link").symlink_to(source / "b")
    code, output, errors = command("skeletonize", source, out)
    assert (code, errors) == (0, "")
    assert output.startswith("1 written, 0 failed; passed over: ")
    counts = output.strip().split("passed over: ")[1].split(", ")
    assert sorted(counts) == ["1 .txt", "1 linked folder", "1 no suffix", "2 .jpg", "2 hidden"]
    assert tree(out) == ["a.png"]


def test_a_link_to_a_file_is_a_file(command, tmp_path):
    put(tmp_path / "a.npy")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.npy").symlink_to(tmp_path / "a.npy")
    assert command("skeletonize", tmp_path / "in", tmp_path / "out")[0] == 0
    assert not (tmp_path / "out" / "b.npy").is_symlink()
    assert np.array_equal(np.load(tmp_path / "a.npy"), MASK)


def test_a_second_run_into_a_folder_inside_gives_the_same(command, tmp_path):
    put(tmp_path / "a.npy", tmp_path / "b" / "a.npy")
    for _ in range(2):
        code, output, _ = command("skeletonize", tmp_path, tmp_path / "out")
        assert (code, output) == (0, "2 written, 0 failed\n")
        assert tree(tmp_path / "out") == ["a.npy", "b/a.npy"]


def test_what_is_there_is_replaced(command, tmp_path):
    put(tmp_path / "a.npy")
    (tmp_path / "b.npy").write_text("old")
    assert command("skeletonize", tmp_path / "a.npy", tmp_path / "b.npy")[0] == 0
    assert np.load(tmp_path / "b.npy").shape == MASK.shape


def test_a_file_into_a_folder(command, tmp_path):
    put(tmp_path / "a.npy")
    (tmp_path / "out").mkdir()
    assert command("skeletonize", tmp_path / "a.npy", tmp_path / "out")[0] == 0
    assert tree(tmp_path / "out") == ["a.npy"]


def test_no_output_takes_the_place_of_an_input(command, tmp_path):
    put(tmp_path / "in" / "a.npy", tmp_path / "in" / "in" / "a.npy")
    os.link(tmp_path / "in" / "a.npy", tmp_path / "same.npy")
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    (tmp_path / "link.npy").symlink_to(tmp_path / "in" / "a.npy")
    for source, out, message in (
        ("in", "in", "another folder than IN"),
        ("in", "linked", "another folder than IN"),
        ("in/a.npy", "in", "the place of an input"),
        ("in/a.npy", "in/a.npy", "the place of an input"),
        ("in/a.npy", "link.npy", "the place of an input"),
        ("in/a.npy", "same.npy", "the place of an input"),
    ):
        code, _, errors = command("skeletonize", tmp_path / source, tmp_path / out)
        assert code == 2
        assert message in errors
    assert np.array_equal(np.load(tmp_path / "in" / "a.npy"), MASK)


def test_an_output_further_up_is_no_input(command, tmp_path):
    put(tmp_path / "in" / "b" / "a.npy", tmp_path / "in" / "b" / "b" / "a.npy")
    code, _, errors = command("skeletonize", tmp_path / "in" / "b", tmp_path / "in")
    assert code == 2
    assert str(tmp_path / "in" / "b" / "a.npy") in errors
    assert tree(tmp_path / "in") == ["b/a.npy", "b/b/a.npy"]


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("nowhere", "out", "nowhere does not exist"),
        (
            "a.txt",
            "out.npy",
            "a.txt must be a folder or end in one of .npy, .png, .tif, .tiff",
        ),
        ("a.npy", "out.png", "must be a folder that exists or end in .npy, as IN"),
        ("a.npy", "out", "must be a folder that exists or end in .npy, as IN"),
        ("a.png", "a.npy", "end in .png, as IN"),
        ("empty", "out", "empty holds no file that ends in one of .npy"),
        ("folder", "a.npy", "a.npy is none"),
    ],
)
def test_usage(command, tmp_path, source, out, message):
    put(tmp_path / "a.npy", tmp_path / "a.png", tmp_path / "a.txt", tmp_path / "folder" / "a.npy")
    (tmp_path / "empty").mkdir()
    before = tree(tmp_path)
    code, output, errors = command("skeletonize", tmp_path / source, tmp_path / out)
    assert (code, output) == (2, "")
    assert errors.startswith("usage: python -m tubeskel skeletonize")
    assert message in errors
    assert tree(tmp_path) == before


def test_a_folder_that_cannot_be_listed_is_named(command, tmp_path, monkeypatch):
    put(tmp_path / "in" / "a.npy", tmp_path / "in" / "locked" / "a.npy")
    scandir = os.scandir

    def locked(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    code, output, errors = command("skeletonize", tmp_path / "in", tmp_path / "out")
    assert (code, output) == (1, "1 written, 1 failed\n")
    assert errors.startswith(f"error: {tmp_path / 'in' / 'locked'}: ")
