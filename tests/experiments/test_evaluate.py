"""Scores of folders of predictions: formats, matching of names and values, complaints."""

import csv

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest

from experiments import cli
from experiments.scoring import COUNTS, metrics_of
from tubeskel.metrics import evaluate

FOLDERS = ("predictions", "labels", "fields-of-view")


def truth(shape):
    label = np.zeros(shape, np.uint8)
    label[..., 4:8, 2:18] = 1
    label[..., 12:15, 2:18] = 2
    return label


def write(folder, name, label):
    folder.mkdir(exist_ok=True)
    if name.endswith(".nii.gz"):
        nibabel.save(nibabel.Nifti1Image(label.T.astype(np.float32), np.eye(4)), folder / name)
    else:
        iio.imwrite(folder / name, label)


def read_scores(path):
    return list(csv.DictReader((path / "scores.csv").open()))


@pytest.mark.parametrize(("shape", "suffix"), [((20, 20), "png"), ((6, 20, 20), "nii.gz")])
def test_the_scores_are_those_of_each_image_and_class(tmp_path, capsys, shape, suffix):
    label = truth(shape)
    predictions = {"a": label, "b": np.roll(label, 1, axis=-1)}
    for name, prediction in predictions.items():
        write(tmp_path / "p", f"{name}.{suffix}", prediction)
        write(tmp_path / "t", f"{name}.{suffix}", label)
    folders = ["--predictions", str(tmp_path / "p"), "--labels", str(tmp_path / "t")]
    assert cli.main(["evaluate", *folders]) == 0
    shown = capsys.readouterr().out
    rows = read_scores(tmp_path / "p" / "scores")
    assert [(row["image"], row["class"]) for row in rows] == [
        (name, k) for name in "ab" for k in "12"
    ]
    for row in rows:
        scores = evaluate(predictions[row["image"]], label, num_classes=3)[int(row["class"])]
        names = metrics_of(len(shape))
        assert [float(row[m]) for m in names] == [pytest.approx(scores[m]) for m in names]
    inside = int(rows[2]["true_positives"])
    assert inside == np.count_nonzero((predictions["b"] == 1) & (label == 1))
    assert "Scores of 2 images" in shown
    assert ("Betti-2 error" in shown) == (len(shape) == 3)
    assert shown.startswith((tmp_path / "p" / "scores" / "scores.md").read_text())


def test_two_masks_have_the_same_class_whatever_its_value(tmp_path):
    mask = truth((20, 20)) > 0
    write(tmp_path / "p", "a.png", mask.astype(np.uint8))
    write(tmp_path / "t", "a.tif", mask.astype(np.uint8) * 255)
    folders = ["--predictions", str(tmp_path / "p"), "--labels", str(tmp_path / "t")]
    assert cli.main(["evaluate", *folders, "--out", str(tmp_path / "out")]) == 0
    (row,) = read_scores(tmp_path / "out")
    assert (row["class"], row["dice"], row["region"]) == ("255", "1.0", "image")


def spoil_shape(root):
    write(root / "p", "a.png", truth((20, 21)))


def spoil_partner(root):
    write(root / "p", "b.png", truth((20, 20)))


def spoil_format(root):
    (root / "p" / "a.png").write_bytes(b"no picture")


def spoil_colour(root):
    write(root / "p", "a.png", np.random.default_rng(0).integers(0, 9, (20, 20, 3), np.uint8))


def spoil_twice(root):
    write(root / "t", "a.tif", truth((20, 20)))


def spoil_all(root):
    (root / "t" / "a.png").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_shape, "has shape (20, 21)"),
        (spoil_partner, "b.png has no partner of the name 'b'"),
        (spoil_format, "cannot read"),
        (spoil_colour, "a colour image"),
        (spoil_twice, "have the same name"),
        (spoil_all, "holds no label map"),
    ],
)
def test_what_cannot_be_scored_is_named(tmp_path, capsys, spoil, message):
    for side in "pt":
        write(tmp_path / side, "a.png", truth((20, 20)))
    spoil(tmp_path)
    folders = ["--predictions", str(tmp_path / "p"), "--labels", str(tmp_path / "t")]
    assert cli.main(["evaluate", *folders]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "p" / "scores").exists()


def test_fields_of_view_are_scored_beside_the_images(tmp_path, capsys):
    label = truth((20, 20))
    prediction = np.where(np.arange(20) < 10, label, 0).astype(np.uint8)
    view = np.zeros((20, 20), np.uint8)
    view[:, :10] = 255
    label[:, 0] = 9
    write(tmp_path / "p", "a.png", prediction)
    write(tmp_path / "t", "a.png", label)
    write(tmp_path / "v", "a.tif", view)
    folders = ["--predictions", str(tmp_path / "p"), "--labels", str(tmp_path / "t")]
    flags = ["--fields-of-view", str(tmp_path / "v"), "--ignore", "9"]
    assert cli.main(["evaluate", *folders, *flags]) == 0
    shown = capsys.readouterr().out
    rows = {(row["class"], row["region"]): row for row in read_scores(tmp_path / "p" / "scores")}
    assert list(rows) == [(k, where) for where in ("image", "field_of_view") for k in "12"]
    assert float(rows["1", "field_of_view"]["dice"]) == 1
    assert float(rows["1", "image"]["dice"]) < 1
    counted = [sum(int(rows["1", r][n]) for n in COUNTS) for r in ("image", "field_of_view")]
    assert counted == [20 * 19, 20 * 9]
    assert "| 1 | field of view | per image | 100.00 | 100.00 |" in shown


def spoil_view_shape(root):
    write(root / "v", "a.png", np.ones((20, 21), np.uint8))


def spoil_view_name(root):
    (root / "v" / "a.png").rename(root / "v" / "a_mask.png")


def spoil_view_format(root):
    (root / "v" / "a.png").write_bytes(b"no picture")


def spoil_view_content(root):
    write(root / "v", "a.png", np.zeros((20, 20), np.uint8))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_view_shape, "v/a.png has shape (20, 21)"),
        (spoil_view_name, "no partner of the name 'a'"),
        (spoil_view_format, "cannot read"),
        (spoil_view_content, "v/a.png is 0 everywhere"),
    ],
)
def test_a_wrong_field_of_view_is_named(tmp_path, capsys, spoil, message):
    for side in "ptv":
        write(tmp_path / side, "a.png", truth((20, 20)))
    spoil(tmp_path)
    folders = [f"--{name}={tmp_path / side}" for name, side in zip(FOLDERS, "ptv", strict=True)]
    assert cli.main(["evaluate", *folders]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert str(tmp_path / "v") in complaint
    assert not (tmp_path / "p" / "scores").exists()


def test_empty_masks_are_counted(tmp_path, capsys):
    label = truth((20, 20))
    write(tmp_path / "p", "a.png", np.where(label == 1, 0, label))
    write(tmp_path / "t", "a.png", label)
    folders = ["--predictions", str(tmp_path / "p"), "--labels", str(tmp_path / "t")]
    assert cli.main(["evaluate", *folders]) == 0
    assert (
        "Empty masks of class 1, whole image: both 0, ground truth alone 0, prediction alone 1 of 1"
    ) in capsys.readouterr().out


def test_a_missing_folder_is_named(tmp_path, capsys):
    assert cli.main(["evaluate", "--predictions", str(tmp_path / "x"), "--labels", "y"]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_ignored_pixels_are_not_scored(tmp_path, capsys):
    label = truth((20, 20))
    prediction = label.copy()
    label[:, 18:], prediction[:, 18:] = 9, 1
    write(tmp_path / "p", "a.png", prediction)
    write(tmp_path / "t", "a.png", label)
    folders = ["--predictions", str(tmp_path / "p"), "--labels", str(tmp_path / "t")]
    assert cli.main(["evaluate", *folders, "--ignore", "9"]) == 0
    rows = read_scores(tmp_path / "p" / "scores")
    assert [(row["class"], float(row["dice"])) for row in rows] == [("1", 1.0), ("2", 1.0)]
    assert sum(int(rows[0][name]) for name in COUNTS) == 20 * 18
