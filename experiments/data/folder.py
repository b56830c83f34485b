"""Any folder of images and masks, matched by name.

Either ``images/`` and ``masks/`` (then ``folds`` must be set), or the same two folders below
``train/`` and ``test/``, which are then the split.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from experiments.data.base import DataConfig, Dataset, Sample, standardise
from experiments.data.files import SUFFIXES, read_image, read_mask
from experiments.errors import DataError


@dataclass(frozen=True)
class Folder(DataConfig, data_set="folder"):
    """Images and masks of any source, matched by file name without suffix."""

    root: str = "."
    """folder that holds the images and the masks, or train/ and test/ with both"""
    images: str = "images"
    masks: str = "masks"
    mask_ending: str | None = None
    """what a mask's name has after the image's: "_mask" matches 7_mask.png with 7.jpg"""
    foreground: tuple[int, ...] = ()
    """mask values that are foreground; none given: all that are not 0"""

    summary: ClassVar[str] = "a folder of images and masks (png, tif, gif, jpg)"

    def load(self) -> Dataset:
        """Read all pairs.

        Returns
        -------
        Dataset

        Raises
        ------
        DataError
            If a folder is missing or empty, an image has no mask or the reverse, a file cannot be
            decoded, or sizes or channels do not agree.
        """
        root = Path(self.root)
        if not root.is_dir():
            raise DataError(f"data.root: there is no folder {root}")
        if (root / "train").is_dir() and (root / "test").is_dir():
            train, test = self._read(root / "train", "train_"), self._read(root / "test", "test_")
            samples = (*train, *test)
            split = tuple(s.id for s in train), tuple(s.id for s in test)
        else:
            samples, split = self._read(root, ""), ((), ())
        channels = {sample.image.shape[0] for sample in samples}
        if len(channels) > 1:
            odd = next(s.id for s in samples if s.image.shape[0] != samples[0].image.shape[0])
            raise DataError(f"{root}: some images are grey, some in colour (first odd one: {odd})")
        return Dataset(samples, ("background", "foreground"), *split)

    def _read(self, root: Path, prefix: str) -> tuple[Sample, ...]:
        images = _by_stem(root / self.images)
        masks = _by_stem(root / self.masks, self.mask_ending or "")
        for stem in sorted(images.keys() ^ masks.keys()):
            kind, path = ("mask", images[stem]) if stem in images else ("image", masks[stem])
            raise DataError(f"{path} has no {kind} of the name '{stem}'")
        samples = []
        for stem, path in sorted(images.items()):
            image, label = read_image(path), read_mask(masks[stem], self.foreground)
            if image.shape[1:] != label.shape:
                raise DataError(
                    f"{path} is {image.shape[2]} x {image.shape[1]}, its mask "
                    f"{masks[stem]} is {label.shape[1]} x {label.shape[0]}"
                )
            samples.append(Sample(prefix + stem, standardise(image), label))
        return tuple(samples)


def _by_stem(folder: Path, ending: str = "") -> dict[str, Path]:
    """Map the stem of each image file in `folder`, less `ending`, to its path."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or not path.stem.endswith(ending):
            continue
        stem = path.stem.removesuffix(ending)
        if stem in files:
            raise DataError(f"{files[stem]} and {path} have the same name")
        files[stem] = path
    if not files:
        raise DataError(f"{folder} holds no image ({', '.join(SUFFIXES)})")
    return files
