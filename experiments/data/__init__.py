"""The data sets, each a config dataclass with a ``load`` method, by name."""

from experiments.data.base import DATA_SETS, DataConfig, Dataset, Sample, Split, splits
from experiments.data.folder import Folder
from experiments.data.synthetic_tubes import SyntheticTubes
from experiments.data.topomortar import TopoMortar

__all__ = [
    "DATA_SETS",
    "DataConfig",
    "Dataset",
    "Folder",
    "Sample",
    "Split",
    "SyntheticTubes",
    "TopoMortar",
    "splits",
]
