"""The data sets, each a config dataclass with a ``load`` method, by name."""

from experiments.data.acdc import ACDC
from experiments.data.base import DATA_SETS, DataConfig, Dataset, Sample, Split, splits
from experiments.data.drosophila_vnc import DrosophilaVNC
from experiments.data.folder import Folder
from experiments.data.hrf import HRF
from experiments.data.synthetic_tubes import SyntheticTubes
from experiments.data.topomortar import TopoMortar
from experiments.data.uav75 import UAV75

__all__ = [
    "ACDC",
    "DATA_SETS",
    "HRF",
    "UAV75",
    "DataConfig",
    "Dataset",
    "DrosophilaVNC",
    "Folder",
    "Sample",
    "Split",
    "SyntheticTubes",
    "TopoMortar",
    "splits",
]
