"""Presets: values of many fields by one name; what a config file gives itself goes first.

``topomortar`` is the published protocol of Valverde et al. (BMVC 2025): network, schedule, heads,
their weights, probabilities and ranges of the augmentation, Dice and recall of each image, Dice
with the background, clDice with 3 erosions; their clDice loss is the arm
``{loss: dice_cldice, scale: 0.5}``. What remains different:

- Mirroring is drawn for each axis; theirs is along one axis, drawn at random.
- The zoom is drawn on a logarithmic scale; theirs is uniform from 0.7 to 1.4.
- Rotation and zoom are one look-up, mirrored at the border; theirs are two, the border repeated.
- Smoothing is as wide along both axes; theirs is drawn for each.
- A low resolution takes the nearest pixels and is enlarged linearly; theirs the other way round.
- Recall has no smoothing; theirs 1e-5.
- The loss is taken in float32, theirs under mixed precision.
- Random numbers: no seed of theirs gives their batches or initial weights.

``nnunet2d`` and ``nnunet3d`` take nnU-Net's schedule, Dice, heads and augmentation, and size the
network by crop and spacing. Different from nnU-Net:

- Crop and batch size are fixed here; nnU-Net plans them for the data and a GPU's memory.
- Volumes are neither resampled to one spacing nor cropped to what is not 0; all intensities are
  standardised, where nnU-Net clips those of CT.
- Each image comes once in a pass; nnU-Net draws with replacement, and the share of crops centred on
  the foreground is that of every batch.
- The learning rate falls with each iteration; nnU-Net's with each epoch of 250.
- The zoom is drawn on a logarithmic scale, and smoothing is as wide along all axes. Other factors
  and exponents are drawn uniformly, nnU-Net's below 1 as often as above it; channels are changed
  together, theirs one by one; a rotation brings in the mirrored image, theirs 0; volumes are turned
  by any angle, theirs by up to 30 degrees about each axis.
- The network is MONAI's DynUNet, whose convolutions have no bias terms.

``tiny`` is for trials on a CPU.
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
    "terms": {"batch": False, "background": True, "cldice_iterations": 3},
    "train": {"iterations": 12_000, "batch_size": 10, "crop": [512, 512]},
    "augment": {
        "smooth": 0.2,
        "contrast": 0.15,
        "contrast_keeps_range": True,
        "brightness": 0.0,
        "scale": 0.15,
        "low_resolution": 0.25,
        "gamma": 0.1,
        "gamma_inverted": 0.1,
    },
}


def _nnunet(crop: list[int], batch_size: int, batch_dice: bool) -> dict[str, Any]:
    return {
        "terms": {"batch": batch_dice},
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
            "contrast_keeps_range": True,
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
    "nnunet2d": _nnunet([512, 512], 12, batch_dice=True),
    "nnunet3d": _nnunet([128, 128, 128], 2, batch_dice=False),
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
