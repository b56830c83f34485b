"""What the trainers write into nnU-Net's log."""

from __future__ import annotations

import re

import numpy as np
import pytest


def assert_terms_add_up(text, *, epochs, ce=1, topology="recall", alpha=1):
    """The terms of each epoch, with their weights, are nnU-Net's loss."""
    for part in ("train", "val"):
        names = [f"{part}_{name}" for name in ("dice", "ce", topology, "loss")]
        terms = np.array([re.findall(rf": {name} (\S+)", text) for name in names], float)
        assert terms.shape == (4, epochs)
        assert np.array([1, ce, alpha]) @ terms[:3] == pytest.approx(terms[3], abs=3e-4)
