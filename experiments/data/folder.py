"""Any folder of images and masks, or of volumes and masks, matched by name.

Layout: ``images/`` and ``masks/`` (then ``folds`` must be set), or the same two folders below
``train/`` and ``test/``, which are then the split; likewise a folder of fields of view, if there
is one. Volumes are TIFF stacks and NumPy arrays of (Z, Y, X), or NIfTI files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, Part, by_stem, match
from experiments.data.files import (
    IMAGE_SUFFIXES,
    VOLUME_SUFFIXES,
    grey,
    read,
    read_image,
    read_image_volume,
    read_volume,
    to_classes,
)
from experiments.errors import ConfigError, DataError
from experiments.validation import Range


@dataclass(frozen=True)
class Folder(FileSet, data_set="folder"):
    """Images or volumes with masks, of any source, matched by file name without suffix."""

    root: str = "."
    """folder that holds the images and the masks, or train/ and test/ with both"""
    images: str = "images"
    masks: str = "masks"
    mask_ending: str | None = None
    """what a mask's name has after the image's: "_mask" matches 7_mask.png with 7.jpg"""
    fields_of_view: str | None = None
    """folder of masks, by the images' names, that are not 0 where to score"""
    dimensions: Literal[2, 3] = 2
    """2 for images, 3 for volumes"""
    foreground: tuple[int, ...] = ()
    """mask values that are foreground; none given: all that are not 0"""
    classes: dict[str, Annotated[int, Range(1)]] | None = None
    """names of several classes with their mask values, instead of `foreground`; 0 is background"""
    ignore: int | None = None
    """mask value of pixels that are neither trained on nor scored"""
    spacing: tuple[Annotated[float, Range(0)], ...] = ()
    """size of a pixel along each axis, where the files do not state it"""
    group: str | None = None
    """regular expression: names in which it finds the same text are never on both sides of a
    split, so "^[^_]+" keeps together what is the same up to the first underscore"""

    summary: ClassVar[str] = "a folder of images or volumes with masks (png, tif, jpg, npy, nii.gz)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Match the files of the folder, or of its train/ and test/."""
        self._check_fields()
        if (root / "train").is_dir() and (root / "test").is_dir():
            train = self._matched(root / "train", "train_", "train")
            return [*train, *self._matched(root / "test", "test_", "test")]
        return list(self._matched(root, "", ""))

    def read(self, case: Case) -> Sample:
        """Read a pair, and its field of view."""
        spacing: tuple[float, ...] = ()
        if self.dimensions == 3:
            image, spacing = read_image_volume(case.image)
        else:
            image = read_image(case.image)
        values = self._values(case.label)
        ignore = None if self.ignore is None else values == self.ignore
        if ignore is not None:
            values = np.where(ignore, 0, values)
        if self.classes:
            indices = {value: place for place, value in enumerate(self.classes.values(), 1)}
            label = to_classes(values, {0: 0, **indices}, case.label)
        else:
            inside = np.isin(values, self.foreground) if self.foreground else values != 0
            label = inside.astype(np.uint8)
        view = None if case.field_of_view is None else self._values(case.field_of_view) != 0
        return Sample("", image, label, ignore, view, spacing or self.spacing)

    def class_names(self) -> tuple[str, ...]:
        """Return background and the classes, or background and foreground."""
        return ("background", *(self.classes or ("foreground",)))

    def _check_fields(self) -> None:
        if self.classes and self.foreground:
            raise ConfigError("data.classes and data.foreground: only one of them can be set")
        if self.spacing and len(self.spacing) != self.dimensions:
            raise ConfigError(
                f"data.spacing has {len(self.spacing)} numbers: allowed are {self.dimensions}"
            )
        try:
            re.compile(self.group or "")
        except re.error as error:
            raise ConfigError(f"data.group = {self.group!r}: {error}") from None

    def _matched(self, root: Path, prefix: str, part: Part) -> Iterator[Case]:
        suffixes = VOLUME_SUFFIXES if self.dimensions == 3 else IMAGE_SUFFIXES
        images = by_stem(root / self.images, suffixes=suffixes)
        masks = by_stem(root / self.masks, self.mask_ending or "", suffixes)
        views = None
        if self.fields_of_view is not None:
            views = by_stem(root / self.fields_of_view, suffixes=suffixes)
        for case in match(images, masks, views, part):
            yield replace(case, id=prefix + case.id, group=self._group(case.id, case.image))

    def _group(self, stem: str, image: Path) -> str:
        if self.group is None:
            return ""
        found = re.search(self.group, stem)
        if found is None or not found[0]:
            raise DataError(f"{image}: data.group = {self.group!r} finds nothing in '{stem}'")
        return found[0]

    def _values(self, path: Path) -> np.ndarray:
        if self.dimensions == 3:
            return read_volume(path)[0]
        return grey(read(path), path)
