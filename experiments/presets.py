"""Presets: values of many fields by one name; what a config file gives itself goes first.

``topomortar`` is the published protocol of Valverde et al. (BMVC 2025), with these differences:
their Dice is taken for each sample and includes the background, ours is pooled over the batch and
of the foreground; their clDice loss is half Dice and half clDice with 3 iterations, without
cross-entropy, ours is added to Dice + cross-entropy; and the details of the augmentation are ours.
Its numbers are therefore to be compared within a run first, with published ones with care.

``nnunet2d`` and
``nnunet3d`` take nnU-Net's schedule, and a network sized by crop and spacing. ``tiny`` is for
trials on a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import tyro

# Not a flag of the command line: by then the values of the file's preset are filled in.
Preset = tyro.conf.Fixed[Literal["none", "topomortar", "nnunet2d", "nnunet3d", "tiny"]]

_HALVING = [2.0**-level for level in range(7)]
_TOPOMORTAR: dict[str, Any] = {
    "network": {
        "filters": [32, 64, 128, 256, 512, 512, 512, 512],
        "heads": 6,
        # The authors add heads with weights of sum 1 to the whole output's loss, and divide by 7.
        "head_weights": [1 / 7, *(weight / sum(_HALVING) / 7 for weight in _HALVING[1:])],
    },
    "train": {"iterations": 12_000, "batch_size": 10, "crop": [512, 512]},
    "augment": {
        "smooth": 0.2,
        "contrast": 0.15,
        "brightness": 0.0,
        "scale": 0.15,
        "low_resolution": 0.25,
        "gamma": 0.1,
        "gamma_inverted": 0.1,
    },
}


def _nnunet(crop: list[int], batch_size: int) -> dict[str, Any]:
    return {
        "network": {"filters": [], "width": 32, "heads": None, "head_size": "own"},
        "train": {
            "iterations": 250_000,
            "batch_size": batch_size,
            "crop": crop,
            "foreground": 0.33,
            "log_every": 50,
            "checkpoint_every": 1000,
        },
        "augment": {
            "smooth": 0.2,
            "contrast": 0.15,
            "brightness": 0.0,
            "scale": 0.15,
            "low_resolution": 0.25,
            "gamma": 0.3,
            "gamma_inverted": 0.1,
        },
        "mirror": True,
    }


PRESETS: dict[str, dict[str, Any]] = {
    "topomortar": _TOPOMORTAR,
    "nnunet2d": _nnunet([512, 512], 12),
    "nnunet3d": _nnunet([128, 128, 128], 2),
    "tiny": {
        "network": {"filters": [8, 16, 32], "heads": 1},
        "train": {"iterations": 100, "batch_size": 2},
    },
}


def fill(mapping: object) -> object:
    """Return the fields of a config with those of its preset where it is silent."""
    if not isinstance(mapping, Mapping):
        return mapping
    preset = PRESETS.get(str(mapping.get("preset")), {})
    return _merge(preset, mapping)


def _merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**low, **high}
    for name, value in low.items():
        if isinstance(value, Mapping) and isinstance(high.get(name), Mapping):
            merged[name] = _merge(value, high[name])
    return merged
