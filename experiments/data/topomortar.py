"""TopoMortar: brick walls, made to test topology accuracy (Valverde et al., BMVC 2025).

Layout: ``{train,val,test}/images/NNN.png`` (512 x 512 RGB) and ``.../LABELS/NNN.png`` (0 or 255),
LABELS being accurate, noisy or pseudo; ``splits.yaml`` names the files of each part and
``dataset_types.txt`` the group of each image (in distribution, or how it is out of it).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import numpy as np
import yaml

from experiments.data.base import DataConfig, Dataset, Sample, standardise
from experiments.data.files import read, read_image
from experiments.errors import DataError


@dataclass(frozen=True)
class TopoMortar(DataConfig, data_set="topomortar"):
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

    def load(self) -> Dataset:
        """Read the train and test parts of the split.

        Returns
        -------
        Dataset
            The train part, and the test part's images of the chosen group.

        Raises
        ------
        DataError
            If a file that splits.yaml names is missing or is not as published.
        """
        root = Path(self.root)
        if not root.is_dir():
            raise DataError(f"data.root: there is no folder {root}")
        parts = self._parts(root / "splits.yaml")
        in_group = self._ids(root / "dataset_types.txt")
        test = [name for name in parts["test"] if PurePosixPath(name).stem in in_group]
        if not test:
            raise DataError(f"{root}: no test image belongs to the group '{self.group}'")
        train = tuple(_read(root, name, self.labels) for name in parts["train"])
        scored = tuple(_read(root, name, "accurate") for name in test)
        ids = tuple(s.id for s in train), tuple(s.id for s in scored)
        return Dataset(train + scored, ("background", "mortar"), *ids)

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


def _read(root: Path, name: str, labels: str) -> Sample:
    image_path = root / name
    label_path = image_path.parent.parent / labels / image_path.name
    image, label = read_image(image_path), read(label_path)
    if image.shape[0] != 3:
        raise DataError(f"{image_path} is not an RGB image")
    if label.shape != image.shape[1:]:
        raise DataError(f"{label_path} has shape {label.shape}, its image {image.shape[1:]}")
    if not np.isin(label, (0, 255)).all():
        raise DataError(f"{label_path} has values other than 0 and 255")
    return Sample(image_path.stem, standardise(image), (label == 255).astype(np.uint8))
