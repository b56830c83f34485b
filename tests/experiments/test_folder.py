"""The data set `folder`: what it reads, and how it names what is wrong."""

import imageio.v3 as iio
import numpy as np
import pytest

from experiments.data import Folder
from experiments.errors import DataError


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
