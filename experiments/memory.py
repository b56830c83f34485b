"""The memory of a training: the most that it held, and how it is kept from step to step."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Counts from its creation, or the last `restart`, on.

    Parameters
    ----------
    device : torch.device
        A GPU, whose tensors are counted, or the CPU: then the resident memory of the process, where
        the system tells it (Linux), with what the process held before.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.restart()

    def restart(self) -> None:
        """Forget what was held before."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            with contextlib.suppress(OSError):  # without it the peak of the process counts
                _CLEAR.write_text("5")  # see proc(5)

    def read(self) -> int:
        """Return the largest number of bytes so far; 0 where the system does not tell."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        if not _STATUS.exists():
            return 0
        lines = _STATUS.read_text().splitlines()
        kibibytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
        return 1024 * int(kibibytes)


def keep_freed_memory() -> None:
    """Let the process keep what it frees, where the C library is glibc.

    PyTorch takes the memory of CPU tensors from the C library, which gives large pieces back to the
    system at once. Each step then pays for every page anew: half of the time of small networks.
    """
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # of glibc's malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(mmap_threshold, 32 << 20)  # the largest that it takes
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(top_pad, 64 << 20)
