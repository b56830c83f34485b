"""What is kept of a file of each format, and that its labels are those of `tubed_skeleton`."""

from __future__ import annotations

import io

import nibabel
import numpy as np
import pytest
import tifffile
from mask_shapes import make_labels
from PIL import Image

from tubeskel import skeletonize, tubed_skeleton

LABELS = make_labels((40, 70), 3, seed=1).astype(np.uint8)
MASK = LABELS > 0
VOLUME = np.stack([make_labels((20, 33), 3, seed) for seed in range(7)]).astype(np.uint8)


@pytest.fixture
def convert(command, tmp_path):
    """A function: make the tube of a file; return where it is written."""

    def run(source, *options, name="tube"):
        out = tmp_path / "out" / source.name
        assert command(name, source, out, *options) == (0, "1 written, 0 failed\n", "")
        return out

    return run


# ---- npy


@pytest.mark.parametrize("labels", [LABELS, VOLUME, MASK, VOLUME.astype(np.float32)])
def test_npy(convert, tmp_path, labels):
    np.save(tmp_path / "a.npy", np.asfortranarray(labels))
    tube = np.load(convert(tmp_path / "a.npy", "--radius", 1))
    assert tube.dtype == labels.dtype
    assert np.array_equal(tube, tubed_skeleton(labels, radius=1))


def test_the_options_are_those_of_tubed_skeleton(convert, tmp_path):
    np.save(tmp_path / "a.npy", VOLUME)
    path = tmp_path / "a.npy"
    for given, options in (
        ((), {}),
        (("--radius", 3, "--per-class"), {"radius": 3, "per_class": True}),
        (("--ignore-index", 1, "--threads", 1), {"ignore_index": 1}),
        (("--spatial-dims", 2, "--method", "lee"), {"spatial_dims": 2, "method": "lee"}),
        (("--spatial-dims", 3, "--method", "lee"), {}),
    ):
        assert np.array_equal(np.load(convert(path, *given)), tubed_skeleton(VOLUME, **options))
    skeleton = np.load(convert(path, "--keep-components", name="skeletonize"))
    assert np.array_equal(skeleton, VOLUME * skeletonize(VOLUME, keep_components=True))


def test_a_stack_of_one_image_is_an_image(convert, tmp_path):
    np.save(tmp_path / "a.npy", LABELS[None])
    tifffile.imwrite(tmp_path / "a.tif", LABELS[None], photometric="minisblack")
    nibabel.save(nibabel.Nifti1Image(LABELS.T[..., None], np.eye(4)), tmp_path / "a.nii")
    expected = tubed_skeleton(LABELS)
    assert np.array_equal(np.load(convert(tmp_path / "a.npy")), expected[None])
    assert np.array_equal(tifffile.imread(convert(tmp_path / "a.tif")), expected[None])
    image = nibabel.load(convert(tmp_path / "a.nii"))
    assert np.array_equal(np.asanyarray(image.dataobj), expected.T[..., None])


def test_a_stack_of_one_image_is_a_volume_if_so_told(convert, tmp_path):
    np.save(tmp_path / "a.npy", LABELS[None])
    tube = np.load(convert(tmp_path / "a.npy", "--spatial-dims", 3))
    assert np.array_equal(tube, tubed_skeleton(LABELS[None]))


# ---- png


def test_png_keeps_mode_palette_and_resolution(convert, tmp_path):
    palette = [0, 0, 0, 255, 0, 0, 0, 0, 255]
    coloured = Image.fromarray(LABELS)
    coloured.putpalette(palette)
    images = {
        "1": Image.fromarray(MASK),
        "L": Image.fromarray(LABELS * 100),
        "I;16": Image.fromarray(LABELS.astype(np.uint16) * 1000),
        "P": coloured,
    }
    for mode, image in images.items():
        path = tmp_path / f"{ord(mode[0])}.PNG"
        image.save(path, dpi=(300, 300))
        with Image.open(convert(path)) as out:
            assert out.mode == mode
            assert out.info["dpi"] == pytest.approx((300, 300), abs=0.1)
            assert np.array_equal(np.asarray(out), tubed_skeleton(np.asarray(image)))
            if mode == "P":
                assert out.getpalette()[: len(palette)] == palette


def test_png_of_0_and_255_can_be_seen(convert, tmp_path):
    Image.fromarray(MASK.astype(np.uint8) * 255).save(tmp_path / "a.png")
    with Image.open(convert(tmp_path / "a.png", name="skeletonize")) as out:
        assert np.array_equal(np.asarray(out), skeletonize(MASK) * 255)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_png_of_equal_channels_is_grey(convert, tmp_path, mode):
    Image.fromarray(LABELS * 100).convert(mode).save(tmp_path / "a.png")
    with Image.open(convert(tmp_path / "a.png")) as out:
        assert out.mode == "L"
        assert np.array_equal(np.asarray(out), tubed_skeleton(LABELS) * 100)


# ---- tif

TIFFS = {
    "volume": (VOLUME, {"photometric": "minisblack", "compression": "zlib"}),
    "image": (LABELS, {"resolution": (300, 200), "resolutionunit": "CENTIMETER"}),
    "bool": (MASK, {"photometric": "minisblack"}),
    "white is zero": (LABELS, {"photometric": "miniswhite", "compression": "lzw"}),
    "palette": (
        LABELS,
        {
            "photometric": "palette",
            "colormap": np.arange(768, dtype=np.uint16).reshape(3, 256) * 80,
        },
    ),
    "big-endian": (VOLUME.astype(">u2"), {"photometric": "minisblack", "byteorder": ">"}),
    "int64": (VOLUME.astype(np.int64), {"photometric": "minisblack"}),
    "ImageJ": (
        VOLUME,
        {
            "imagej": True,
            "resolution": (1 / 0.65, 1 / 0.65),
            "metadata": {
                "axes": "ZYX",
                "spacing": 2.5,
                "unit": "um",
                "Info": "about",
                "Labels": [f"slice {i}" for i in range(7)],
            },
        },
    ),
    "OME": (
        VOLUME,
        {
            "ome": True,
            "photometric": "minisblack",
            "metadata": {"axes": "ZYX", "PhysicalSizeZ": 2.0, "PhysicalSizeZUnit": "nm"},
        },
    ),
}


@pytest.mark.parametrize("name", TIFFS)
def test_tif_keeps_metadata(convert, tmp_path, name):
    labels, options = TIFFS[name]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, labels, **options)
    with tifffile.TiffFile(path) as before, tifffile.TiffFile(convert(path)) as after:
        tube = after.asarray()
        assert tube.dtype == before.asarray().dtype
        assert np.array_equal(tube, tubed_skeleton(labels))
        assert after.series[0].axes == before.series[0].axes
        pages = before.pages.first, after.pages.first
        for attribute in ("photometric", "resolution", "resolutionunit", "bitspersample"):
            assert getattr(pages[0], attribute) == getattr(pages[1], attribute)
        assert (pages[0].compression == 1) == (pages[1].compression == 1)
        assert np.array_equal(pages[0].colormap, pages[1].colormap)
        assert before.imagej_metadata == after.imagej_metadata
        assert before.is_ome == after.is_ome
        if before.is_ome:
            assert 'PhysicalSizeZ="2.0"' in after.ome_metadata
            assert 'PhysicalSizeZUnit="nm"' in after.ome_metadata


def test_tif_of_images_of_their_own(convert, tmp_path):
    tifffile.imwrite(tmp_path / "a.tiff", VOLUME, photometric="minisblack")
    tube = tifffile.imread(convert(tmp_path / "a.tiff", "--spatial-dims", 2))
    assert np.array_equal(tube, tubed_skeleton(VOLUME, spatial_dims=2))


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_tif_of_equal_channels_is_grey(convert, tmp_path, planes):
    axis = -1 if planes == "contig" else 0
    image = np.stack([LABELS * 100] * 3, axis)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", planarconfig=planes)
    assert np.array_equal(
        tifffile.imread(convert(tmp_path / "a.tif")), tubed_skeleton(LABELS) * 100
    )


@pytest.mark.parametrize(("axes", "what"), [("TYX", "times"), ("CYX", "channels")])
def test_tif_of_times_or_channels_wants_to_be_told(command, convert, tmp_path, axes, what):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VOLUME, imagej=True, metadata={"axes": axes})
    code, _, errors = command("tube", path, tmp_path / "b.tif")
    assert code == 1
    assert f"a stack of {what}; say --spatial-dims 2" in errors
    tube = tifffile.imread(convert(path, "--spatial-dims", 2))
    assert np.array_equal(tube, tubed_skeleton(VOLUME, spatial_dims=2))


# ---- nii


def header_of(image):
    text = io.BytesIO()
    image.header.write_to(text)
    return text.getvalue()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32, ">i2"])
def test_nii_keeps_affine_and_header(convert, tmp_path, suffix, kind, dtype):
    endian = ">" if np.dtype(dtype).byteorder == ">" else "<"
    header = kind.header_class(endianness=endian)
    header["descrip"], header["cal_max"] = b"vessels", 3
    header.set_xyzt_units("mm", "sec")
    affine = np.array([[-0.3, 0.01, 0, 5], [0, 0.3, 0.02, -6], [0, 0, 0.6, 7], [0, 0, 0, 1]])
    header.set_sform(affine, "mni")
    header.set_qform(np.diag([0.3, 0.3, 0.6, 1]), "scanner")
    header.set_data_dtype(dtype)
    extension = nibabel.nifti1.Nifti1Extension("comment", b"kept")
    header.extensions.append(extension)
    path = tmp_path / f"a{suffix}"
    nibabel.save(kind(VOLUME.astype(dtype).T, affine, header), path)

    before, after = nibabel.load(path), nibabel.load(convert(path))
    assert type(after) is kind
    assert header_of(after) == header_of(before)
    assert np.array_equal(after.affine, before.affine)
    assert after.header.extensions == before.header.extensions
    tube = np.asanyarray(after.dataobj)
    assert tube.dtype == np.asanyarray(before.dataobj).dtype
    assert np.array_equal(tube.T, tubed_skeleton(VOLUME))


def test_nii_of_scaled_integers(convert, tmp_path):
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(VOLUME.T, np.eye(4)), path)
    raw = bytearray(path.read_bytes())
    raw[112:116] = np.float32(3).tobytes()  # scl_slope
    path.write_bytes(raw)
    tube = np.asanyarray(nibabel.load(convert(path)).dataobj)
    assert np.array_equal(tube.T, 3 * tubed_skeleton(VOLUME))


def test_nii_of_times(command, convert, tmp_path):
    batch = np.stack([VOLUME, VOLUME[::-1], 0 * VOLUME])
    nibabel.save(nibabel.Nifti1Image(batch.T, np.eye(4)), tmp_path / "a.nii.gz")
    code, _, errors = command("tube", tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    assert code == 1
    assert "got 4D" in errors
    out = convert(tmp_path / "a.nii.gz", "--spatial-dims", 3)
    tube = np.asanyarray(nibabel.load(out).dataobj).T
    assert np.array_equal(tube, tubed_skeleton(batch, spatial_dims=3))


def test_nii_is_packed_as_its_name_says(convert, command, tmp_path):
    nibabel.save(nibabel.Nifti1Image(VOLUME.T, np.eye(4)), tmp_path / "a.nii")
    assert command("tube", tmp_path / "a.nii", tmp_path / "b.nii.gz")[0] == 0
    assert (tmp_path / "b.nii.gz").read_bytes()[:2] == b"\x1f\x8b"
    packed = nibabel.load(tmp_path / "b.nii.gz")
    assert np.array_equal(packed.dataobj, nibabel.load(convert(tmp_path / "a.nii")).dataobj)
    first = (tmp_path / "b.nii.gz").read_bytes()
    assert command("tube", tmp_path / "a.nii", tmp_path / "b.nii.gz")[0] == 0
    assert (tmp_path / "b.nii.gz").read_bytes() == first  # no time stamp in it
