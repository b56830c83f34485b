"""The most memory that a training held."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Counts from its creation on.

    Parameters
    ----------
    device : torch.device
        A GPU, whose tensors are counted, or the CPU: then the resident memory of the process, where
        the system tells it (Linux), with what the process held before.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
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
