"""Prepared arrays on disk, found again by what they were made from.

An entry's name is a hash of the bytes of the files and of the settings: a changed file or setting
is another entry, and moving the files changes nothing. Entries lie in the folder that the variable
``TUBESKEL_CACHE`` names, else in ``~/.cache/tubeskel``; any of them may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from experiments.errors import DataError
from experiments.files import write_atomically

Arrays = dict[str, np.ndarray]


def folder() -> Path:
    """Return where the entries lie."""
    named = os.environ.get("TUBESKEL_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "tubeskel"


def cached(files: Iterable[Path], settings: str, make: Callable[[], Arrays]) -> Arrays:
    """Return what `make` returns, from disk if the same files and settings were seen before.

    Parameters
    ----------
    files : iterable of Path
        All that `make` reads, in an order that says which is which.
    settings : str
        All else that its result depends on.
    make : callable

    Raises
    ------
    DataError
        If a file cannot be read, or the entry cannot be written.
    """
    path = folder() / f"{key(files, settings)}.npz"
    try:
        with np.load(path, allow_pickle=False) as entry:
            return dict(entry)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error):
        pass  # missing or corrupt: made anew
    arrays = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    except OSError as error:
        raise DataError(
            f"cannot write {path} ({error.strerror}): name another folder in TUBESKEL_CACHE, or "
            "set data.cache to false"
        ) from None
    return arrays


def key(files: Iterable[Path], settings: str) -> str:
    """Return a hash of the bytes of the files, in their order, and of the settings."""
    total = hashlib.blake2b(settings.encode(), digest_size=20)
    for path in files:
        try:
            total.update(hashlib.blake2b(path.read_bytes()).digest())
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from None
    return total.hexdigest()
