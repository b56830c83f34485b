"""HRF: vessels in fundus photographs of high resolution (Budai et al., IJBI 2013).

Layout as its owners publish it: ``images/NN_x.{jpg,JPG}`` (3504 x 2336 RGB; x is h, dr or g),
``manual1/NN_x.tif`` and ``mask/NN_x_mask.tif`` (field of view), NN from 01 to 15. They name no
split; here 01-05 are for training, as in Orlando et al., TBME 2017.

Or with arteries and veins (Hemelings et al., CMIG 2019): below ``training/`` and ``test/``, which
are the split, ``images/NN_x.jpg``, ``1st_manual/NN_x_AVmanual.png`` and ``mask/NN_x_mask.tif``.
There 1 and 2 are artery and vein and 3 uncertain or crossing: all of them are vessels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, Part, by_stem, match
from experiments.data.files import read_image, read_mask

TRAINING = ("01", "02", "03", "04", "05")


@dataclass(frozen=True)
class HRF(FileSet, data_set="hrf"):
    """Vessels of the retina, with the field of view."""

    root: str = "HRF"
    """folder with images/, manual1/ and mask/, or with training/ and test/"""

    summary: ClassVar[str] = "HRF: retinal vessels, 3504 x 2336 pixels (Budai et al. 2013)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Find the photographs in either layout."""
        if (root / "training").is_dir():
            training = _triples(root / "training", "1st_manual", "_AVmanual", "train")
            return [*training, *_triples(root / "test", "1st_manual", "_AVmanual", "test")]
        return list(_triples(root, "manual1", "", None))

    def read(self, case: Case) -> Sample:
        """Read a photograph, its vessels and its field of view."""
        assert case.field_of_view is not None
        view = read_mask(case.field_of_view).astype(bool)
        return Sample("", read_image(case.image), read_mask(case.label), field_of_view=view)

    def class_names(self) -> tuple[str, ...]:
        """Return background and vessel."""
        return ("background", "vessel")


def _triples(root: Path, manual: str, ending: str, part: Part | None) -> Iterator[Case]:
    """Match image, mask and field of view; without a `part` the number tells it."""
    images = by_stem(root / "images")
    views = by_stem(root / "mask", "_mask")
    labels = match(images, by_stem(root / manual, ending))
    for (stem, image, label), (_, _, view) in zip(labels, match(images, views), strict=True):
        by_number: Part = "train" if stem.startswith(TRAINING) else "test"
        yield Case(stem, image, label, view, part=by_number if part is None else part)
