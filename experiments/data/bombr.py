"""BoMBR: reticulin fibres in bone marrow biopsies (MELBA 2025; doi:10.5281/zenodo.13690617).

Layout as the authors' training code reads it: ``images/{train,test}/NAME.{jpg,tif,tiff}`` (RGB,
silver-stained) and ``masks/{train,test}/NAME.png`` with the same names; 161 and 40 pairs. Mask
values, after the colours of their inference code: 0 reticulin, 1 fat, 2 cells, 3 bone; the paper
itself could not be consulted, so look at an overlay before the first run, and set `mask_values`
if they differ. Cells, which are what remains, are the background here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, Part, by_stem, match
from experiments.data.files import read_image, read_labels
from experiments.errors import ConfigError

PARTS: tuple[Part, ...] = ("train", "test")


@dataclass(frozen=True)
class BoMBR(FileSet, data_set="bombr"):
    """Reticulin, fat and bone on a ground of cells."""

    root: str = "BoMBR"
    """folder with images/ and masks/, each with train/ and test/"""
    mask_values: tuple[int, int, int, int] = (2, 0, 1, 3)
    """mask values of cells, reticulin, fat and bone"""

    summary: ClassVar[str] = "BoMBR: reticulin, fat and bone in marrow biopsies (2025)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Pair the images and masks of both parts."""
        if len(set(self.mask_values)) < 4:
            raise ConfigError(f"data.mask_values = {list(self.mask_values)}: they must differ")
        return [
            case
            for part in PARTS
            for case in match(
                by_stem(root / "images" / part), by_stem(root / "masks" / part), part=part
            )
        ]

    def read(self, case: Case) -> Sample:
        """Read a pair."""
        classes = {value: index for index, value in enumerate(self.mask_values)}
        return Sample("", read_image(case.image), read_labels(case.label, classes))

    def class_names(self) -> tuple[str, ...]:
        """Return cells, which are the background, and the three others."""
        return ("cells", "reticulin", "fat", "bone")
