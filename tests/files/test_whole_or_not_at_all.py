"""Nothing half-written is left, whatever ends a command."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from signals import heed_interrupts

from tubeskel.files import formats, write_atomically


@pytest.fixture
def half_way(monkeypatch):
    """A function: let writing an npy file end half-way with an exception."""

    def install(error):
        def save(file, array):
            file.write(b"half")
            raise error

        monkeypatch.setattr(np, "save", save)

    return install


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), 130),
        (OSError(28, "No space left on device"), 1),
        (MemoryError(), 1),
    ],
    ids=["Ctrl-C", "disk", "memory"],
)
def test_an_end_while_writing(command, tmp_path, half_way, error, expected, old):
    source, out = tmp_path / "a.npy", tmp_path / "b.npy"
    np.save(source, np.eye(5, dtype=np.uint8))
    if old:
        out.write_text(old)
    half_way(error)
    code, _, errors = command("skeletonize", source, out)
    assert code == expected
    (line,) = errors.splitlines()
    assert line.startswith("stopped" if expected == 130 else f"error: {source}: ")
    assert out.exists() == bool(old)
    assert not old or out.read_text() == old
    assert len(list(tmp_path.iterdir())) == 1 + bool(old)


def test_ctrl_c_while_reading(command, tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.eye(5))

    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(formats.np.lib.format, "read_array", stopped)
    code, output, errors = command("tube", tmp_path / "a.npy", tmp_path / "out" / "a.npy")
    assert (code, output, errors) == (130, "", "stopped; what is written is whole\n")
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_folder(command, tmp_path):
    np.save(tmp_path / "a.npy", np.eye(5))
    (tmp_path / "out" / "a.npy").mkdir(parents=True)
    code, _, errors = command("tube", tmp_path / "a.npy", tmp_path / "out")
    assert code == 1
    assert "directory" in errors
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.npy"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_files(tmp_path, sent):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    random = np.random.default_rng(0)
    for i in range(60):
        np.save(source / f"{i}.npy", random.random((1000, 1000)) < 0.6)
    command = [sys.executable, "-m", "tubeskel", "skeletonize", source, out, "--threads", "1"]
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    while not (out.is_dir() and len(list(out.glob("*.npy"))) > 1):
        assert running.poll() is None
        time.sleep(0.005)
    running.send_signal(sent)
    output, errors = running.communicate(timeout=60)
    assert (running.returncode, output) == (130, "")
    assert errors == "stopped; what is written is whole\n"
    left = list(out.iterdir())
    assert 1 < len(left) < 60
    for path in left:
        assert np.load(path).shape == (1000, 1000)


def test_write_atomically_gives_the_file_the_rights_of_a_new_one(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "atomic", lambda file: file.write(b"all"))
    assert (tmp_path / "atomic").read_bytes() == b"all"
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode
