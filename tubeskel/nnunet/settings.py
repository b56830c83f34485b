"""What a user can set: from the environment, or a file beside nnU-Net's plans."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .._arguments import as_choice, as_flag, as_integer, as_number
from ..losses.deep_supervision import LOWER_TUBES
from ..losses.dice_ce_srl import RECALLS

PREFIX = "TUBESKEL_"
FILE = "tubeskel.yaml"


@dataclass(frozen=True)
class Settings:
    """Settings of the loss; the defaults are those of the Skeleton Recall Loss's authors.

    Attributes
    ----------
    alpha : float
        Weight of the recall, or of the soft clDice; at least 0.
    radius : int
        Of the tube, in pixels; at least 0.
    per_class : bool
        Make a tube of each class by itself instead of one of their union.
    recall : {"linear", "log", "cross_entropy", "tversky"}
        Form of the recall, as in `tubeskel.dice_ce_srl_loss`.
    classes : {"all", "present"}
        The classes that recall is averaged over: all but the background, where an absent one has
        recall 1, or those that have tube pixels in the batch.
    lower_tubes : {"skeletonize", "max_pool", "none"}
        Tubes of the lower resolutions, as in `tubeskel.DeepSupervision`. "max_pool" is not for soft
        clDice.
    iterations : int
        Of the soft skeleton of soft clDice; at least 0.

    Raises
    ------
    TypeError, ValueError
        If a value is of a wrong type or out of its range.
    """

    alpha: float = 1.0
    radius: int = 2
    per_class: bool = False
    recall: str = "linear"
    classes: str = "all"
    lower_tubes: str = "skeletonize"
    iterations: int = 10

    def __post_init__(self) -> None:
        as_number("alpha", self.alpha, minimum=0)
        as_integer("radius", self.radius, minimum=0)
        as_flag("per_class", self.per_class)
        as_choice("recall", self.recall, RECALLS)
        as_choice("classes", self.classes, ("all", "present"))
        as_choice("lower_tubes", self.lower_tubes, LOWER_TUBES)
        as_integer("iterations", self.iterations, minimum=0)


def load_settings(folder: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of a training.

    Parameters
    ----------
    folder : Path, optional
        Where nnU-Net's plans lie; its file ``tubeskel.yaml``, if there is one, is read.
    environment : mapping
        ``TUBESKEL_ALPHA``, ``TUBESKEL_RADIUS`` and so on; they win over the file.

    Returns
    -------
    Settings

    Raises
    ------
    ValueError
        If a setting is unknown, cannot be read or is not allowed; the message says where it stands.

    Examples
    --------
    >>> from tubeskel.nnunet import load_settings
    >>> load_settings(None, {"TUBESKEL_ALPHA": "0.5", "TUBESKEL_RECALL": "log"}).recall
    'log'
    """
    path = None if folder is None else Path(folder) / FILE
    values = _read(path) if path is not None and path.is_file() else {}
    _check(values, str(path))
    variables = {
        field.name: _parsed(PREFIX + field.name.upper(), str(field.type), text)
        for field in fields(Settings)
        if (text := environment.get(PREFIX + field.name.upper(), "").strip())
    }
    _check(variables, "the environment")
    return Settings(**{**values, **variables})


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold lines like 'alpha: 1.0', got {values!r}")
    names = [field.name for field in fields(Settings)]
    for name in values:
        if name not in names:
            raise ValueError(f"{path}: there is no setting {name!r}; there are {', '.join(names)}")
    return values


def _parsed(variable: str, kind: str, text: str) -> Any:
    flags = {"1": True, "true": True, "0": False, "false": False}
    parsers: dict[str, tuple[Callable[[str], Any], str]] = {
        "float": (float, "a number"),
        "int": (int, "an integer"),
        "bool": (lambda text: flags[text.lower()], "true, false, 1 or 0"),
        "str": (str, "a text"),
    }
    parse, allowed = parsers[kind]
    try:
        return parse(text)
    except (ValueError, KeyError):
        raise ValueError(f"{variable} must be {allowed}, got {text!r}") from None


def _check(values: dict[str, Any], where: str) -> None:
    try:
        Settings(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None
