"""vesselNN: brain vessels of mice by two-photon microscopy, 3D (Teikari et al., arXiv:1606.02382).

Layout: ``denoised/NAME_BM4D_denoised.tif`` (stacks of grey images, Z first) and
``labels/NAME_*.tif`` (0, or any other value inside), where the rest of a label's name tells its
version. The owners publish labels without a stack too: they are left out. There is no split: take
folds.

Voxels are larger along Z than in plane; how much differs from stack to stack, and the files do not
say. Nor is it said whether stacks of one study share animals: they are not grouped. The labels of
``burgess2014_noisySparseVessels`` close loops on some slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, by_stem
from experiments.data.files import read_image_volume, read_volume
from experiments.errors import DataError


@dataclass(frozen=True)
class VesselNN(FileSet, data_set="vesselnn"):
    """Stacks of brain vessels."""

    root: str = "vesselNN"
    """folder with denoised/ and labels/"""

    summary: ClassVar[str] = "vesselNN: brain vessels, 3D (Teikari et al. 2016)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Find the label of each stack."""
        stacks = by_stem(root / "denoised", "_BM4D_denoised")
        labels = by_stem(root / "labels")
        cases = []
        for name, stack in stacks.items():
            found = [path for stem, path in labels.items() if stem.startswith(f"{name}_")]
            if len(found) != 1:
                raise DataError(f"{stack}: {len(found)} files {root / 'labels' / name}_*, not one")
            cases.append(Case(name, stack, found[0]))
        return cases

    def read(self, case: Case) -> Sample:
        """Read a stack."""
        image, _ = read_image_volume(case.image)
        values, _ = read_volume(case.label)
        return Sample("", image, (values != 0).astype(np.uint8))

    def class_names(self) -> tuple[str, ...]:
        """Return background and vessel."""
        return ("background", "vessel")
