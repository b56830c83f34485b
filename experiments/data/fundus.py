"""What DRIVE and HRF share: photographs of the retina with vessels and a field of view."""

from __future__ import annotations

from experiments.data.base import Sample
from experiments.data.file_set import Case, FileSet
from experiments.data.files import read_image, read_mask


class Fundus(FileSet):
    """Vessels of the retina."""

    def read(self, case: Case) -> Sample:
        """Read a photograph, its vessels and its field of view."""
        assert case.field_of_view is not None
        view = read_mask(case.field_of_view).astype(bool)
        return Sample("", read_image(case.image), read_mask(case.label), field_of_view=view)

    def class_names(self) -> tuple[str, ...]:
        """Return background and vessel."""
        return ("background", "vessel")
