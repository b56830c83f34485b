"""Folders of real masks and images, from beside the checkout."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from tubeskel import tubed_skeleton


@pytest.fixture
def folder(data_folder, request):
    path = data_folder / request.param
    if not path.is_dir():
        pytest.skip(f"no {request.param} in {data_folder}")
    return path


def written(folder, out, pattern):
    """Pairs of the files that were read and written."""
    paths = sorted(folder.rglob(pattern))
    assert paths
    return [(path, out / path.relative_to(folder)) for path in paths]


@pytest.mark.parametrize("folder", ["TopCoW_roi_labels"], indirect=True)
def test_volumes_of_vessel_labels(folder, command, tmp_path):
    out = tmp_path / "out"
    assert command("tube", folder, out) == (0, "6 written, 0 failed; passed over: 1 .md\n", "")
    for path, made in written(folder, out, "*.nii.gz"):
        before, after = nibabel.load(path), nibabel.load(made)
        assert after.header == before.header
        assert np.array_equal(after.affine, before.affine)
        labels = np.asanyarray(before.dataobj)
        tube = np.asanyarray(after.dataobj)
        assert tube.dtype == labels.dtype
        assert np.array_equal(tube.T, tubed_skeleton(labels.T))


@pytest.mark.parametrize("folder", ["vesselNN"], indirect=True)
def test_stacks_are_told_from_microscope_images(folder, command, tmp_path):
    code, output, errors = command("skeletonize", folder, tmp_path / "out")
    assert (code, output) == (1, "9 written, 7 failed; passed over: 1 .md\n")
    assert all("denoised" in line for line in errors.splitlines())
    assert not (tmp_path / "out" / "denoised").exists()
    for path, made in written(folder / "labels", tmp_path / "out" / "labels", "*.tif"):
        labels, skeleton = tifffile.imread(path), tifffile.imread(made)
        assert skeleton.dtype == labels.dtype
        assert np.array_equal(skeleton, tubed_skeleton(labels, radius=0))


@pytest.mark.parametrize("folder", ["TopoMortar/val"], indirect=True)
def test_masks_are_told_from_photographs(folder, command, tmp_path):
    code, output, errors = command("skeletonize", folder, tmp_path / "out")
    assert (code, output) == (1, "60 written, 20 failed\n")
    assert errors.count("a colour image; a mask has equal channels") == 20
    assert not (tmp_path / "out" / "images").exists()
    for path, made in written(folder / "accurate", tmp_path / "out" / "accurate", "*.png"):
        labels, skeleton = (np.asarray(Image.open(file)) for file in (path, made))
        assert np.array_equal(skeleton, tubed_skeleton(labels, radius=0))
