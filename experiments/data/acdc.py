"""ACDC: heart chambers in cine MRI, a control without tubes (Bernard et al., TMI 2018).

Layout as its owners publish it: ``{training,testing}/patientNNN/`` with ``Info.cfg``,
``patientNNN_4d.nii.gz`` (not used), and for the end-diastolic and the end-systolic frame
``patientNNN_frameTT.nii.gz`` and ``patientNNN_frameTT_gt.nii.gz``; patients 001-100 are for
training, 101-150 for testing. Values: 0 background, 1 cavity of the right ventricle, 2 left
myocardium, 3 cavity of the left ventricle. Slices are 5 to 10 mm apart, pixels 0.7 to 2 mm.

Any folders named patientNNN are found below the root, and pairs ``X`` with ``label_X`` (as derived
sets name them) are taken as well. Without training/ and testing/ there is no own split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, Part, by_stem, match
from experiments.data.files import read_image_volume, read_volume, to_classes
from experiments.errors import DataError

NIFTI = (".nii.gz", ".nii")
PARTS: dict[str, Part] = {"training": "train", "testing": "test"}


@dataclass(frozen=True)
class ACDC(FileSet, data_set="acdc"):
    """Volumes of the heart; a patient's two frames are one group."""

    root: str = "ACDC"
    """folder with training/ and testing/, or with folders of patients anywhere below"""
    slices: bool = True
    """take volumes as 2D slices along their first axis, without those that have no foreground"""

    summary: ClassVar[str] = "ACDC: heart chambers in MRI, a control (Bernard et al. 2018)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Find the frames of all patients."""
        patients = sorted(
            (path for path in root.rglob("patient*") if re.fullmatch(r"patient\d+", path.name)),
            key=lambda path: path.name,
        )
        if not patients:
            raise DataError(f"{root} holds no folder patientNNN, at any depth")
        return [case for patient in patients for case in _frames(patient, root)]

    def read(self, case: Case) -> Sample:
        """Read a frame."""
        image, spacing = read_image_volume(case.image)
        label, _ = read_volume(case.label)
        classes = {index: index for index in range(4)}
        return Sample("", image, to_classes(label, classes, case.label), spacing=spacing)

    def class_names(self) -> tuple[str, ...]:
        """Return background and the three structures."""
        return ("background", "right ventricle", "myocardium", "left ventricle")


def _frames(patient: Path, root: Path) -> Iterator[Case]:
    above = patient.relative_to(root).parts
    part: Part = next((PARTS[name] for name in above if name in PARTS), "")
    files = by_stem(patient, suffixes=NIFTI)
    labels = {}
    for stem in list(files):
        if stem.endswith("_gt"):
            labels[stem.removesuffix("_gt")] = files.pop(stem)
        elif stem.startswith("label_"):
            labels[stem.removeprefix("label_")] = files.pop(stem)
        elif stem.endswith("_4d"):
            del files[stem]
    for case in match(files, labels, part=part):
        name = case.id if case.id.startswith(patient.name) else f"{patient.name}_{case.id}"
        yield replace(case, id=name, group=patient.name)
