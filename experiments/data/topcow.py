"""TopCoW: the circle of Willis in CT and MR angiographies (Yang et al., arXiv:2312.17670).

Layout of the training release: ``imagesTr/topcow_{ct,mr}_NNN_0000.nii.gz`` and
``cow_seg_labelsTr/topcow_{ct,mr}_NNN.nii.gz``, NNN being a patient, most with both modalities.
Values: 1 to 12 and 15, see `VESSELS`. There is no published split that has labels: take folds,
which keep a patient's volumes together. CT values are Hounsfield units, MR values are arbitrary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, by_stem, match
from experiments.data.files import read_image_volume, read_volume, to_classes
from experiments.errors import DataError

NIFTI = (".nii.gz",)
VESSELS = {
    1: "BA",
    2: "R-PCA",
    3: "L-PCA",
    4: "R-ICA",
    5: "R-MCA",
    6: "L-ICA",
    7: "L-MCA",
    8: "R-Pcom",
    9: "L-Pcom",
    10: "Acom",
    11: "R-ACA",
    12: "L-ACA",
    15: "3rd-A2",
}


@dataclass(frozen=True)
class TopCoW(FileSet, data_set="topcow"):
    """Volumes with 13 classes of vessels."""

    root: str = "TopCoW"
    """folder with imagesTr/ and cow_seg_labelsTr/"""
    modality: Literal["ct", "mr", "both"] = "both"
    """angiographies to take"""

    # Mirroring along the last axis, from right to left, would make R-PCA of L-PCA.
    mirror_axes: ClassVar[tuple[int, ...] | None] = (0, 1)
    summary: ClassVar[str] = "TopCoW: circle of Willis, 3D, 13 classes (Yang et al. 2023)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Pair the volumes and labels of the modality."""
        images = by_stem(root / "imagesTr", "_0000", NIFTI)
        labels = by_stem(root / "cow_seg_labelsTr", "", NIFTI)
        cases = []
        for case in match(images, labels):
            words = case.id.split("_")
            if len(words) != 3 or words[1] not in ("ct", "mr"):
                raise DataError(f"{case.image} is not called topcow_{{ct,mr}}_NNN_0000.nii.gz")
            if self.modality in (words[1], "both"):
                cases.append(replace(case, group=words[2]))
        if not cases:
            raise DataError(f"{root / 'imagesTr'} holds no volume of the modality {self.modality}")
        return cases

    def read(self, case: Case) -> Sample:
        """Read a volume; the values become classes without a gap."""
        image, spacing = read_image_volume(case.image)
        values, _ = read_volume(case.label)
        classes = {0: 0, **{value: index for index, value in enumerate(VESSELS, 1)}}
        return Sample("", image, to_classes(values, classes, case.label), spacing=spacing)

    def class_names(self) -> tuple[str, ...]:
        """Return background and the 13 vessels."""
        return ("background", *VESSELS.values())
