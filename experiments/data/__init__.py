"""The data sets, each a config dataclass with a ``load`` method, by name."""

from experiments.data.acdc import ACDC
from experiments.data.base import DATA_SETS, DataConfig, Dataset, Sample, Split, splits
from experiments.data.bombr import BoMBR
from experiments.data.cracks import Cracks
from experiments.data.drive import DRIVE
from experiments.data.drosophila_vnc import DrosophilaVNC
from experiments.data.folder import Folder
from experiments.data.hrf import HRF
from experiments.data.massachusetts_roads import MassachusettsRoads
from experiments.data.synthetic_tubes import SyntheticTubes
from experiments.data.topcow import TopCoW
from experiments.data.topomortar import TopoMortar
from experiments.data.uav75 import UAV75
from experiments.data.vesselnn import VesselNN

__all__ = [
    "ACDC",
    "DATA_SETS",
    "DRIVE",
    "HRF",
    "UAV75",
    "BoMBR",
    "Cracks",
    "DataConfig",
    "Dataset",
    "DrosophilaVNC",
    "Folder",
    "MassachusettsRoads",
    "Sample",
    "Split",
    "SyntheticTubes",
    "TopCoW",
    "TopoMortar",
    "VesselNN",
    "splits",
]
