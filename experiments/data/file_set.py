"""What all data sets of files share: the check, the cache, and the ways to take less of them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np

from experiments.data.base import DataConfig, Dataset, Sample, standardise
from experiments.data.cache import Arrays, cached
from experiments.data.files import IMAGE_SUFFIXES, stem_of, suffix_of
from experiments.data.resample import downsample, slices
from experiments.errors import DataError
from experiments.validation import Range

# Entries of the cache are found by it: raise it when a loader reads the same files otherwise.
VERSION = 2
# Fields that do not change what is read from the files of a case.
NOT_CONTENT = {"root", "folds", "max_samples", "slices", "cache"}

Part = Literal["train", "test", ""]


@dataclass(frozen=True)
class Case:
    """The files of one sample, and the part of the owners' split it belongs to, if to any."""

    id: str
    image: Path
    label: Path
    field_of_view: Path | None = None
    part: Part = ""
    group: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files."""
        view = self.field_of_view
        return (self.image, self.label) if view is None else (self.image, self.label, view)


@dataclass(frozen=True)
class FileSet(DataConfig):
    """A data set of files: which there are (`cases`), what is in them (`read`), the classes."""

    root: str = "."
    """folder of the data set"""
    max_samples: Annotated[int, Range(0)] = 0
    """take only the first images or volumes of each part; 0 takes all"""
    downsample: Annotated[int, Range(1)] = 1
    """join so many pixels to one, along height and width; thin structures stay connected"""
    slices: bool = False
    """take volumes as 2D slices along their first axis, without those that have no foreground"""
    cache: bool = True
    """keep prepared arrays in TUBESKEL_CACHE, else in ~/.cache/tubeskel"""

    mirror_axes: ClassVar[tuple[int, ...] | None] = None
    """spatial axes along which mirroring leaves the classes as they are; none given: all"""
    divided_groups: ClassVar[bool] = False
    """whether the owners' split has samples of one group on both sides"""

    def load(self) -> Dataset:
        """Read all samples.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            If a folder or file is missing, cannot be decoded, or is not as published; if an image
            has no mask or the reverse; if sizes or channels do not agree.
        """
        root = Path(self.root)
        if not root.is_dir():
            raise DataError(f"data.root: there is no folder {root}")
        cases = self._chosen(self.cases(root))
        for case in cases:
            for path in case.files:
                if not path.is_file():
                    raise DataError(f"missing file: {path}")
        samples: list[Sample] = []
        parts: dict[str, list[str]] = {"train": [], "test": [], "": []}
        for case in cases:
            for sample in self._samples(case):
                samples.append(sample)
                parts[case.part].append(sample.id)
        _check_channels(root, samples)
        train, test = tuple(parts["train"]), tuple(parts["test"])
        return Dataset(
            tuple(samples),
            self.class_names(),
            train,
            test,
            self.mirror_axes,
            self.divided_groups,
        )

    def cases(self, root: Path) -> Sequence[Case]:
        """Return the cases below `root`; raise DataError if the folders are not as published."""
        raise NotImplementedError

    def read(self, case: Case) -> Sample:
        """Read a case: the image as it is in the file, the id and the group left empty."""
        raise NotImplementedError

    def class_names(self) -> tuple[str, ...]:
        """Return the names of the classes, background first."""
        raise NotImplementedError

    def _chosen(self, cases: Sequence[Case]) -> list[Case]:
        """Return the cases to read: without folds those of the split, no more than wanted."""
        if self.folds == 0:
            cases = [case for case in cases if case.part] or cases
        chosen, taken = [], Counter[str]()
        for case in cases:
            taken[case.part] += 1
            if not self.max_samples or taken[case.part] <= self.max_samples:
                chosen.append(case)
        twice = [name for name, count in Counter(case.id for case in chosen).items() if count > 1]
        if twice:
            one, two = [case.image for case in chosen if case.id == twice[0]][:2]
            raise DataError(f"{one} and {two} would both be the sample '{twice[0]}'")
        return chosen

    def _samples(self, case: Case) -> Iterator[Sample]:
        if self.cache:
            arrays = cached(case.files, self._settings(), lambda: _to_arrays(self._prepared(case)))
            sample = _from_arrays(arrays)
        else:
            sample = self._prepared(case)
        image = standardise(sample.image, sample.ignore)
        sample = dataclasses.replace(sample, id=case.id, image=image, group=case.group)
        if self.slices and sample.label.ndim == 3:
            yield from slices(sample)
        else:
            yield sample

    def _prepared(self, case: Case) -> Sample:
        sample = self.read(case)
        spatial = sample.image.shape[1:]
        for path, array in ((case.label, sample.label), (case.field_of_view, sample.field_of_view)):
            if array is not None and array.shape != spatial:
                raise DataError(
                    f"{case.image} is {_size(spatial)}, its mask {path} is {_size(array.shape)}"
                )
        return downsample(dataclasses.replace(sample, id=case.id), self.downsample)

    def _settings(self) -> str:
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        content = {name: value for name, value in fields.items() if name not in NOT_CONTENT}
        return f"{VERSION} {type(self).__name__} {content}"


def by_stem(
    folder: Path, ending: str = "", suffixes: tuple[str, ...] = IMAGE_SUFFIXES
) -> dict[str, Path]:
    """Map the stem of each file in `folder` that ends in `ending`, less this, to its path.

    Raises
    ------
    DataError
        If there is no folder, no file, or two have the same stem.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if suffix_of(path) not in suffixes or not stem_of(path).endswith(ending):
            continue
        stem = stem_of(path).removesuffix(ending)
        if stem in files:
            raise DataError(f"{files[stem]} and {path} have the same name")
        files[stem] = path
    if not files:
        names = ", ".join("*" + ending + suffix for suffix in suffixes)
        raise DataError(f"{folder} holds no image ({names})")
    return files


def match(
    images: dict[str, Path],
    masks: dict[str, Path],
    views: dict[str, Path] | None = None,
    part: Part = "",
) -> list[Case]:
    """Return the cases that images, masks and fields of view make, in the order of their stems.

    Raises
    ------
    DataError
        If an image has no mask or no field of view, or the reverse.
    """
    for kind, others in (("mask", masks), ("field of view", views)):
        if others is None:
            continue
        for stem in sorted(images.keys() ^ others.keys()):
            if stem in images:
                raise DataError(f"{images[stem]} has no {kind} of the name '{stem}'")
            raise DataError(f"{others[stem]} has no image of the name '{stem}'")
    return [
        Case(stem, images[stem], masks[stem], views[stem] if views else None, part)
        for stem in sorted(images)
    ]


def _to_arrays(sample: Sample) -> Arrays:
    fields = {
        "image": sample.image,
        "label": sample.label,
        "ignore": sample.ignore,
        "field_of_view": sample.field_of_view,
        "spacing": np.array(sample.spacing, float),
    }
    return {name: array for name, array in fields.items() if array is not None}


def _from_arrays(arrays: Arrays) -> Sample:
    return Sample(
        "",
        arrays["image"],
        arrays["label"],
        arrays.get("ignore"),
        arrays.get("field_of_view"),
        tuple(arrays["spacing"].tolist()),
    )


def _check_channels(root: Path, samples: Sequence[Sample]) -> None:
    for sample in samples:
        one, other = samples[0].image.shape, sample.image.shape
        if one[0] != other[0]:
            raise DataError(
                f"{root}: some images are grey, some in colour (first odd one: {sample.id})"
            )
        if len(one) != len(other):
            raise DataError(f"{root}: some are images, some volumes (first odd one: {sample.id})")


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, reversed(shape)))
