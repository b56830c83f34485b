"""``python -m tubeskel``: help, options, libraries that are missing, the progress bar."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tubeskel


@pytest.mark.parametrize("name", ["skeletonize", "tube"])
def test_help(command, name):
    code, text, _ = command(name, "--help")
    assert code == 0
    assert f"usage: python -m tubeskel {name}" in text
    for option in (
        "IN",
        "OUT",
        "--method",
        "--threads",
        "--per-class",
        "--ignore-index",
        "--keep-components",
        "--spatial-dims",
        "--max-labels",
    ):
        assert option in text
    assert ("--radius" in text) == (name == "tube")
    assert max(map(len, text.splitlines())) <= 80


def test_help_names_the_commands(command):
    code, text, _ = command("--help")
    assert code == 0
    assert "skeletonize" in text
    assert "tube" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["skeleton", "a.npy", "b.npy"], "'skeleton'"),
        (["tube", "a.npy"], "OUT"),
        (["tube", "a.npy", "b.npy", "--radius", "-1"], "an integer of at least 0, got '-1'"),
        (["tube", "a.npy", "b.npy", "--radius", "1.5"], "an integer of at least 0, got '1.5'"),
        (["skeletonize", "a.npy", "b.npy", "--radius", "1"], "--radius"),
        (["tube", "a.npy", "b.npy", "--threads", "0"], "an integer of at least 1, got '0'"),
        (["tube", "a.npy", "b.npy", "--max-labels", "many"], "at least 1, got 'many'"),
        (["tube", "a.npy", "b.npy", "--method", "thin"], "'thin'"),
        (["tube", "a.npy", "b.npy", "--spatial-dims", "4"], "4"),
    ],
)
def test_usage(command, arguments, message):
    code, output, errors = command(*arguments)
    assert (code, output) == (2, "")
    assert message in errors


def test_a_negative_label_can_be_ignored(command, tmp_path):
    labels = np.eye(5, dtype=int) - np.eye(5, k=1, dtype=int)
    np.save(tmp_path / "a.npy", labels)
    assert command("tube", tmp_path / "a.npy", tmp_path / "b.npy", "--ignore-index", -1)[0] == 0
    assert np.array_equal(np.load(tmp_path / "b.npy"), np.eye(5))


def test_threads(command, tmp_path):
    np.save(tmp_path / "a.npy", np.eye(5))
    command("tube", tmp_path / "a.npy", tmp_path / "b.npy", "--threads", 3)
    assert tubeskel.get_num_threads() == 3


WITHOUT = """
import sys
for name in ("PIL", "tifffile", "nibabel", "imagecodecs", "rich", "torch", "scipy"):
    sys.modules[name] = None
sys.stderr.isatty = lambda: True
from tubeskel._cli import main
sys.exit(main(sys.argv[1:]))
"""


def run_without_extras(*arguments):
    command = [sys.executable, "-c", WITHOUT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_npy_needs_no_extra(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(5))
    done = run_without_extras("tube", tmp_path / "a.npy", tmp_path / "b.npy")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 written, 0 failed\n", "")


@pytest.mark.parametrize(
    ("suffix", "library"), [(".png", "Pillow"), (".tif", "tifffile"), (".nii.gz", "NiBabel")]
)
def test_a_missing_library_is_named_before_anything_is_done(tmp_path, suffix, library):
    folder = tmp_path / "in"
    folder.mkdir()
    np.save(folder / "a.npy", np.eye(5))
    (folder / f"b{suffix}").write_bytes(b"")
    done = run_without_extras("tube", folder, tmp_path / "out")
    assert done.returncode == 2
    assert f"b{suffix} needs {library}" in done.stderr
    assert 'pip install "tubeskel[files]"' in done.stderr
    assert not (tmp_path / "out").exists()


def test_progress_is_shown_to_who_looks_on(command, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        np.save(tmp_path / "in" / f"{name}.npy", np.eye(5))
    np.save(tmp_path / "in" / "bad.npy", np.eye(5) / 2)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, output, errors = command("tube", tmp_path / "in", tmp_path / "out")
    assert (code, output) == (1, "3 written, 1 failed\n")
    assert "100%" in errors
    assert "bad.npy:thevalue0.5" in "".join(errors.split())  # rich breaks lines
