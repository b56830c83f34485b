"""Drosophila VNC: sections of a fly's nerve cord by electron microscopy (Gerhard et al., 2013).

Layout: ``stack1/raw/NN.tif`` (1024 x 1024 grey, 4.6 nm a pixel, sections 45 to 50 nm apart), and
``stack1/{mitochondria,membranes,synapses}/NN.png`` with 255 inside (in-between values occur at
edges; some are one bit deep); 20 sections. The owners propose 80 % for training, 20 % for testing:
here by number. Neighbouring sections resemble each other, so scores on held-out ones flatter a
network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet, by_stem, match
from experiments.data.files import read_image, read_mask

NANOMETRES = 4.6


@dataclass(frozen=True)
class DrosophilaVNC(FileSet, data_set="drosophila_vnc"):
    """Mitochondria, the control that is no tube, or another structure of the same sections."""

    root: str = "drosophila_vnc"
    """folder with stack1/"""
    target: Literal["mitochondria", "membranes", "synapses"] = "mitochondria"
    """what to segment"""

    summary: ClassVar[str] = "Drosophila VNC: mitochondria, a control (Gerhard et al. 2013)"

    def cases(self, root: Path) -> Sequence[Case]:
        """Pair the sections with the masks of the target."""
        stack = root / "stack1"
        cases = match(by_stem(stack / "raw"), by_stem(stack / self.target))
        first_of_test = round(0.8 * len(cases))
        return [
            replace(case, part="train" if place < first_of_test else "test")
            for place, case in enumerate(cases)
        ]

    def read(self, case: Case) -> Sample:
        """Read a section."""
        label = read_mask(case.label, above=127)
        return Sample("", read_image(case.image), label, spacing=(NANOMETRES, NANOMETRES))

    def class_names(self) -> tuple[str, ...]:
        """Return background and the target."""
        return ("background", self.target)
