"""What every data set gives: images with labels, the classes, and a split or folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from experiments.errors import ConfigError, DataError
from experiments.random_streams import numpy_generator
from experiments.validation import Range, nearest

DATA_SETS: dict[str, type[DataConfig]] = {}


@dataclass(frozen=True)
class Sample:
    """One image with its ground truth.

    Attributes
    ----------
    id : str
        Unique in its data set; names the prediction's file.
    image : numpy.ndarray
        (C, *spatial) float32, 2D or 3D; each channel of the whole image (of the volume, if this is
        a slice of one) has mean 0 and standard deviation 1.
    label : numpy.ndarray
        (*spatial) uint8, class of each pixel, 0 is background.
    ignore : numpy.ndarray, optional
        (*spatial) bool: pixels without a label, neither trained on nor scored.
    field_of_view : numpy.ndarray, optional
        (*spatial) bool: where the owners score; trained on as a whole, scored both ways.
    spacing : tuple of float
        Size of a pixel along each spatial axis, in the unit of the data set.
    group : str
        Samples of one group (a patient, a photograph) are never divided by folds.
    """

    id: str
    image: np.ndarray
    label: np.ndarray
    ignore: np.ndarray | None = None
    field_of_view: np.ndarray | None = None
    spacing: tuple[float, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Dataset:
    """The samples, the class names (background first) and the owners' split, if there is one."""

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    train: tuple[str, ...] = ()
    """ids to train on"""
    test: tuple[str, ...] = ()
    """ids to score"""
    mirror_axes: tuple[int, ...] | None = None
    """spatial axes along which mirroring leaves the classes as they are; none given: all"""
    divided_groups: bool = False
    """whether the owners' split has samples of one group on both sides, by their own choice"""


@dataclass(frozen=True)
class Split:
    """One division into training and test samples."""

    train: tuple[Sample, ...]
    test: tuple[Sample, ...]


@dataclass(frozen=True)
class DataConfig:
    """Fields that every data set has."""

    name: str
    """name of the data set, see `python -m experiments list`"""
    folds: Annotated[int, Range(0)] = 0
    """folds of a cross-validation over all samples; 0 takes the data set's own split"""

    summary: ClassVar[str] = ""

    def __init_subclass__(cls, /, data_set: str | None = None) -> None:
        if data_set is not None:
            DATA_SETS[data_set] = cls

    @classmethod
    def resolve(cls, mapping: Mapping[str, Any], where: str) -> type[DataConfig]:
        """Return the config class of the data set that `mapping` names."""
        name = mapping.get("name")
        if name not in DATA_SETS:
            raise ConfigError(
                f"{where}.name = {name!r}: unknown data set, {nearest(str(name), DATA_SETS)}"
            )
        return DATA_SETS[name]

    def load(self) -> Dataset:
        """Read, or make, all samples; raise DataError for what is missing or corrupt."""
        raise TypeError("a DataConfig without a data set has nothing to load")


def standardise(image: np.ndarray, ignore: np.ndarray | None = None) -> np.ndarray:
    """Return (C, *spatial) as float32 with mean 0 and standard deviation 1 in each channel.

    Pixels to `ignore`, (*spatial) bool, do not count in the mean and the deviation.
    """
    image = image.astype(np.float32)
    spatial = tuple(range(1, image.ndim))
    counts = True if ignore is None or ignore.all() else ~ignore
    mean = image.mean(axis=spatial, keepdims=True, where=counts)
    deviation = image.std(axis=spatial, keepdims=True, where=counts)
    return (image - mean) / np.maximum(deviation, 1e-6)


def splits(dataset: Dataset, folds: int) -> list[Split]:
    """Divide the samples into folds, or take the data set's own split.

    Parameters
    ----------
    dataset : Dataset
    folds : int
        0 for the own split; otherwise each sample is in the test part of exactly one fold, and all
        samples of a group are in the same.

    Raises
    ------
    ConfigError
        If there is no own split, or there are fewer groups than folds.
    DataError
        If the own split has samples of one group on both sides, and is not known for it.
    """
    if folds == 0:
        if not dataset.train or not dataset.test:
            raise ConfigError("data.folds = 0: this data set has no split of its own, take 2 folds")
        by_id = {sample.id: sample for sample in dataset.samples}
        train, test = (tuple(by_id[i] for i in ids) for ids in (dataset.train, dataset.test))
        both = {s.group for s in train if s.group} & {s.group for s in test}
        if both and not dataset.divided_groups:
            raise DataError(f"the group '{min(both)}' is in the training and in the test part")
        return [Split(train, test)]
    # A sample without a group is one by itself; the id cannot be taken for a group's name.
    groups = [(s.group, "") if s.group else ("", s.id) for s in dataset.samples]
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    count = len(places)
    if not 2 <= folds <= count:
        kind = "the samples" if count == len(groups) else "the groups of samples"
        raise ConfigError(f"data.folds = {folds}: allowed is 0, or 2 to {count} ({kind})")
    fold_of_group = numpy_generator("folds", folds).permutation(count) % folds
    fold_of = [fold_of_group[places[group]] for group in groups]
    return [
        Split(
            tuple(s for s, f in zip(dataset.samples, fold_of, strict=True) if f != fold),
            tuple(s for s, f in zip(dataset.samples, fold_of, strict=True) if f == fold),
        )
        for fold in range(folds)
    ]
