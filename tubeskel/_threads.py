"""The number of threads, for both doors."""

from __future__ import annotations

import os
import sys

from ._arguments import as_integer

_limit: int | None = None


def set_num_threads(n: int | None) -> None:
    """Limit the number of threads of tubeskel's CPU kernels.

    NumPy arrays are worked on by `n` threads at most; tensors by the lesser of `n` and
    ``torch.get_num_threads()``. Small inputs use fewer: one for every 524,288 pixels.

    Parameters
    ----------
    n : int or None
        At least 1. None, as at the start, means one per available CPU, and for tensors PyTorch's
        setting alone.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is less than 1.

    Examples
    --------
    >>> import tubeskel
    >>> tubeskel.set_num_threads(1)
    >>> tubeskel.get_num_threads()
    1
    >>> tubeskel.set_num_threads(None)
    """
    global _limit
    _limit = None if n is None else min(as_integer("n", n, minimum=1), 2**31 - 1)
    if "tubeskel._torch_ops" in sys.modules:
        sys.modules["tubeskel._torch_ops"].apply_thread_limit()


def get_num_threads() -> int:
    """Return how many threads a call on a large NumPy array uses.

    Returns
    -------
    int
        The limit set by `set_num_threads`, or the number of CPUs this process may use.
    """
    if _limit is not None:
        return _limit
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_limit() -> int | None:
    """Return the limit that was set, None if none was."""
    return _limit
