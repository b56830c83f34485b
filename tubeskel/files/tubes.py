"""From a file of labels to a file of their tube or skeleton."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..morphology import tubed_skeleton
from .formats import read, save
from .labels import check_labels


def make_tube_file(
    source: Path, target: Path, *, max_labels: int, spatial_dims: int | None, **options: Any
) -> None:
    """Write the tubed skeleton of the labels in `source` to `target`, in the same format.

    Parameters
    ----------
    source, target : Path
        Names of one format. The folder of `target` is made if it is missing.
    max_labels : int
        A file with more labels beside 0 is refused: it is an image.
    spatial_dims : {2, 3} or None
        As in `tubeskel.tubed_skeleton`. By default a stack is a volume.
    **options
        Those of `tubeskel.tubed_skeleton`; of radius 0 is the skeleton.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    ValueError
        If `source` is damaged or holds no labels, or the options do not fit it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from tubeskel.files import make_tube_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source, target = Path(folder, "mask.npy"), Path(folder, "skeletons", "mask.npy")
    ...     np.save(source, np.eye(3, dtype=np.uint8))
    ...     make_tube_file(source, target, max_labels=64, spatial_dims=None, radius=0)
    ...     print(np.load(target))
    [[1 0 0]
     [0 1 0]
     [0 0 1]]
    """
    file = read(source)
    labels = file.labels
    check_labels(labels, max_labels)
    while labels.ndim > (spatial_dims or 2) and len(labels) == 1:
        labels = labels[0]  # a stack of one image
    if file.stack_of and spatial_dims is None and labels.ndim > 2:
        raise ValueError(
            f"a stack of {file.stack_of}; say --spatial-dims 2 for a batch of images, 3 for volumes"
        )
    tube = tubed_skeleton(labels, spatial_dims=spatial_dims, **options)
    target.parent.mkdir(parents=True, exist_ok=True)
    save(file, tube.reshape(file.labels.shape), target)
