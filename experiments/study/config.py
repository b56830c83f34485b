"""What a study is: a run config with several data sets, expanded into one run for each.

``data_sets`` stands in place of ``data``; each of its entries has ``data`` and whatever of the
other fields shall differ from those shared::

    name: vessels
    out: runs/vessels
    arms: {dice_ce: {loss: dice_ce}, dice_ce_srl: {loss: dice_ce_srl}}
    seeds: [0, 1, 2]
    train: {iterations: 1000}
    data_sets:
      wide: {data: {name: synthetic_tubes, count: 40}}
      thin: {data: {name: synthetic_tubes, gaps: 0.3}, train: {iterations: 2000}}

Mappings are merged, field by field; anything else takes the place of what is shared, and null
takes a shared entry (an arm, say) away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.config import Config, from_mapping, read_yaml
from experiments.errors import ConfigError


@dataclass(frozen=True)
class Study:
    """A study: its runs are one config for each data set, in the folder `out` below its name."""

    name: str
    out: Path
    runs: tuple[Config, ...]


def load(path: Path) -> Study:
    """Read and check the YAML of a study.

    Raises
    ------
    ConfigError
        If the file is missing, is no YAML, or a field of a run is wrong.
    """
    shared = read_yaml(path)
    if not isinstance(shared, Mapping):
        raise ConfigError(f"{path}: expected fields with values, got {shared!r}")
    shared = dict(shared)
    entries = shared.pop("data_sets", None)
    if not isinstance(entries, Mapping) or not entries:
        raise ConfigError(f"{path}: data_sets names each data set of a study, at least one")
    if "data" in shared:
        raise ConfigError(f"{path}: data stands below each entry of data_sets in a study")
    for name in ("name", "out"):
        if not isinstance(shared.get(name), str) or not shared[name]:
            raise ConfigError(f"{name} = {shared.get(name)!r}: allowed is a text")
    runs = tuple(expand(shared, str(name), entry) for name, entry in entries.items())
    return Study(shared["name"], Path(shared["out"]), runs)


def expand(shared: Mapping[str, Any], name: str, entry: object) -> Config:
    """Return the run of one entry of ``data_sets``."""
    where = f"data_sets.{name}"
    if not name.replace("_", "").replace("-", "").isalnum():
        raise ConfigError(f"{where}: allowed are letters, digits, '-' and '_'")
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{where} = {entry!r}: allowed is data with other fields of a run")
    if {"name", "out"} & entry.keys():
        raise ConfigError(f"{where}: name and out are those of the study")
    own = {"name": name, "out": str(Path(shared["out"]) / name)}
    try:
        return from_mapping(merge(shared, entry) | own)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def merge(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return `shared` with the entries of `own`, mappings merged and those of null left out."""
    merged = dict(shared)
    for name, value in own.items():
        if isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = merge(merged[name], value)
        else:
            merged[name] = value
    return {name: value for name, value in merged.items() if value is not None}
