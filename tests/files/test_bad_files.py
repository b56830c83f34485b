"""What is no mask is named and passed over, the rest is written, and the exit code is 1."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
import tifffile
from mask_shapes import make_labels
from PIL import Image

LABELS = make_labels((40, 70), 3, seed=1).astype(np.uint8)
VOLUME = np.stack([make_labels((20, 33), 3, seed) for seed in range(7)]).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 70), dtype=np.uint8)


def save_png(array, path, **options):
    Image.fromarray(array).save(path, **options)


def save_tif(array, path, **options):
    tifffile.imwrite(path, array, **({"photometric": "minisblack"} | options))


def save_nii(array, path):
    nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), path)


def save_npy(array, path):
    np.save(path, array)


@pytest.fixture
def refused(command, tmp_path):
    """A function: check that a file is passed over and another is not; return the complaint."""

    def run(source, *options):
        folder, out = tmp_path / "in", tmp_path / "out"
        np.save(folder / "good.npy", LABELS)
        code, output, errors = command("tube", folder, out, *options)
        assert (code, output) == (1, "1 written, 1 failed\n")
        assert [path.name for path in out.rglob("*")] == ["good.npy"]
        (line,) = errors.splitlines()
        assert line.startswith(f"error: {source}: ")
        return line

    (tmp_path / "in").mkdir()
    return run


GOOD = {
    "a.png": (LABELS, save_png),
    "a.tif": (VOLUME, save_tif),
    "packed.tif": (VOLUME, lambda array, path: save_tif(array, path, compression="zlib")),
    "imagej.tif": (VOLUME, lambda array, path: save_tif(array, path, imagej=True)),
    "a.nii": (VOLUME, save_nii),
    "a.nii.gz": (VOLUME, save_nii),
    "a.npy": (VOLUME, save_npy),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("share", [0, 0.3, 0.6, 0.9])
def test_half_a_file(refused, tmp_path, name, share):
    path = tmp_path / "in" / name
    array, write = GOOD[name]
    write(array, path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    refused(path)


@pytest.mark.parametrize("name", GOOD)
def test_something_else_under_that_name(refused, tmp_path, name):
    path = tmp_path / "in" / name
    path.write_text("not what it seems\n" * 40)
    refused(path)


def test_a_broken_link(refused, tmp_path):
    path = tmp_path / "in" / "a.png"
    path.symlink_to(tmp_path / "nowhere.png")
    assert "No such file" in refused(path)


def test_bits_that_were_changed(refused, tmp_path):
    path = tmp_path / "in" / "a.nii.gz"
    save_nii(VOLUME, path)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    refused(path)


COLOUR = np.stack([LABELS, LABELS, 255 - LABELS], -1)
CHANGING = np.stack([LABELS, LABELS, LABELS, NOISE], -1)
COMPLEX = VOLUME.astype(np.complex64)
NO_MASKS = {
    "colour.png": (COLOUR, save_png, "a colour image; a mask has equal channels"),
    "colour.tif": (
        COLOUR,
        lambda array, path: save_tif(array, path, photometric="rgb"),
        "a colour image",
    ),
    "alpha.png": (CHANGING, save_png, "an alpha channel that varies"),
    "photo.png": (NOISE, save_png, "more than 64 different values beside 0"),
    "photo.tif": (NOISE.astype(np.uint16) * 9, save_tif, "--max-labels sets the limit"),
    "photo.npy": (NOISE.astype(float), save_npy, "more than 64 different values"),
    "probabilities.npy": (LABELS / 4, save_npy, "the value 0.25; a mask holds whole numbers"),
    "nan.npy": (np.where(LABELS == 1, np.nan, LABELS), save_npy, "the value nan"),
    "infinite.tif": (np.where(LABELS == 1, np.inf, LABELS), save_tif, "the value inf"),
    "float.nii": (VOLUME / np.float32(2), save_nii, "the value 0.5"),
    "complex.nii": (COMPLEX, save_nii, "values of type complex64"),
    "text.npy": (np.array([["a", "b"]]), save_npy, "values of type <U1"),
    "long.npy": (LABELS.astype(np.longdouble), save_npy, "values of type float128"),
    "objects.npy": (np.array([[None, 1]]), save_npy, "allow_pickle"),
    "line.npy": (LABELS[0], save_npy, "labels must be 2D or 3D, got 1D"),
    "batch.npy": (VOLUME[None, None].repeat(2, 1), save_npy, "got 4D"),
    "number.npy": (np.uint8(1), save_npy, "got 0D"),
}


@pytest.mark.parametrize("name", NO_MASKS)
def test_what_is_no_mask(refused, tmp_path, name):
    array, write, message = NO_MASKS[name]
    path = tmp_path / "in" / name
    write(array, path)
    assert message in refused(path)


def test_several_images_in_a_file(refused, tmp_path):
    path = tmp_path / "in" / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(LABELS, photometric="minisblack")
        file.write(LABELS[:9], photometric="minisblack")
    assert "2 images that are no stack" in refused(path)


def test_an_animation(refused, tmp_path):
    path = tmp_path / "in" / "a.png"
    save_png(LABELS, path, save_all=True, append_images=[Image.fromarray(LABELS[::-1])])
    assert "an animation of 2 frames" in refused(path)


def test_another_image_format_in_nii(refused, tmp_path):
    path = tmp_path / "in" / "a.nii.gz"
    image = nibabel.freesurfer.MGHImage(VOLUME.astype(np.int32).T, np.eye(4))
    path.write_bytes(gzip.compress(image.to_bytes()))
    refused(path)


def test_options_that_do_not_fit(refused, tmp_path):
    path = tmp_path / "in" / "a.npy"
    np.save(path, VOLUME)
    assert "'zhang' only works for 2D" in refused(path, "--method", "zhang")


def test_the_limit_of_labels_can_be_set(command, refused, tmp_path):
    path = tmp_path / "in" / "a.npy"
    np.save(path, NOISE)
    limit = len(np.unique(NOISE[NOISE != 0]))
    refused(path, "--max-labels", limit - 1)
    out = tmp_path / "a.npy"
    assert command("tube", path, out, "--max-labels", limit) == (0, "1 written, 0 failed\n", "")


def test_labels_far_apart_in_a_large_file_are_counted_once(command, tmp_path):
    labels = np.zeros((300, 300, 100), dtype=np.int16)
    labels[::10] = np.arange(30)[:, None, None]
    np.save(tmp_path / "a.npy", labels)
    assert command("tube", tmp_path / "a.npy", tmp_path / "b.npy", "--max-labels", 29)[0] == 0
    assert command("tube", tmp_path / "a.npy", tmp_path / "b.npy", "--max-labels", 28)[0] == 1
