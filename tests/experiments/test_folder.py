"""The data set `folder`: what it reads, and how it names what is wrong."""

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest

from experiments.data import Folder, splits
from experiments.errors import ConfigError, DataError


def test_folder_reads_png_tif_gif_and_jpg(folder):
    dataset = Folder("folder", root=str(folder)).load()
    assert [sample.id for sample in dataset.samples] == ["a", "b", "c", "d"]
    for sample in dataset.samples:
        assert sample.image.shape == (1, 40, 50)
        assert sample.label.sum() == 400
        assert sample.label.max() == 1


def test_folder_takes_train_and_test_as_the_split(folder):
    root = folder.parent / "split"
    root.mkdir()
    folder.rename(root / "train")
    for kind in ("images", "masks"):
        (root / "test" / kind).mkdir(parents=True)
        iio.imwrite(root / "test" / kind / "a.png", np.zeros((8, 8), np.uint8))
    dataset = Folder("folder", root=str(root)).load()
    assert dataset.test == ("test_a",)
    assert dataset.train == ("train_a", "train_b", "train_c", "train_d")


def test_folder_takes_the_given_values_as_foreground(folder):
    mask = np.full((40, 50), 204, np.uint8)
    mask[0, :3] = 255
    iio.imwrite(folder / "masks" / "a.png", mask)
    dataset = Folder("folder", root=str(folder), foreground=(255,)).load()
    assert dataset.samples[0].label.sum() == 3


def test_folder_matches_masks_with_an_ending(folder):
    for path in (folder / "masks").iterdir():
        path.rename(path.with_stem(path.stem + "_mask"))
    dataset = Folder("folder", root=str(folder), mask_ending="_mask").load()
    assert len(dataset.samples) == 4


def remove_mask(root):
    (root / "masks" / "a.png").unlink()
    return r"a\.png has no mask of the name 'a'"


def remove_image(root):
    (root / "images" / "b.tif").unlink()
    return r"b\.gif has no image of the name 'b'"


def corrupt(root):
    (root / "images" / "a.png").write_bytes(b"\x89PNG\r\n nothing")
    return r"cannot decode .*a\.png"


def empty_file(root):
    (root / "masks" / "d.png").write_bytes(b"")
    return r"cannot decode .*masks.d\.png"


def other_size(root):
    iio.imwrite(root / "masks" / "a.png", np.zeros((40, 49), np.uint8))
    return r"a\.png is 50 x 40, its mask .* is 49 x 40"


def colour_mask(root):
    mask = np.zeros((40, 50, 3), np.uint8)
    mask[..., 1] = 7
    iio.imwrite(root / "masks" / "a.png", mask)
    return r"a\.png is a colour image, not a mask"


def mixed_channels(root):
    iio.imwrite(root / "images" / "d.gif", np.zeros((40, 50, 3), np.uint8))
    (root / "images" / "d.gif").unlink()
    iio.imwrite(root / "images" / "d.png", np.zeros((40, 50, 3), np.uint8))
    return r"some images are grey, some in colour \(first odd one: d\)"


def doubled(root):
    iio.imwrite(root / "images" / "a.tif", np.zeros((40, 50), np.uint8))
    return r"a\.png and .*a\.tif have the same name"


def not_finite(root):
    iio.imwrite(root / "images" / "b.tif", np.full((40, 50), np.nan, np.float32))
    return r"b\.tif has values that are not finite"


def volume(root):
    iio.imwrite(root / "images" / "b.tif", np.zeros((9, 9, 40, 50), np.uint8))
    return r"b\.tif has shape"


def no_masks(root):
    (root / "masks").rename(root / "labels")
    return r"there is no folder .*masks"


def no_files(root):
    for path in (root / "images").iterdir():
        path.unlink()
    return r"images holds no image"


@pytest.mark.parametrize(
    "damage",
    [
        remove_mask,
        remove_image,
        corrupt,
        empty_file,
        other_size,
        colour_mask,
        mixed_channels,
        doubled,
        not_finite,
        volume,
        no_masks,
        no_files,
    ],
)
def test_folder_names_what_is_wrong(folder, damage):
    message = damage(folder)
    with pytest.raises(DataError, match=message):
        Folder("folder", root=str(folder)).load()


def test_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        Folder("folder", root=str(tmp_path / "nowhere")).load()


def test_folder_takes_several_classes_and_pixels_to_ignore(folder):
    for stem in "abcd":
        for path in (folder / "masks").glob(f"{stem}.*"):
            path.unlink()
        mask = np.zeros((40, 50), np.uint8)
        mask[0], mask[1], mask[2] = 10, 20, 255
        iio.imwrite(folder / "masks" / f"{stem}.png", mask)
    classes = {"vein": 20, "artery": 10}
    dataset = Folder("folder", root=str(folder), classes=classes, ignore=255).load()
    assert dataset.classes == ("background", "vein", "artery")
    for sample in dataset.samples:
        assert [int(row[0]) for row in sample.label[:4]] == [2, 1, 0, 0]
        assert sample.ignore[2].all()
        assert sample.ignore.sum() == 50
    with pytest.raises(DataError, match=r"a\.png has values other than 0, 10 and 20, first 255"):
        Folder("folder", root=str(folder), classes=classes).load()


def test_folder_takes_fields_of_view(folder):
    (folder / "fov").mkdir()
    for stem in "abcd":
        view = np.zeros((40, 50), np.uint8)
        view[:30] = 255
        iio.imwrite(folder / "fov" / f"{stem}.png", view)
    dataset = Folder("folder", root=str(folder), fields_of_view="fov").load()
    assert dataset.samples[0].field_of_view[:30].all()
    assert not dataset.samples[0].field_of_view[30:].any()
    (folder / "fov" / "c.png").unlink()
    with pytest.raises(DataError, match=r"c\.jpg has no field of view of the name 'c'"):
        Folder("folder", root=str(folder), fields_of_view="fov").load()


def test_folder_groups_by_a_part_of_the_name(folder):
    for kind in ("images", "masks"):
        for path in (folder / kind).iterdir():
            path.rename(path.with_stem({"a": "x_1", "b": "x_2"}.get(path.stem, f"y_{path.stem}")))
    dataset = Folder("folder", root=str(folder), group="^[^_]+", folds=2).load()
    assert [sample.group for sample in dataset.samples] == ["x", "x", "y", "y"]
    for part in splits(dataset, 2):
        assert len({sample.group for sample in part.test}) == 1
    with pytest.raises(DataError, match=r"x_1\.png: data.group = 'z' finds nothing in 'x_1'"):
        Folder("folder", root=str(folder), group="z").load()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": {"a": 1}, "foreground": (1,)}, "only one of them"),
        ({"spacing": (1.0,)}, "data.spacing has 1 numbers: allowed are 2"),
        ({"group": "("}, r"data.group = '\('"),
    ],
)
def test_folder_refuses_fields_that_contradict(folder, fields, message):
    with pytest.raises(ConfigError, match=message):
        Folder("folder", root=str(folder), **fields).load()


@pytest.fixture
def volumes(tmp_path):
    """A folder with the same volume in three file formats."""
    root = tmp_path / "volumes"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    volume = np.random.default_rng(0).integers(0, 99, (5, 6, 7), dtype=np.uint8)
    mask = (volume > 50).astype(np.uint8)
    for kind, array in (("images", volume), ("masks", mask)):
        np.save(root / kind / "a.npy", array)
        iio.imwrite(root / kind / "b.tif", array)
        image = nibabel.Nifti1Image(array.T, np.diag([1, 2, 3, 1]))  # stored as x, y, z
        nibabel.save(image, root / kind / "c.nii.gz")
    return root


def test_folder_reads_volumes_in_the_order_z_y_x(volumes):
    dataset = Folder("folder", root=str(volumes), dimensions=3, spacing=(9.0, 8.0, 7.0)).load()
    assert [sample.id for sample in dataset.samples] == ["a", "b", "c"]
    first = dataset.samples[0]
    assert first.image.shape == (1, 5, 6, 7)
    for sample in dataset.samples[1:]:
        np.testing.assert_array_equal(sample.image, first.image)
        np.testing.assert_array_equal(sample.label, first.label)
    assert dataset.samples[1].spacing == (9.0, 8.0, 7.0)
    assert dataset.samples[2].spacing == (3.0, 2.0, 1.0)  # as its header says


def test_folder_takes_volumes_as_slices(volumes):
    dataset = Folder("folder", root=str(volumes), dimensions=3, slices=True, folds=3).load()
    assert dataset.samples[0].image.shape == (1, 6, 7)
    assert {sample.group for sample in dataset.samples} == {"a", "b", "c"}
    for part in splits(dataset, 3):
        assert len({sample.group for sample in part.test}) == 1


def test_folder_names_a_file_that_is_no_volume(volumes):
    for shape in ((5, 6), (5, 6, 3), (2, 5, 6, 7)):
        np.save(volumes / "images" / "a.npy", np.zeros(shape))
        with pytest.raises(DataError, match=r"a\.npy has shape \(.*, not that of a volume"):
            Folder("folder", root=str(volumes), dimensions=3).load()
