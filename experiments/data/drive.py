"""DRIVE: vessels in fundus photographs (Staal et al., TMI 2004).

Layout as its owners publish it: below ``training/`` (21 to 40) and ``test/`` (01 to 20), which are
the split, ``images/NN_training.tif`` or ``images/NN_test.tif`` (565 x 584 RGB),
``1st_manual/NN_manual1.gif`` and ``mask/NN_training_mask.gif`` or ``mask/NN_test_mask.gif`` (field
of view). What can be downloaded today has no ``test/1st_manual``: its labels are kept for the
challenge. Then take ``parts: training`` and folds. The terms forbid passing the files on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from experiments.data.file_set import Case, Part, by_stem, match
from experiments.data.fundus import Fundus

PARTS: dict[str, Part] = {"training": "train", "test": "test"}


@dataclass(frozen=True)
class DRIVE(Fundus, data_set="drive"):
    """Vessels of the retina, with the field of view."""

    root: str = "DRIVE"
    """folder with training/ and test/"""
    parts: Literal["all", "training"] = "all"
    """all needs test/1st_manual, the first observer's labels of the test images"""

    summary: ClassVar[str] = "DRIVE: retinal vessels (Staal et al. 2004)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Match images, vessels and fields of view."""
        names = PARTS if self.parts == "all" else ["training"]
        return [
            case
            for name in names
            for case in match(
                by_stem(root / name / "images", f"_{name}"),
                by_stem(root / name / "1st_manual", "_manual1"),
                by_stem(root / name / "mask", f"_{name}_mask"),
                PARTS[name],
            )
        ]
