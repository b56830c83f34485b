"""Small configs and folders for the tests of the experiments."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from experiments.config import from_mapping


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TUBESKEL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def mapping(tmp_path):
    """A run of a few seconds: two arms, two folds, tiny networks, as plain data."""
    return {
        "name": "tiny",
        "out": str(tmp_path / "run"),
        "data": {"name": "synthetic_tubes", "folds": 2, "count": 6, "size": 48},
        "arms": {
            "dice_ce": {"loss": "dice_ce"},
            "dice_ce_srl": {"loss": "dice_ce_srl", "alpha": 1.0},
        },
        "network": {"filters": [4, 8, 8], "heads": 1},
        "train": {
            "iterations": 6,
            "batch_size": 2,
            "crop": [32, 32],
            "log_every": 1,
            "checkpoint_every": 2,
        },
        "threads": 1,
        "device": "cpu",
    }


@pytest.fixture
def config(mapping):
    return from_mapping(mapping)


@pytest.fixture
def folder(tmp_path):
    """A folder with four pairs in four file formats."""
    root = tmp_path / "pairs"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    rng = np.random.default_rng(0)
    kinds = [("a", "png", "png"), ("b", "tif", "gif"), ("c", "jpg", "tif"), ("d", "gif", "png")]
    for stem, image_kind, mask_kind in kinds:
        image = rng.integers(0, 256, (40, 50), dtype=np.uint8)
        mask = np.zeros((40, 50), np.uint8)
        mask[10:20, 5:45] = 255
        iio.imwrite(root / "images" / f"{stem}.{image_kind}", image)
        iio.imwrite(root / "masks" / f"{stem}.{mask_kind}", mask)
    return root
