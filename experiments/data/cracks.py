"""Cracks: narrow cracks in concrete before failure (Tomaszkiewicz & Owerko, Scientific Data 2023).

doi:10.1038/s41597-023-02839-z. How the files are named could not be looked up, so any layout is
taken that tells images from masks: a file is a mask if a word of its name, or of a folder of its,
is one of `MASK_WORDS`, and it belongs to the image whose name has the same other words and numbers
(``photos/IMG_001.jpg`` and ``masks/mask_1.png``). What lies in folders called train and test, or
begins with these words, is the split; if there are none, take folds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, Part, match
from experiments.data.files import IMAGE_SUFFIXES, grey, read, read_image, suffix_of
from experiments.errors import DataError

MASK_WORDS = {"mask", "masks", "label", "labels", "gt", "groundtruth", "truth", "annotation"}
MASK_WORDS |= {"annotations", "seg", "segmentation"}
OTHER_WORDS = {"img", "image", "images", "photo", "crack", "cracks", "ground"}
PARTS: dict[str, Part] = {"train": "train", "training": "train", "test": "test", "testing": "test"}


@dataclass(frozen=True)
class Cracks(FileSet, data_set="cracks"):
    """Cracks in concrete."""

    root: str = "cracks"
    """folder with images and masks, at any depth"""
    crack: Literal["white", "black"] = "white"
    """colour of cracks in the masks"""

    summary: ClassVar[str] = "Cracks: narrow cracks in concrete (Tomaszkiewicz & Owerko 2023)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Match images and masks by the words and numbers in their names."""
        images: dict[str, Path] = {}
        masks: dict[str, Path] = {}
        for path in sorted(root.rglob("*")):
            if suffix_of(path) not in IMAGE_SUFFIXES:
                continue
            folders = _words(" ".join(path.relative_to(root).parent.parts))
            words = _words(path.stem)
            kind = masks if MASK_WORDS.intersection(folders + words) else images
            part = [PARTS[word] for word in folders if word in PARTS][:1]
            own = [word for word in words if word not in MASK_WORDS | OTHER_WORDS]
            name = "_".join([*part, *own]) or path.stem
            if name in kind:
                raise DataError(f"{kind[name]} and {path} have the same name '{name}'")
            kind[name] = path
        if not images or not masks:
            raise DataError(f"{root} holds {len(images)} images and {len(masks)} masks")
        return [
            replace(case, part=PARTS.get(case.id.split("_")[0], ""))
            for case in match(images, masks)
        ]

    def read(self, case: Case) -> Sample:
        """Read a pair; masks may be softened by compression."""
        values = grey(read(case.label), case.label)
        light = values > (127 if values.max() > 1 else 0)
        label = light if self.crack == "white" else ~light
        if label.mean() > 0.5:
            other = "black" if self.crack == "white" else "white"
            raise DataError(f"{case.label} is crack for the most part: is data.crack {other}?")
        return Sample("", read_image(case.image), label.astype(np.uint8))

    def class_names(self) -> tuple[str, ...]:
        """Return background and crack."""
        return ("background", "crack")


def _words(name: str) -> list[str]:
    """Split a name into words and numbers, without leading zeros."""
    words = re.findall(r"[a-z]+|[0-9]+", name.lower())
    return [str(int(word)) if word.isdigit() else word for word in words]
