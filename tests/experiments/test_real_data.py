"""The loaders on the real files, where they are."""

from pathlib import Path

import numpy as np
import pytest

from experiments.data import (
    ACDC,
    HRF,
    UAV75,
    DrosophilaVNC,
    TopoMortar,
    splits,
)

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
    dataset = UAV75("uav75", root=root("UAV75"), max_samples=10).load()
    check(dataset, 2)
    assert len(dataset.train) == len(dataset.test) == 10
    share = np.mean([sample.label.mean() for sample in dataset.samples])
    assert 0.0007 < share < 0.0056  # cracks alone: with planking it would be several times as much


def test_uav75_has_its_published_number_of_pairs(root):
    dataset = UAV75("uav75", root=root("UAV75"), folds=2, downsample=8).load()
    assert len(dataset.samples) == 75
    assert (len(dataset.train), len(dataset.test)) == (50, 15)
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
    assert np.mean([s.label.mean() for s in dataset.samples]) == pytest.approx(0.044, abs=0.001)


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


def test_topomortar(root):
    dataset = TopoMortar("topomortar", root=root("TopoMortar"), max_samples=3).load()
    check(dataset, 2)
    assert np.mean([s.label.mean() for s in dataset.samples]) == pytest.approx(0.29, abs=0.05)
