"""What a run is: one YAML file, read into these dataclasses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from experiments.data import DataConfig
from experiments.errors import ConfigError
from experiments.losses import LOSSES, TermsConfig
from experiments.presets import Preset, fill
from experiments.validation import Range, build, nearest

Probability = Annotated[float, Range(0, 1)]
Interval = tuple[Annotated[float, Range(0.1, 10)], Annotated[float, Range(0.1, 10)]]


@dataclass(frozen=True)
class ArmConfig:
    """One arm of the comparison; arms differ in nothing but these fields."""

    loss: str
    """name of the loss, see `python -m experiments list`"""
    scale: Annotated[float, Range(0)] = 1.0
    """factor of the whole loss"""
    alpha: Annotated[float, Range(0)] = 1.0
    """weight of the topology term: Skeleton Recall, or clDice"""
    start: Probability = 0.0
    """share of the training before the topology term acts"""
    recall: Literal["linear", "log", "cross_entropy", "tversky"] = "linear"
    """form of the recall term; linear is the Skeleton Recall Loss"""
    radius: Annotated[int, Range(0)] = 2
    """radius of the tube around the skeleton, in pixels"""
    per_class: bool = False
    """whether each class has a skeleton of its own, or all of them one of their union"""
    tube_from: Literal["skeleton", "mask"] = "skeleton"
    """what is to be recalled: the tube around the skeleton, or (a control) the whole mask"""
    deep_supervision: bool = True
    """whether the loss sees the network's heads, or its output alone"""
    lower_tubes: Literal["skeletonize", "max_pool", "none"] = "skeletonize"
    """how heads of a lower resolution get a tube; none: recall at full resolution only"""
    against: tuple[str, ...] = ()
    """arms with which the report compares this one; none given: the baseline"""


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the U-Net (MONAI's DynUNet)."""

    filters: tuple[Annotated[int, Range(1)], ...] = (8, 16, 32, 64)
    """channels of each level, which halves the resolution of the one before; none given: sized by
    crop and spacing as nnU-Net does, from `width` channels on"""
    width: Annotated[int, Range(1)] = 32
    """channels of the first level where `filters` is empty; doubled up to 16 (3D: 10) fold"""
    heads: Annotated[int, Range(0)] | None = 2
    """deep supervision heads beside the output; 0 turns deep supervision off, none takes all but
    the lowest, to which nnU-Net gives no weight"""
    head_size: Literal["full", "own"] = "full"
    """whether heads are enlarged to the labels' resolution, or compared at their own"""
    head_weights: tuple[Annotated[float, Range(0)], ...] = ()
    """weights of the output and each head; none given: 1, 1/2, 1/4, ..., divided by their sum"""


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation: SGD with Nesterov momentum and a polynomial schedule."""

    iterations: Annotated[int, Range(1)] = 300
    batch_size: Annotated[int, Range(1)] = 4
    crop: tuple[Annotated[int, Range(4)], ...] = (96, 96)
    """size of a training crop, in pixels: height and width, for volumes depth first"""
    foreground: Probability = 0.0
    """share of crops that are centred on a pixel of some foreground class"""
    learning_rate: Annotated[float, Range(0)] = 0.01
    momentum: Annotated[float, Range(0, 1)] = 0.99
    weight_decay: Annotated[float, Range(0)] = 3e-5
    gradient_clip: Annotated[float, Range(0)] = 12.0
    """largest norm of the gradient"""
    compile: bool = False
    """whether torch.compile makes the kernels of the network, which takes a minute at the start"""
    log_every: Annotated[int, Range(1)] = 10
    checkpoint_every: Annotated[int, Range(1)] = 100


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of each crop: probabilities, and how far."""

    flip: Probability = 0.5
    """probability of mirroring, for each axis"""
    rotate: Probability = 0.2
    """probability of a rotation by any angle"""
    zoom: Probability = 0.2
    """probability of a zoom"""
    zoom_range: Interval = (0.7, 1.4)
    noise: Probability = 0.1
    """probability of Gaussian noise, standard deviation up to 0.1"""
    smooth: Probability = 0.0
    """probability of Gaussian smoothing, standard deviation 0.5 to 1 pixel"""
    contrast: Probability = 0.15
    """probability of a contrast change by up to 25 %"""
    contrast_keeps_range: bool = False
    """whether a contrast change clips to the image's range before it"""
    brightness: Probability = 0.15
    """probability of a brightness change by up to 0.25 standard deviations"""
    scale: Probability = 0.0
    """probability of a multiplication by 0.75 to 1.25"""
    low_resolution: Probability = 0.0
    """probability of a resolution lowered to 0.5 to 1 of the true one"""
    gamma: Probability = 0.0
    """probability of a gamma correction by 0.7 to 1.5"""
    gamma_inverted: Probability = 0.0
    """probability of a gamma correction of the inverted image"""


@dataclass(frozen=True)
class GradientsConfig:
    """Gradient analysis during the training."""

    every: Annotated[int, Range(0)] = 0
    """iterations from one look at the gradients of each term to the next; 0: none"""


@dataclass(frozen=True)
class Config:
    """A run: every arm is trained on every fold with every seed, then scored."""

    name: str
    out: str
    """the run folder"""
    data: DataConfig
    arms: dict[str, ArmConfig]
    """the arms by name; the first is the baseline"""
    preset: Preset = "none"
    """where values come from that the file does not give, see `experiments.presets`"""
    seeds: tuple[Annotated[int, Range(0, 2**32 - 1)], ...] = (0,)
    terms: TermsConfig = field(default_factory=TermsConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    gradients: GradientsConfig = field(default_factory=GradientsConfig)
    overlap: Annotated[float, Range(0, 0.9)] = 0.5
    """overlap of neighbouring windows (of the crop's size) in prediction"""
    mirror: bool = False
    """whether a prediction is the mean over all mirrored images"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Range(0)] = 0
    """threads of PyTorch on the CPU; 0 leaves its default"""

    @property
    def baseline(self) -> str:
        """The first arm, against which the others are compared."""
        return next(iter(self.arms))


def load(path: Path) -> Config:
    """Read and check a YAML config.

    Raises
    ------
    ConfigError
        If the file is missing, is no YAML, or a field is wrong.
    """
    return from_mapping(read_yaml(path))


def read_yaml(path: Path) -> object:
    """Read a YAML file; raise ConfigError if it is missing or no YAML."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read config {path}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def from_mapping(mapping: object) -> Config:
    """Make a checked `Config` from plain data (see `to_mapping`)."""
    config = build(Config, fill(mapping))
    _check(config)
    return config


def to_mapping(config: Config) -> dict[str, Any]:
    """Return the config as plain dicts, lists, texts and numbers: what YAML can hold."""
    return _plain(dataclasses.asdict(config))


def to_yaml(config: Config) -> str:
    """Return the resolved config as YAML, fields in their order of declaration."""
    return yaml.safe_dump(to_mapping(config), sort_keys=False, allow_unicode=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _check(config: Config) -> None:
    """Check what concerns more than one field."""
    for name, arm in config.arms.items():
        if arm.loss not in LOSSES:
            hint = nearest(arm.loss, LOSSES)
            raise ConfigError(f"arms.{name}.loss = {arm.loss!r}: unknown loss, {hint}")
        if not name.replace("_", "").replace("-", "").isalnum():
            raise ConfigError(f"arms.{name}: allowed are letters, digits, '-' and '_'")
        for other in arm.against:
            if other not in config.arms or other == name:
                hint = nearest(other, config.arms.keys() - {name})
                raise ConfigError(f"arms.{name}.against = {other!r}: no other arm, {hint}")
    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise ConfigError(f"seeds = {list(config.seeds)}: allowed are one or more, all different")
    _check_network(config.network, config.train.crop)
    if config.augment.zoom_range[0] > config.augment.zoom_range[1]:
        raise ConfigError(
            f"augment.zoom_range = {list(config.augment.zoom_range)}: allowed is low, high"
        )


def _check_network(network: NetworkConfig, crop: tuple[int, ...]) -> None:
    if len(crop) not in (2, 3):
        raise ConfigError(f"train.crop = {list(crop)}: allowed is a list of 2 or 3")
    heads, weights = network.heads or 0, network.head_weights
    if weights and (len(weights) != heads + 1 or not any(weights)):
        raise ConfigError(
            f"network.head_weights = {list(weights)}: allowed are none, or heads + 1 = {heads + 1} "
            "of which one is not 0"
        )
    if not network.filters:
        return  # sized by what the data set gives, and checked there
    levels = len(network.filters)
    if levels < 3:
        raise ConfigError(f"network.filters has {levels} levels: allowed is at least 3")
    if heads > levels - 2:
        raise ConfigError(
            f"network.heads = {heads}: allowed is at most {levels - 2} with {levels} levels"
        )
    factor = 2 ** (levels - 1)
    for size in crop:
        if size % factor or size < 2 * factor:
            raise ConfigError(
                f"train.crop = {list(crop)}: allowed are multiples of {factor} "
                f"from {2 * factor} on, with {levels} levels"
            )
