"""UAV75: narrow cracks in concrete, seen from a drone (Benz et al., IVCNZ 2019).

Layout: ``{train,val,test}_img/NAME.jpg`` (512 x 512 RGB) and ``..._lab/NAME.png`` with the same
names; 50, 10 and 15 pairs. Label values: 0 background, 255 crack, 204 planking, the pattern of
formwork that only looks like cracks.

Names that differ in a last letter (DSC00567, DSC00567d) are pieces of one photograph: folds keep
them together, the owners' split does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_lowercase
from typing import ClassVar

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, Part, by_stem, match
from experiments.data.files import read_image, read_labels

PARTS: dict[str, Part] = {"train": "train", "val": "", "test": "test"}


@dataclass(frozen=True)
class UAV75(FileSet, data_set="uav75"):
    """Cracks; folds = 0 trains on the owners' train part, scores the test, and leaves out val."""

    root: str = "UAV75"
    """folder with {train,val,test}_{img,lab}"""

    divided_groups: ClassVar[bool] = True
    summary: ClassVar[str] = "UAV75: cracks of 1 to 5 pixels in concrete (Benz et al. 2019)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Pair the images and labels of the three parts."""
        return [
            replace(case, group=case.id.rstrip(ascii_lowercase))
            for name, part in PARTS.items()
            for case in match(
                by_stem(root / f"{name}_img"), by_stem(root / f"{name}_lab"), part=part
            )
        ]

    def read(self, case: Case) -> Sample:
        """Read a pair; planking is background."""
        label = read_labels(case.label, {0: 0, 204: 0, 255: 1})
        return Sample("", read_image(case.image), label)

    def class_names(self) -> tuple[str, ...]:
        """Return background and crack."""
        return ("background", "crack")
