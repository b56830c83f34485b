"""The data sets: what they hold, and how they complain."""

import dataclasses
import json

import imageio.v3 as iio
import numpy as np
import pytest
import yaml
from scipy.ndimage import binary_dilation

from experiments.data import (
    DATA_SETS,
    DataConfig,
    Dataset,
    Sample,
    SyntheticTubes,
    TopoMortar,
    splits,
)
from experiments.errors import ConfigError, DataError
from experiments.validation import build

# ---- all of them


@pytest.mark.parametrize("name", sorted(DATA_SETS))
def test_the_fields_of_a_data_set_survive_yaml(name):
    config = build(DataConfig, {"name": name})
    assert DATA_SETS[name].summary
    text = yaml.safe_dump(json.loads(json.dumps(dataclasses.asdict(config))))
    assert build(DataConfig, yaml.safe_load(text)) == config


@pytest.mark.parametrize("name", sorted(DATA_SETS.keys() - {"synthetic_tubes"}))
def test_a_root_that_is_not_there_is_named(name, tmp_path):
    config = build(DataConfig, {"name": name, "root": str(tmp_path / "nowhere")})
    with pytest.raises(DataError, match=r"data.root: there is no folder .*nowhere"):
        config.load()


# ---- synthetic_tubes


def tubes(**fields):
    return SyntheticTubes("synthetic_tubes", **{"count": 5, "size": 64} | fields).load()


def test_tubes_are_the_same_for_the_same_seed():
    for one, two in zip(tubes().samples, tubes().samples, strict=True):
        assert one.id == two.id
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.label, two.label)


def test_tubes_differ_for_another_seed():
    assert (tubes().samples[0].label != tubes(seed=1).samples[0].label).any()


def test_an_image_does_not_depend_on_how_many_are_made():
    np.testing.assert_array_equal(tubes(count=2).samples[1].image, tubes().samples[1].image)


def test_tubes_are_thin_and_present_in_every_image():
    from scipy.ndimage import distance_transform_edt

    for sample in tubes(count=12, size=128).samples:
        assert sample.image.shape == (1, 128, 128)
        assert sample.image.dtype == np.float32
        assert set(np.unique(sample.label)) == {0, 1}
        assert 0.01 < sample.label.mean() < 0.4
        assert sample.image.mean() == pytest.approx(0, abs=1e-4)
        assert sample.image.std() == pytest.approx(1, abs=1e-3)
        # a tube is at most 12 wide; where branches part the mask is wider
        assert np.percentile(distance_transform_edt(sample.label)[sample.label > 0], 90) <= 7


def test_gaps_fade_in_the_image_and_stay_in_the_label():
    whole, gaps = tubes(gaps=0.0, noise=0.0), tubes(gaps=0.6, noise=0.0)
    assert whole.samples[0].label.any()

    def contrast(sample):
        inside = sample.label > 0
        return sample.image[0][inside].mean() - sample.image[0][~inside].mean()

    assert np.mean([contrast(s) for s in gaps.samples]) < np.mean(
        [contrast(s) for s in whole.samples]
    )


@pytest.mark.parametrize("width", [2, 5, 12])
def test_gaps_take_the_stated_share_of_tubes_of_any_width(width, monkeypatch):
    from experiments.data import synthetic_tubes

    shares = []

    def draw(points, contrast, size):
        label, signal = original(points, contrast, size)
        _, whole = original(points, np.full(len(points), contrast.max()), size)
        shares.append((signal < 0.5 * whole)[label > 0].mean())
        return label, signal

    original = synthetic_tubes.draw
    monkeypatch.setattr(synthetic_tubes, "draw", draw)
    tubes(count=24, size=96, widths=(width, width), gaps=0.3)
    assert np.mean(shares) == pytest.approx(0.3, abs=0.04)


def test_background_and_noise_do_not_depend_on_the_gaps():
    for whole, gaps in zip(tubes(gaps=0.0).samples, tubes(gaps=0.3).samples, strict=True):
        far = ~binary_dilation(whole.label > 0, iterations=2)
        # standardised each on its own, so the same but for scale and shift
        assert np.corrcoef(whole.image[0][far], gaps.image[0][far])[0, 1] > 0.999999


@pytest.mark.parametrize("width", [3, 5, 9])
def test_tubes_are_as_wide_as_asked(width):
    from scipy.ndimage import distance_transform_edt

    import tubeskel

    inside = [s.label for s in tubes(size=128, widths=(width, width)).samples]
    local = [2 * distance_transform_edt(x)[tubeskel.skeletonize(x > 0)] - 1 for x in inside]
    assert np.median(np.concatenate(local)) == pytest.approx(width, abs=1)


def test_tubes_of_all_widths_have_the_same_centre_lines():
    thin, thick = tubes(widths=(2, 2)), tubes(widths=(8, 8))
    for one, two in zip(thin.samples, thick.samples, strict=True):
        assert one.label.sum() < two.label.sum()
        assert two.label[one.label > 0].all()


def test_a_lumen_is_a_darker_class_inside_the_wall():
    plain, walled = (
        tubes(widths=(8, 8), gaps=0.0, noise=0.0, distractors=0, lumen=lumen)
        for lumen in (0.0, 0.5)
    )
    assert walled.classes == ("background", "wall", "lumen")
    for whole, sample in zip(plain.samples, walled.samples, strict=True):
        np.testing.assert_array_equal(sample.label > 0, whole.label > 0)
        wall, lumen = sample.label == 1, sample.label == 2
        assert 0.3 < lumen.sum() / (sample.label > 0).sum() < 0.8
        assert sample.image[0][wall].mean() > sample.image[0][lumen].mean()


def test_tubes_in_3d():
    (sample, _) = tubes(count=2, size=32, dimensions=3, widths=(2, 6)).samples
    assert sample.image.shape == (1, 32, 32, 32)
    assert sample.image.std() == pytest.approx(1, abs=1e-3)
    assert 0.01 < sample.label.mean() < 0.2
    inside = sample.label > 0
    assert sample.image[0][inside].mean() > sample.image[0][~inside].mean() + 0.5


def test_widths_in_the_wrong_order_are_refused():
    with pytest.raises(ConfigError, match=r"data.widths = \[5, 3\]"):
        tubes(widths=(5, 3))


# ---- splits


def numbered(count, **split):
    blank = np.zeros((1, 4, 4), np.float32), np.zeros((4, 4), np.uint8)
    return Dataset(tuple(Sample(str(i), *blank) for i in range(count)), ("a", "b"), **split)


def test_folds_test_each_sample_once_and_never_train_on_it():
    parts = splits(numbered(11), 3)
    tested = [sample.id for part in parts for sample in part.test]
    assert sorted(tested, key=int) == [str(i) for i in range(11)]
    for part in parts:
        assert not {s.id for s in part.train} & {s.id for s in part.test}
        assert len(part.train) + len(part.test) == 11
        assert len(part.test) in (3, 4)


def test_the_own_split_is_taken_without_folds():
    (part,) = splits(numbered(4, train=("0", "1"), test=("3",)), 0)
    assert [s.id for s in part.train] == ["0", "1"]
    assert [s.id for s in part.test] == ["3"]


def test_an_own_split_divides_a_group_only_where_that_is_known():
    dataset = numbered(4, train=("0", "1"), test=("2", "3"))
    groups = ("a", "b", "b", "c")
    samples = [
        dataclasses.replace(sample, group=group)
        for sample, group in zip(dataset.samples, groups, strict=True)
    ]
    dataset = dataclasses.replace(dataset, samples=tuple(samples))
    with pytest.raises(DataError, match="the group 'b' is in the training and in the test part"):
        splits(dataset, 0)
    (split,) = splits(dataclasses.replace(dataset, divided_groups=True), 0)
    assert [s.id for s in split.test] == ["2", "3"]


def test_folds_never_divide_a_group():
    blank = np.zeros((1, 4, 4), np.float32), np.zeros((4, 4), np.uint8)
    samples = [Sample(str(i), *blank, group=f"patient{i % 4}") for i in range(12)]
    samples += [Sample("patient1", *blank)]  # its id is no group's name
    parts = splits(Dataset(tuple(samples), ("a", "b")), 5)
    assert sorted(len(part.test) for part in parts) == [1, 3, 3, 3, 3]
    for part in parts:
        assert not {s.group for s in part.train} & {s.group for s in part.test}


@pytest.mark.parametrize("folds", [0, 1, 5])
def test_folds_that_cannot_be_are_refused(folds):
    with pytest.raises(ConfigError, match=f"data.folds = {folds}"):
        splits(numbered(4), folds)


# ---- topomortar


@pytest.fixture
def topomortar(tmp_path):
    root = tmp_path / "TopoMortar"
    split = {"train": ["001", "002"], "val": ["003"], "test": ["004", "005"]}
    names = {part: [f"dataset/{part}/images/{i}.png" for i in ids] for part, ids in split.items()}
    rows = ["ID,group"]
    for part, ids in split.items():
        for kind in ("images", "accurate", "noisy"):
            (root / part / kind).mkdir(parents=True)
        for i in ids:
            iio.imwrite(root / part / "images" / f"{i}.png", np.full((16, 16, 3), 9, np.uint8))
            for kind, row in (("accurate", 3), ("noisy", 5)):
                mask = np.zeros((16, 16), np.uint8)
                mask[row] = 255
                iio.imwrite(root / part / kind / f"{i}.png", mask)
            rows.append(f"{i},{'shadows' if i == '005' else 'indistr'}")
    (root / "splits.yaml").write_text(yaml.safe_dump({1: names}))
    (root / "dataset_types.txt").write_text("\n".join(rows) + "\n")
    return root


def test_topomortar_follows_its_split_and_group(topomortar):
    dataset = TopoMortar("topomortar", root=str(topomortar)).load()
    assert dataset.train == ("001", "002")
    assert dataset.test == ("004",)
    assert dataset.samples[0].image.shape == (3, 16, 16)
    assert dataset.samples[0].label[3].all()
    assert dataset.samples[0].label.sum() == 16


def test_topomortar_trains_on_noisy_and_scores_on_accurate_labels(topomortar):
    dataset = TopoMortar("topomortar", root=str(topomortar), labels="noisy").load()
    assert dataset.samples[0].label[5].all()
    assert dataset.samples[2].label[3].all()


@pytest.mark.parametrize(
    "name",
    ["splits.yaml", "dataset_types.txt", "train/images/002.png", "test/accurate/004.png"],
)
def test_topomortar_names_a_missing_file(topomortar, name):
    (topomortar / name).unlink()
    with pytest.raises(DataError, match=f"missing file: .*{name}"):
        TopoMortar("topomortar", root=str(topomortar)).load()


def test_topomortar_refuses_other_mask_values(topomortar):
    iio.imwrite(topomortar / "train/accurate/001.png", np.full((16, 16), 7, np.uint8))
    with pytest.raises(DataError, match=r"001\.png has values other than 0 and 255"):
        TopoMortar("topomortar", root=str(topomortar)).load()


@pytest.mark.parametrize("field", [{"split": "2"}, {"group": "colours"}])
def test_topomortar_names_an_unknown_split_or_group(topomortar, field):
    (value,) = field.values()
    with pytest.raises(DataError, match=value):
        TopoMortar("topomortar", root=str(topomortar), **field).load()


@pytest.mark.parametrize("text", ["1: [", "3", "1: {train: [x/1.png]}"])
def test_topomortar_refuses_a_split_file_that_is_none(topomortar, text):
    (topomortar / "splits.yaml").write_text(text)
    with pytest.raises(DataError, match=r"splits\.yaml has no split '1'"):
        TopoMortar("topomortar", root=str(topomortar)).load()
