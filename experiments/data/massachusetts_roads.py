"""Massachusetts Roads, from the air (Mnih, PhD thesis, Toronto 2013).

Layout: ``{train,valid,test}/sat/NAME.tiff`` (1500 x 1500 RGB, 1 m a pixel) and
``{train,valid,test}/map/NAME.tif`` (0 or 255) with the same names; 1108, 14 and 49 pairs. Many
train images are white in part, where the survey has no data but the map has roads: these areas are
ignored, single white pixels (roofs) are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy import ndimage

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, Part, by_stem, match
from experiments.data.files import read_image, read_labels
from experiments.errors import DataError

PARTS: dict[str, Part] = {"train": "train", "valid": "", "test": "test"}
WHITE = 255
SMALLEST_AREA = 1024
"""pixels of the smallest connected white area that counts as missing data"""


@dataclass(frozen=True)
class MassachusettsRoads(FileSet, data_set="massachusetts_roads"):
    """Roads; folds = 0 trains on the owners' train part, scores the test, and leaves out valid."""

    root: str = "massachusetts_roads"
    """folder with {train,valid,test}/{sat,map}"""

    summary: ClassVar[str] = "Massachusetts Roads: roads from the air (Mnih 2013)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Pair the images and maps of the three parts."""
        return [
            case
            for name, part in PARTS.items()
            for case in match(by_stem(root / name / "sat"), by_stem(root / name / "map"), part=part)
        ]

    def read(self, case: Case) -> Sample:
        """Read a pair; where there are no data is ignored."""
        image = read_image(case.image)
        if image.shape[0] != 3 or image.dtype != np.uint8:
            raise DataError(f"{case.image} is not an RGB image of 8 bits")
        label = read_labels(case.label, {0: 0, 255: 1})
        return Sample("", image, label, ignore=no_data(image), spacing=(1.0, 1.0))

    def class_names(self) -> tuple[str, ...]:
        """Return background and road."""
        return ("background", "road")


def no_data(image: np.ndarray) -> np.ndarray:
    """Return the large white areas of an image (3, H, W), as (H, W) bool."""
    areas, _ = ndimage.label((image == WHITE).all(axis=0))
    large = np.bincount(areas.ravel()) >= SMALLEST_AREA
    large[0] = False  # what is not white
    return large[areas]
