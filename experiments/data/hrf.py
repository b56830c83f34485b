"""HRF: vessels in fundus photographs of high resolution (Budai et al., IJBI 2013).

Layout as its owners publish it: ``images/NN_x.{jpg,JPG}`` (3504 x 2336 RGB; x is h, dr or g),
``manual1/NN_x.tif`` and ``mask/NN_x_mask.tif`` (field of view), NN from 01 to 15. They name no
split; here 01-05 are for training, as in Orlando et al., TBME 2017.

Or with arteries and veins (Hemelings et al., CMIG 2019): below ``training/`` and ``test/``, which
are the split, ``images/NN_x.jpg``, ``1st_manual/NN_x_AVmanual.png`` and ``mask/NN_x_mask.tif``.
There 1 and 2 are artery and vein and 3 uncertain or crossing: all of them are vessels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from experiments.data.file_set import Case, Part, by_stem, match
from experiments.data.fundus import Fundus

PARTS: dict[str, Part] = {"training": "train", "test": "test"}
TRAINING = ("01", "02", "03", "04", "05")


@dataclass(frozen=True)
class HRF(Fundus, data_set="hrf"):
    """Vessels of the retina, with the field of view."""

    root: str = "HRF"
    """folder with images/, manual1/ and mask/, or with training/ and test/"""

    summary: ClassVar[str] = "HRF: retinal vessels, 3504 x 2336 pixels (Budai et al. 2013)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Find the photographs in either layout."""
        if (root / "training").is_dir():
            return [
                case
                for name, part in PARTS.items()
                for case in match(
                    by_stem(root / name / "images"),
                    by_stem(root / name / "1st_manual", "_AVmanual"),
                    by_stem(root / name / "mask", "_mask"),
                    part,
                )
            ]
        cases = match(
            by_stem(root / "images"), by_stem(root / "manual1"), by_stem(root / "mask", "_mask")
        )
        return [
            replace(case, part="train" if case.id.startswith(TRAINING) else "test")
            for case in cases
        ]
