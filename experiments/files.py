"""Writing files so that a kill leaves the old file or the new one, never half of one."""

from __future__ import annotations

from pathlib import Path

from tubeskel.files import write_atomically

__all__ = ["write_atomically", "write_bytes", "write_text"]


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically."""
    write_atomically(path, lambda file: file.write(data))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))
