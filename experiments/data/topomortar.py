"""TopoMortar: brick walls, made to test topology accuracy (Valverde et al., BMVC 2025).

Layout: ``{train,val,test}/images/NNN.png`` (512 x 512 RGB) and ``.../LABELS/NNN.png`` (0 or 255),
LABELS being accurate, noisy or pseudo; ``splits.yaml`` names the files of each part and
``dataset_types.txt`` the group of each image (in distribution, or how it is out of it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import yaml

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, Part
from experiments.data.files import read_image, read_labels
from experiments.errors import DataError


@dataclass(frozen=True)
class TopoMortar(FileSet, data_set="topomortar"):
    """Brick walls, class mortar; folds = 0 trains on the owners' train part, scores the test."""

    root: str = "TopoMortar"
    """folder with train/, val/, test/ and splits.yaml"""
    labels: Literal["accurate", "noisy", "pseudo"] = "accurate"
    """which labels to train on; the test part has accurate ones only"""
    split: str = "1"
    """name of the split in splits.yaml"""
    group: str = "indistr"
    """test images of this group are scored, see dataset_types.txt"""

    summary: ClassVar[str] = "TopoMortar: mortar of brick walls (Valverde et al. 2025)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Return the train part of the split, and the test part's images of the chosen group."""
        parts = self._parts(root / "splits.yaml")
        in_group = self._ids(root / "dataset_types.txt")
        test = [name for name in parts["test"] if PurePosixPath(name).stem in in_group]
        if not test:
            raise DataError(f"{root}: no test image belongs to the group '{self.group}'")
        train = [_case(root / name, self.labels, "train") for name in parts["train"]]
        return [*train, *(_case(root / name, "accurate", "test") for name in test)]

    def read(self, case: Case) -> Sample:
        """Read a wall and its mortar."""
        image = read_image(case.image)
        if image.shape[0] != 3:
            raise DataError(f"{case.image} is not an RGB image")
        return Sample("", image, read_labels(case.label, {0: 0, 255: 1}))

    def class_names(self) -> tuple[str, ...]:
        """Return background and mortar."""
        return ("background", "mortar")

    def _ids(self, path: Path) -> set[str]:
        """Return the ids of the images of the chosen group."""
        if not path.is_file():
            raise DataError(f"missing file: {path}")
        rows = (line.split(",") for line in path.read_text(encoding="utf-8").splitlines())
        return {row[0] for row in rows if row[1:] == [self.group]}

    def _parts(self, path: Path) -> dict[str, list[str]]:
        """Return the file names of each part, relative to the root."""
        if not path.is_file():
            raise DataError(f"missing file: {path}")
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            split = {str(key): value for key, value in content.items()}[self.split]
            return {
                part: [str(PurePosixPath(name).relative_to("dataset")) for name in split[part]]
                for part in ("train", "test")
            }
        except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path} has no split '{self.split}' with train and test ({error!r})"
            ) from None


def _case(image: Path, labels: str, part: Part) -> Case:
    label = image.parent.parent / labels / image.name
    return Case(image.stem, image, label, part=part)
