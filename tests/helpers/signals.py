"""Signals to processes that tests start."""

from __future__ import annotations

import signal


def heed_interrupts() -> None:
    """For ``preexec_fn``: a shell starts what runs in its background deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
