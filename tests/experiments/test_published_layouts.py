"""The loaders of files that cannot be passed on, on small files in their published layout."""

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest

from experiments.data import (
    ACDC,
    DRIVE,
    HRF,
    UAV75,
    BoMBR,
    Cracks,
    DrosophilaVNC,
    MassachusettsRoads,
    TopCoW,
    VesselNN,
    splits,
)
from experiments.errors import ConfigError, DataError

SIZE = (12, 16)
RNG = np.random.default_rng(0)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        header_zooms = (0.5, 0.5, 2.0)
        image = nibabel.Nifti1Image(array.T, np.diag([*header_zooms, 1]))  # stored as x, y, z
        nibabel.save(image, path)
    else:
        iio.imwrite(path, array)


def photograph(channels=3):
    return RNG.integers(0, 200, (*SIZE, channels), dtype=np.uint8)


def mask(value=255, row=3):
    array = np.zeros(SIZE, np.uint8)
    array[row] = value
    return array


# ---- drive


@pytest.fixture
def drive(tmp_path):
    for part, name, numbers in (("training", "training", "21 22"), ("test", "test", "01 02")):
        for number in numbers.split():
            root = tmp_path / part
            write(root / "images" / f"{number}_{name}.tif", photograph())
            write(root / "1st_manual" / f"{number}_manual1.gif", mask())
            write(root / "mask" / f"{number}_{name}_mask.gif", np.full(SIZE, 255, np.uint8))
    return tmp_path


def test_drive(drive):
    dataset = DRIVE("drive", root=str(drive)).load()
    assert (dataset.train, dataset.test) == (("21", "22"), ("01", "02"))
    for sample in dataset.samples:
        assert sample.image.shape == (3, *SIZE)
        assert sample.label.sum() == SIZE[1]
        assert sample.field_of_view.all()


def test_drive_without_test_labels_says_so_or_takes_the_training_part(drive):
    for path in (drive / "test" / "1st_manual").iterdir():
        path.unlink()
    (drive / "test" / "1st_manual").rmdir()
    with pytest.raises(DataError, match=r"there is no folder .*test.1st_manual"):
        DRIVE("drive", root=str(drive)).load()
    dataset = DRIVE("drive", root=str(drive), parts="training", folds=2).load()
    assert len(dataset.samples) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("training/images/22_training.tif", r"has no image of the name '22'"),
        ("training/1st_manual/21_manual1.gif", r"21_training\.tif has no mask of the name '21'"),
        ("test/mask/02_test_mask.gif", r"02_test\.tif has no field of view of the name '02'"),
    ],
)
def test_drive_names_a_missing_file(drive, name, message):
    (drive / name).unlink()
    with pytest.raises(DataError, match=message):
        DRIVE("drive", root=str(drive)).load()


def test_drive_refuses_a_mask_of_another_size(drive):
    write(drive / "training/1st_manual/21_manual1.gif", np.zeros((12, 15), np.uint8))
    with pytest.raises(DataError, match=r"is 16 x 12, its mask .*manual1\.gif is 15 x 12"):
        DRIVE("drive", root=str(drive)).load()


# ---- hrf


def test_hrf_as_its_owners_publish_it(tmp_path):
    for name in ("01_h", "05_g", "06_dr"):
        write(tmp_path / "images" / f"{name}.JPG", photograph())
        write(tmp_path / "manual1" / f"{name}.tif", mask())
        write(tmp_path / "mask" / f"{name}_mask.tif", np.full((*SIZE, 3), 255, np.uint8))
    dataset = HRF("hrf", root=str(tmp_path)).load()
    assert (dataset.train, dataset.test) == (("01_h", "05_g"), ("06_dr",))
    assert dataset.samples[0].field_of_view.all()


def test_hrf_with_arteries_and_veins_takes_all_of_them_as_vessels(tmp_path):
    for part in ("training", "test"):
        manual = np.zeros(SIZE, np.uint8)
        manual[0, :3] = (1, 2, 3)
        write(tmp_path / part / "images" / f"{part}_h.jpg", photograph())
        write(tmp_path / part / "1st_manual" / f"{part}_h_AVmanual.png", manual)
        write(tmp_path / part / "mask" / f"{part}_h_mask.tif", np.zeros((*SIZE, 3), np.uint8))
    dataset = HRF("hrf", root=str(tmp_path)).load()
    assert (dataset.train, dataset.test) == (("training_h",), ("test_h",))
    assert dataset.samples[0].label.sum() == 3
    assert not dataset.samples[0].field_of_view.any()


# ---- uav75


@pytest.fixture
def uav75(tmp_path):
    for part, names in (("train", "DSC1 DSC2b"), ("val", "DSC2c"), ("test", "DSC3")):
        for name in names.split():
            label = np.zeros((*SIZE, 4), np.uint8)
            label[..., 3] = 255
            label[0, :, :3] = 204
            label[5, :, :3] = 255
            write(tmp_path / f"{part}_img" / f"{name}.jpg", photograph())
            write(tmp_path / f"{part}_lab" / f"{name}.png", label)
    return tmp_path


def test_uav75_takes_cracks_and_not_planking(uav75):
    dataset = UAV75("uav75", root=str(uav75)).load()
    assert (dataset.train, dataset.test) == (("DSC1", "DSC2b"), ("DSC3",))
    for sample in dataset.samples:
        assert sample.label[5].all()
        assert sample.label.sum() == SIZE[1]


def test_uav75_keeps_pieces_of_a_photograph_in_one_fold(uav75):
    dataset = UAV75("uav75", root=str(uav75), folds=3).load()
    assert len(dataset.samples) == 4  # with the val part
    for part in splits(dataset, 3):
        assert not {s.group for s in part.train} & {s.group for s in part.test}


def test_uav75_refuses_other_values(uav75):
    write(uav75 / "test_lab" / "DSC3.png", np.full((*SIZE, 3), 128, np.uint8))
    with pytest.raises(DataError, match=r"DSC3\.png has values other than 0, 204 and 255, first 1"):
        UAV75("uav75", root=str(uav75)).load()


# ---- massachusetts_roads


def test_roads_ignores_areas_without_data_and_no_single_white_pixels(tmp_path):
    for part in ("train", "valid", "test"):
        image = RNG.integers(0, 200, (64, 64, 3), dtype=np.uint8)
        image[:, :20] = 255
        image[50, 50] = 255
        roads = np.zeros((64, 64), np.uint8)
        roads[30] = 255
        write(tmp_path / part / "sat" / f"{part}1.tiff", image)
        write(tmp_path / part / "map" / f"{part}1.tif", roads)
    dataset = MassachusettsRoads("massachusetts_roads", root=str(tmp_path)).load()
    assert (dataset.train, dataset.test) == (("train1",), ("test1",))
    for sample in dataset.samples:
        assert sample.ignore[:, :20].all()
        assert not sample.ignore[:, 20:].any()
        assert sample.label[30].all()
        seen = sample.image[:, ~sample.ignore]
        np.testing.assert_allclose(seen.mean(axis=1), 0, atol=1e-4)
        np.testing.assert_allclose(seen.std(axis=1), 1, atol=1e-3)


# ---- bombr


@pytest.fixture
def bombr(tmp_path):
    for part, suffix in (("train", "jpg"), ("test", "tif")):
        values = np.full(SIZE, 2, np.uint8)
        values[0], values[1], values[2] = 0, 1, 3
        write(tmp_path / "images" / part / f"Image_{part}.{suffix}", photograph())
        write(tmp_path / "masks" / part / f"Image_{part}.png", values)
    return tmp_path


def test_bombr_takes_cells_as_background(bombr):
    dataset = BoMBR("bombr", root=str(bombr)).load()
    assert dataset.classes == ("cells", "reticulin", "fat", "bone")
    assert (dataset.train, dataset.test) == (("Image_train",), ("Image_test",))
    assert [int(row[0]) for row in dataset.samples[0].label[:4]] == [1, 2, 3, 0]


def test_bombr_takes_other_mask_values(bombr):
    dataset = BoMBR("bombr", root=str(bombr), mask_values=(0, 1, 2, 3)).load()
    assert [int(row[0]) for row in dataset.samples[0].label[:4]] == [0, 1, 3, 2]
    with pytest.raises(ConfigError, match=r"mask_values = \[0, 1, 1, 3\]"):
        BoMBR("bombr", root=str(bombr), mask_values=(0, 1, 1, 3)).load()


# ---- cracks


@pytest.mark.parametrize(
    ("image_name", "mask_name"),
    [
        ("photos/IMG_00{}.jpg", "masks/mask_{}.png"),
        ("{}.jpg", "{}_mask.png"),
        ("Images/crack-0{}.png", "GT/crack-{}.tif"),
        ("dataset/img/{}.png", "dataset/ground_truth/{}.gif"),
    ],
)
def test_cracks_matches_images_and_masks_of_any_layout(tmp_path, image_name, mask_name):
    for number in (1, 2):
        write(tmp_path / image_name.format(number), photograph())
        write(tmp_path / mask_name.format(number), mask(row=number))
    dataset = Cracks("cracks", root=str(tmp_path), folds=2).load()
    assert [sample.id for sample in dataset.samples] == ["1", "2"]
    for number, sample in enumerate(dataset.samples, 1):
        assert sample.label[number].all()
        assert sample.label.sum() == SIZE[1]
    with pytest.raises(ConfigError, match="no split of its own"):
        splits(dataset, 0)


def test_cracks_takes_folders_as_the_split(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / part / "images" / "1.jpg", photograph())
        write(tmp_path / part / "masks" / "1.png", mask())
    dataset = Cracks("cracks", root=str(tmp_path)).load()
    assert (dataset.train, dataset.test) == (("train_1",), ("test_1",))


def test_cracks_says_what_does_not_match(tmp_path):
    with pytest.raises(DataError, match="holds 0 images and 0 masks"):
        Cracks("cracks", root=str(tmp_path)).load()
    write(tmp_path / "1.jpg", photograph())
    write(tmp_path / "2_mask.png", mask())
    with pytest.raises(DataError, match=r"1\.jpg has no mask of the name '1'"):
        Cracks("cracks", root=str(tmp_path)).load()
    write(tmp_path / "01.jpg", photograph())
    with pytest.raises(DataError, match=r"01\.jpg and .*1\.jpg have the same name '1'"):
        Cracks("cracks", root=str(tmp_path)).load()


def test_cracks_refuses_inverted_masks(tmp_path):
    write(tmp_path / "1.jpg", photograph())
    write(tmp_path / "1_mask.png", 255 - mask())
    with pytest.raises(DataError, match=r"1_mask\.png is crack for the most part: .* black\?"):
        Cracks("cracks", root=str(tmp_path), folds=2).load()
    dataset = Cracks("cracks", root=str(tmp_path), folds=2, crack="black").load()
    assert dataset.samples[0].label.sum() == SIZE[1]


# ---- drosophila_vnc


def test_drosophila_thresholds_and_splits_by_section(tmp_path):
    for number in range(5):
        soft = mask()
        soft[6] = 100  # an in-between value
        write(tmp_path / "stack1" / "raw" / f"0{number}.tif", photograph()[..., 0])
        write(tmp_path / "stack1" / "membranes" / f"0{number}.png", soft)
    dataset = DrosophilaVNC("drosophila_vnc", root=str(tmp_path), target="membranes").load()
    assert (dataset.train, dataset.test) == (("00", "01", "02", "03"), ("04",))
    assert dataset.classes == ("background", "membranes")
    assert dataset.samples[0].label.sum() == SIZE[1]
    assert dataset.samples[0].spacing == (4.6, 4.6)
    with pytest.raises(DataError, match=r"there is no folder .*mitochondria"):
        DrosophilaVNC("drosophila_vnc", root=str(tmp_path)).load()


def test_drosophila_takes_masks_of_one_bit(tmp_path):
    write(tmp_path / "stack1" / "raw" / "00.tif", photograph()[..., 0])
    write(tmp_path / "stack1" / "synapses" / "00.png", mask() > 0)
    dataset = DrosophilaVNC("drosophila_vnc", root=str(tmp_path), target="synapses").load()
    assert dataset.samples[0].label.sum() == SIZE[1]


# ---- acdc


@pytest.fixture
def acdc(tmp_path):
    for part, numbers in (("training", (1, 2)), ("testing", (101,))):
        for number in numbers:
            patient = f"patient{number:03d}"
            write(tmp_path / part / patient / f"{patient}_4d.nii.gz", np.zeros((2, 4, 12, 16)))
            for frame in ("frame01", "frame12"):
                stem = tmp_path / part / patient / f"{patient}_{frame}"
                labels = np.zeros((4, *SIZE), np.uint8)
                labels[1, 2], labels[2, 3] = 1, 3
                write(stem.with_name(f"{stem.name}_gt.nii.gz"), labels)
                volume = RNG.integers(0, 300, (4, *SIZE), dtype=np.int16)
                write(stem.with_name(f"{stem.name}.nii.gz"), volume)
    return tmp_path


def test_acdc_as_volumes(acdc):
    dataset = ACDC("acdc", root=str(acdc), slices=False).load()
    assert dataset.train == tuple(f"patient00{n}_frame{f}" for n in (1, 2) for f in ("01", "12"))
    assert dataset.test == ("patient101_frame01", "patient101_frame12")
    sample = dataset.samples[0]
    assert sample.image.shape == (1, 4, *SIZE)
    assert sample.spacing == (2.0, 0.5, 0.5)
    assert sample.label[1, 2].tolist() == [1] * SIZE[1]
    assert sample.group == "patient001"


def test_acdc_as_slices_skips_empty_ones_and_keeps_patients_together(acdc):
    dataset = ACDC("acdc", root=str(acdc), folds=3).load()
    assert [sample.id for sample in dataset.samples[:3]] == [
        "patient001_frame01_z001",
        "patient001_frame01_z002",
        "patient001_frame12_z001",
    ]
    assert len(dataset.samples) == 12
    for sample in dataset.samples:
        assert sample.image.shape == (1, *SIZE)
        assert sample.spacing == (0.5, 0.5)
    for part in splits(dataset, 3):
        assert len({s.group for s in part.test}) == 1
        assert len(part.test) == 4
        assert not {s.group for s in part.train} & {s.group for s in part.test}
    with pytest.raises(ConfigError, match=r"data.folds = 4: .* 2 to 3 \(the groups of samples\)"):
        splits(dataset, 4)


def remove_label(root):
    (root / "training/patient001/patient001_frame01_gt.nii.gz").unlink()
    return r"frame01\.nii\.gz has no mask of the name 'patient001_frame01'"


def other_value(root):
    write(root / "training/patient001/patient001_frame01_gt.nii.gz", np.full((4, *SIZE), 4, "u1"))
    return r"frame01_gt\.nii\.gz has values other than 0, 1, 2 and 3, first 4"


def truncate(root):
    path = root / "testing/patient101/patient101_frame12.nii.gz"
    path.write_bytes(path.read_bytes()[:200])
    return r"cannot decode .*patient101_frame12\.nii\.gz"


def other_shape(root):
    write(root / "training/patient001/patient001_frame01_gt.nii.gz", np.zeros((3, *SIZE), "u1"))
    return r"frame01\.nii\.gz is 16 x 12 x 4, its mask .* is 16 x 12 x 3"


@pytest.mark.parametrize("damage", [remove_label, other_value, truncate, other_shape])
def test_acdc_names_what_is_wrong(acdc, damage):
    message = damage(acdc)
    with pytest.raises(DataError, match=message):
        ACDC("acdc", root=str(acdc)).load()


def test_acdc_without_patients_says_so(tmp_path):
    with pytest.raises(DataError, match="holds no folder patientNNN"):
        ACDC("acdc", root=str(tmp_path)).load()


# ---- topcow


@pytest.fixture
def topcow(tmp_path):
    labels = np.zeros((4, *SIZE), np.uint8)
    labels[0, 0, :13] = [*range(1, 13), 15]
    for name in ("ct_001", "mr_001", "mr_002"):
        volume = RNG.integers(0, 300, (4, *SIZE), dtype=np.int16)
        write(tmp_path / "imagesTr" / f"topcow_{name}_0000.nii.gz", volume)
        write(tmp_path / "cow_seg_labelsTr" / f"topcow_{name}.nii.gz", labels)
    return tmp_path


def test_topcow_has_13_classes_without_a_gap_and_keeps_patients_together(topcow):
    dataset = TopCoW("topcow", root=str(topcow), folds=2).load()
    assert len(dataset.classes) == 14
    assert dataset.classes[13] == "3rd-A2"
    assert dataset.samples[0].label[0, 0, :13].tolist() == list(range(1, 14))
    assert [sample.group for sample in dataset.samples] == ["001", "001", "002"]
    assert dataset.samples[0].spacing == (2.0, 0.5, 0.5)


def test_topcow_takes_one_modality(topcow):
    dataset = TopCoW("topcow", root=str(topcow), modality="mr").load()
    assert [sample.id for sample in dataset.samples] == ["topcow_mr_001", "topcow_mr_002"]


def test_topcow_without_images_says_so(topcow):
    for path in (topcow / "imagesTr").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"imagesTr holds no image \(\*_0000\.nii\.gz\)"):
        TopCoW("topcow", root=str(topcow)).load()
    (topcow / "imagesTr").rmdir()
    with pytest.raises(DataError, match=r"there is no folder .*imagesTr"):
        TopCoW("topcow", root=str(topcow)).load()


# ---- vesselnn


def test_vesselnn_leaves_out_labels_without_a_stack(tmp_path):
    stack = RNG.integers(0, 255, (3, *SIZE), dtype=np.uint8)
    labels = np.zeros((3, *SIZE), np.uint16)
    labels[1, 4] = 254
    write(tmp_path / "denoised" / "one_BM4D_denoised.tif", stack)
    write(tmp_path / "labels" / "one_labelsMarc.tif", labels)
    write(tmp_path / "labels" / "two_labels_v1.tif", labels)
    dataset = VesselNN("vesselnn", root=str(tmp_path)).load()
    assert [sample.id for sample in dataset.samples] == ["one"]
    assert dataset.samples[0].image.shape == (1, 3, *SIZE)
    assert dataset.samples[0].label.sum() == SIZE[1]
    (tmp_path / "labels" / "one_labelsMarc.tif").unlink()
    with pytest.raises(DataError, match=r"one_BM4D_denoised\.tif: 0 files .*one_\*, not one"):
        VesselNN("vesselnn", root=str(tmp_path)).load()
