"""A wrong config is refused with the field, the value and what is allowed."""

from pathlib import Path

import pytest
import yaml

from experiments.config import from_mapping, load, to_mapping, to_yaml
from experiments.data import SyntheticTubes
from experiments.errors import ConfigError
from experiments.losses import TermsConfig
from experiments.presets import PRESETS

CONFIGS = Path(__file__).resolve().parents[2] / "experiments" / "configs"


RUNS = sorted(set(CONFIGS.glob("*.yaml")) - set(CONFIGS.glob("study_*.yaml")))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_config_in_the_repository_is_valid(path):
    config = load(path)
    assert config.name == path.stem
    assert config.baseline == "dice_ce"


def test_yaml_gives_the_same_config_back(config):
    assert from_mapping(yaml.safe_load(to_yaml(config))) == config


def test_the_data_set_decides_the_fields_of_data(config):
    assert isinstance(config.data, SyntheticTubes)
    assert to_mapping(config)["data"]["count"] == 6


def test_numbers_in_yaml_1_1_notation_are_numbers(mapping):
    mapping["train"]["weight_decay"] = yaml.safe_load("1e-5")
    assert from_mapping(mapping).train.weight_decay == 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"arms": {"a": {"loss": "ce"}, "b": {"loss": "ce", "against": ["x"]}}},
            r"arms.b.against = 'x': no other arm, known: a",
        ),
        ({"trian": {}}, r"unknown field 'trian': did you mean 'train'\?"),
        ({"train": {"iteration": 3}}, r"unknown field 'train.iteration': .*'iterations'"),
        ({"data": {"name": "synthetic_tubes", "cuont": 3}}, r"'data.cuont': .*'count'"),
        ({"data": {"name": "topo_mortar"}}, r"data.name = 'topo_mortar': .*'topomortar'"),
        ({"data": {"folds": 2}}, r"data.name = None: unknown data set"),
        ({"arms": {"a": {"loss": "dice_cel"}}}, r"arms.a.loss = 'dice_cel': .*'dice_ce'"),
        ({"arms": {"a": {}}}, r"missing field 'arms.a.loss'"),
        ({"arms": {}}, r"arms = {}: allowed is names with values"),
        ({"arms": {"a/b": {"loss": "dice_ce"}}}, r"arms.a/b: allowed are letters"),
        ({"train": 3}, r"train: expected fields with values, got 3"),
        ({"train": {"iterations": 0}}, r"train.iterations = 0: allowed is at least 1"),
        ({"train": {"iterations": "many"}}, r"train.iterations = 'many': allowed is an integer"),
        ({"train": {"iterations": 1.5}}, r"train.iterations = 1.5: allowed is an integer"),
        ({"train": {"iterations": True}}, r"train.iterations = True: allowed is an integer"),
        ({"train": {"momentum": 1.5}}, r"train.momentum = 1.5: allowed is 0 to 1"),
        ({"train": {"learning_rate": "x"}}, r"train.learning_rate = 'x': allowed is a number"),
        ({"train": {"learning_rate": float("nan")}}, r"learning_rate = nan: allowed is a number"),
        ({"train": {"crop": [32]}}, r"train.crop = \[32\]: allowed is a list of 2 or 3"),
        ({"train": {"crop": [32] * 4}}, r"train.crop = .*: allowed is a list of 2 or 3"),
        ({"network": {"head_weights": [1, 2]}}, r"head_weights = .* none, or heads \+ 1 = 3 of"),
        ({"network": {"head_weights": [0] * 3}}, r"head_weights = .* of which one is not 0"),
        ({"preset": "nnunet4d"}, r"preset = 'nnunet4d': allowed is one of none, topomortar"),
        ({"arms": {"a": {"loss": "ce", "start": 2}}}, r"arms.a.start = 2.0: allowed is 0 to 1"),
        ({"arms": {"a": {"loss": "ce", "recall": "x"}}}, r"arms.a.recall = 'x': .* linear, log"),
        ({"train": {"crop": 32}}, r"train.crop = 32: allowed is a list"),
        ({"train": {"crop": [30, 32]}}, r"train.crop = \[30, 32\]: allowed are multiples of 4"),
        ({"network": {"filters": [4, 8]}}, r"network.filters has 2 levels: allowed is at least 3"),
        ({"network": {"heads": 3}}, r"network.heads = 3: allowed is at most 2"),
        ({"seeds": []}, r"seeds = \[\]: allowed are one or more"),
        ({"seeds": [1, 1]}, r"seeds = \[1, 1\]: allowed are one or more, all different"),
        ({"seeds": [-1]}, r"seeds\[0\] = -1: allowed is 0 to"),
        ({"device": "tpu"}, r"device = 'tpu': allowed is one of auto, cpu, cuda"),
        ({"augment": {"zoom_range": [2, 1]}}, r"augment.zoom_range = \[2.0, 1.0\]"),
        ({"name": None}, r"name = None: allowed is a text"),
    ],
)
def test_a_wrong_field_is_named(mapping, change, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(mapping | change)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_what_the_file_leaves_out(mapping, preset):
    del mapping["network"], mapping["train"]
    filled = from_mapping(mapping | {"preset": preset, "train": {"batch_size": 7}})
    assert filled.train.batch_size == 7
    assert filled.train.iterations == PRESETS[preset]["train"]["iterations"]
    assert list(filled.network.filters) == PRESETS[preset]["network"]["filters"]
    assert from_mapping(to_mapping(filled)) == filled


def test_the_published_protocol_weighs_its_heads_as_published(mapping):
    del mapping["network"], mapping["train"]
    config = from_mapping(mapping | {"preset": "topomortar"})
    weights = config.network.head_weights
    assert len(weights) == config.network.heads + 1
    assert sum(weights) == pytest.approx((1 + (63 / 127)) / 7)
    assert config.train.crop == (512, 512)
    assert config.terms == TermsConfig(batch=False, background=True, cldice_iterations=3)


@pytest.mark.parametrize(("preset", "batch"), [("nnunet2d", True), ("nnunet3d", False)])
def test_dice_is_of_the_batch_where_nnunets_is(mapping, preset, batch):
    del mapping["network"], mapping["train"]
    assert from_mapping(mapping | {"preset": preset}).terms.batch is batch


def test_a_missing_field_is_named(mapping):
    del mapping["out"]
    with pytest.raises(ConfigError, match="missing field 'out'"):
        from_mapping(mapping)


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "", "\x00"])
def test_what_is_no_config_file_is_refused(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(path)


def test_a_missing_config_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load(tmp_path / "nowhere.yaml")
