"""The loaders on the real files, where they are."""

from pathlib import Path

import numpy as np
import pytest

from experiments.data import (
    ACDC,
    HRF,
    UAV75,
    DrosophilaVNC,
    TopCoW,
    TopoMortar,
    VesselNN,
    splits,
)
from experiments.data.file_set import Case
from experiments.errors import DataError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def root():
    def of(name):
        if not (DATA / name).is_dir():
            pytest.skip(f"{DATA / name} is not there")
        return str(DATA / name)

    return of


def check(dataset, spatial_dims):
    """What holds for every sample of every data set."""
    assert len({sample.id for sample in dataset.samples}) == len(dataset.samples)
    for sample in dataset.samples:
        assert sample.image.dtype == np.float32
        assert sample.image.ndim == spatial_dims + 1
        assert sample.image.shape[1:] == sample.label.shape
        assert sample.label.dtype == np.uint8
        assert sample.label.max() < len(dataset.classes)
        assert np.isfinite(sample.image).all()


def test_uav75(root):
    dataset = UAV75("uav75", root=root("UAV75"), folds=2).load()
    check(dataset, 2)
    assert len(dataset.samples) == 75
    assert (len(dataset.train), len(dataset.test)) == (50, 15)
    # Cracks alone: with planking it would be several times as much.
    share = np.mean([sample.label.mean() for sample in dataset.samples])
    assert share == pytest.approx(0.0032, abs=0.0001)
    for part in splits(dataset, 2):
        assert not {s.group for s in part.train} & {s.group for s in part.test}


def test_hrf(root):
    dataset = HRF("hrf", root=root("HRF"), max_samples=1, downsample=4).load()
    check(dataset, 2)
    assert (dataset.train, dataset.test) == (("01_dr",), ("09_dr",))
    for sample in dataset.samples:
        assert sample.image.shape == (3, 584, 876)
        assert 0.07 < sample.label.mean() < 0.15
        assert 0.8 < sample.field_of_view.mean() < 0.9


def test_drosophila(root):
    dataset = DrosophilaVNC("drosophila_vnc", root=root("drosophila_vnc")).load()
    check(dataset, 2)
    assert dataset.test == ("05",)
    assert all(sample.label.any() for sample in dataset.samples)  # section 01 is one bit deep
    assert np.mean([s.label.mean() for s in dataset.samples]) == pytest.approx(0.056, abs=0.001)


@pytest.mark.parametrize(("target", "share"), [("membranes", 0.208), ("synapses", 0.00704)])
def test_other_structures_of_drosophila_are_one_bit(root, target, share):
    data = DrosophilaVNC("drosophila_vnc", root=root("drosophila_vnc"), target=target).load()
    assert np.mean([s.label.mean() for s in data.samples]) == pytest.approx(share, rel=0.02)


def test_acdc_as_slices(root):
    dataset = ACDC("acdc", root=root("ACDC_sample"), folds=2).load()
    check(dataset, 2)
    assert {s.group for s in dataset.samples} == {f"patient{n}" for n in (110, 115, 122, 139)}
    assert all(sample.label.any() for sample in dataset.samples)
    for part in splits(dataset, 2):
        assert not {s.group for s in part.train} & {s.group for s in part.test}


def test_acdc_as_volumes(root):
    dataset = ACDC("acdc", root=root("ACDC_sample"), folds=2, slices=False).load()
    check(dataset, 3)
    assert len(dataset.samples) == 8
    for sample in dataset.samples:
        assert sample.spacing[0] in (5, 10)
        assert sample.spacing[1] == sample.spacing[2] < 2
        assert set(np.unique(sample.label)) == {0, 1, 2, 3}


def test_vesselnn(root):
    dataset = VesselNN("vesselnn", root=root("vesselNN"), downsample=2).load()
    check(dataset, 3)
    assert len(dataset.samples) == 7
    for sample in dataset.samples:
        inside = sample.label > 0
        assert sample.image[0][inside].mean() > sample.image[0][~inside].mean()


def test_topcow_without_images_says_so(root):
    with pytest.raises(DataError, match=r"there is no folder .*imagesTr"):
        TopCoW("topcow", root=root("TopCoW_roi_labels")).load()


def test_topcow_labels(root):
    for path in sorted(Path(root("TopCoW_roi_labels")).glob("*.nii.gz")):
        sample = TopCoW("topcow").read(Case("", path, path))  # the labels stand in for the image
        assert len(sample.spacing) == sample.label.ndim == 3
        assert {1, 2, 3, 4, 6} <= set(np.unique(sample.label)) <= set(range(14))


def test_topomortar(root):
    dataset = TopoMortar("topomortar", root=root("TopoMortar"), max_samples=3).load()
    check(dataset, 2)
    assert np.mean([s.label.mean() for s in dataset.samples]) == pytest.approx(0.29, abs=0.05)
