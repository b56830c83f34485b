"""Prediction and scores: mirroring, regions, ignored pixels, several classes, volumes."""

import csv
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch
from torch import nn

from experiments.data import Sample
from experiments.scoring import (
    COUNTS,
    METRICS,
    load_label,
    metrics_of,
    predict,
    prediction_path,
    save_label,
    score,
    score_classes,
)


class Fixed(nn.Module):
    """Gives its image, an index of classes, back as logits; brighter towards the last axis."""

    def __init__(self, classes=3, tilt=0.0):
        super().__init__()
        self.classes, self.tilt = classes, nn.Parameter(torch.tensor(tilt))

    def forward(self, image):
        ramp = torch.linspace(-1, 1, image.shape[-1])
        index = image[:, 0] + self.tilt * ramp
        return torch.stack([-((index - c) ** 2) for c in range(self.classes)], 1)


@pytest.fixture
def label():
    label = np.zeros((40, 48), np.uint8)
    label[5:12, 3:40], label[20:24, 10:44] = 1, 2
    return label


def sample_of(label, image=None, **fields):
    image = label if image is None else image
    return Sample("a", image[None].astype(np.float32), label, **fields)


def rows_of(config, folder, sample, classes=("background", "one", "two"), window=(16, 16)):
    config = replace(config, train=replace(config.train, crop=window))
    score(Fixed(len(classes)), [sample], classes, config, folder)
    return list(csv.DictReader((folder / "scores.csv").open()))


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("shape", [(40, 48), (10, 24, 20)])
def test_windows_are_joined_to_the_whole_image(mirror, shape):
    image = np.random.default_rng(0).integers(0, 3, (1, *shape)).astype(np.float32)
    label = predict(Fixed(), image, (8, 16, 16)[-len(shape) :], 0.5, mirror)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, image[0])


def test_mirroring_in_prediction_is_along_the_allowed_axes_only():
    class Sided(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            side = torch.linspace(-1, 1, x.shape[-1]).expand(x[:, :1].shape)
            return torch.cat([torch.zeros_like(side), side], 1)

    image = np.zeros((1, 16, 16), np.float32)
    label = predict(Sided(), image, (16, 16), 0.0, mirror=True, mirror_axes=(0,))
    assert (label[:, 8:] == 1).all()
    assert not label[:, :8].any()


def test_mirroring_takes_the_mean_of_all_orientations():
    image = np.full((1, 16, 16), 0.4, np.float32)
    tilted = Fixed(2, tilt=1.0)
    assert predict(tilted, image, (16, 16), 0.0).any()
    assert not predict(tilted, image, (16, 16), 0.0, mirror=True).any()


def test_each_class_has_a_row_of_its_own(config, tmp_path, label):
    wrong = label.copy()
    wrong[20:24, 10:20] = 1
    one, two = rows_of(config, tmp_path, sample_of(label, wrong))
    assert [one["class"], two["class"]] == ["one", "two"]
    assert [int(two[name]) for name in COUNTS] == [96, 0, 40, 40 * 48 - 136]
    assert float(two["dice"]) == pytest.approx(2 * 96 / (2 * 96 + 40))
    assert int(one["false_positives"]) == 40
    assert int(one["false_negatives"]) == 0
    assert list(one) == ["image", "class", "region", *metrics_of(2), *COUNTS]


def test_the_field_of_view_is_scored_beside_the_image(config, tmp_path, label):
    view = np.zeros(label.shape, bool)
    view[:, :24] = True
    wrong = label.copy()
    wrong[:, 24:] = 0
    rows = rows_of(config, tmp_path, sample_of(label, wrong, field_of_view=view))
    assert [(row["class"], row["region"]) for row in rows] == [
        ("one", "image"),
        ("two", "image"),
        ("one", "field_of_view"),
        ("two", "field_of_view"),
    ]
    assert [float(row["dice"]) == 1 for row in rows] == [False, False, True, True]
    for row in rows:
        counted = sum(int(row[name]) for name in COUNTS)
        assert counted == (label.size if row["region"] == "image" else view.sum())


def test_ignored_pixels_are_in_no_score(config, tmp_path, label):
    ignore = np.zeros(label.shape, bool)
    ignore[:, 30:] = True
    view = np.ones(label.shape, bool)
    view[:3] = False
    wrong = label.copy()
    wrong[:, 30:] = 2 - wrong[:, 30:]
    odd = label.copy()
    odd[ignore] = 200  # whatever the owners put there
    sample = sample_of(odd, wrong, ignore=ignore, field_of_view=view)
    for row in rows_of(config, tmp_path, sample):
        assert float(row["dice"]) == float(row["cldice"]) == 1
        assert float(row["betti_0_error"]) == float(row["betti_1_error"]) == 0
        inside = ~ignore if row["region"] == "image" else ~ignore & view
        assert sum(int(row[name]) for name in COUNTS) == inside.sum()


def test_a_volume_is_scored_and_saved_with_its_spacing(config, tmp_path):
    label = np.zeros((8, 20, 24), np.uint8)
    label[3:5, 4:9, 2:20] = 1
    sample = sample_of(label, spacing=(3.0, 0.5, 0.5))
    (row,) = rows_of(config, tmp_path, sample, ("background", "vessel"), (8, 16, 16))
    assert float(row["dice"]) == 1
    path = prediction_path(tmp_path, "a", 3)
    np.testing.assert_array_equal(load_label(path, 2), label)
    assert nibabel.load(path).header.get_zooms() == (3.0, 0.5, 0.5)
    before = path.read_bytes()
    save_label(path, label, 2, sample.spacing)
    assert path.read_bytes() == before


def test_a_cavity_of_a_volume_is_a_betti_2_error(config, tmp_path):
    label = np.zeros((8, 16, 16), np.uint8)
    label[1:7, 3:13, 3:13] = 1
    hollow = label.copy()
    hollow[3:5, 6:9, 6:9] = 0
    sample = sample_of(label, hollow)
    (row,) = rows_of(config, tmp_path, sample, ("background", "vessel"), (8, 16, 16))
    assert list(row) == ["image", "class", "region", *METRICS, *COUNTS]
    errors = [float(row[f"betti_{k}_error"]) for k in range(3)]
    assert errors == [0, 0, 1]
    assert float(row["euler_error"]) == 1


@pytest.mark.parametrize(
    ("predicted", "true", "overlap", "missed"),
    [(0, 0, 1, 0), (1, 0, 0, 0), (0, 1, 0, 1)],
)
def test_empty_masks_score_as_the_report_says(label, predicted, true, overlap, missed):
    mask = (label == 1).astype(np.uint8)
    scores = score_classes(mask * predicted, mask * true, None, 2)[1]
    assert scores["dice"] == scores["cldice"] == scores["jaccard"] == overlap
    assert scores["false_negative_rate"] == missed
    assert scores["false_positive_rate"] == pytest.approx(predicted * mask.mean())
    assert scores["betti_0_error"] == abs(predicted - true)


def test_counts_agree_with_the_overlap_scores(label):
    other = np.roll(label, 3, axis=0)
    for values in score_classes(other, label, None, 3).values():
        tp, fp, fn, tn = (values[name] for name in COUNTS)
        assert values["dice"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert values["false_negative_rate"] == pytest.approx(fn / (tp + fn))
        assert values["false_positive_rate"] == pytest.approx(fp / (fp + tn))


def test_labels_of_many_classes_come_back_from_a_png(tmp_path):
    label = np.arange(13, dtype=np.uint8).repeat(4).reshape(4, 13)
    (tmp_path / "predictions").mkdir()
    path = prediction_path(tmp_path, "a")
    save_label(path, label, 13)
    assert path.suffix == ".png"
    np.testing.assert_array_equal(load_label(path, 13), label)
