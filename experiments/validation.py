"""Mappings, as YAML gives them, to typed dataclasses, with errors that name the field.

The rules are read from the annotations: ``Annotated[int, Range(1)]`` is an integer of at least 1.
A dataclass with a ``resolve(mapping)`` class method chooses which of its subclasses a mapping is.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from experiments.errors import ConfigError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Range:
    """Closed interval of allowed numbers, for use inside ``typing.Annotated``."""

    minimum: float = -math.inf
    maximum: float = math.inf

    def __str__(self) -> str:
        if math.isinf(self.maximum):
            return f"at least {self.minimum:g}"
        return f"{self.minimum:g} to {self.maximum:g}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a half-sentence with the known name most like `name`, or with all of them."""
    known = sorted(known)
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean '{match[0]}'?" if match else f"known: {', '.join(known)}"


def build(cls: type[T], mapping: object, where: str = "") -> T:
    """Make the dataclass `cls` from a mapping, checking names, types and ranges.

    Parameters
    ----------
    cls : type
        A dataclass; nested dataclasses, tuples, dicts, ``Literal`` and ``Annotated`` are followed.
    mapping : Mapping
        Field names to values.
    where : str, optional
        Dotted name of this mapping, for error messages.

    Raises
    ------
    ConfigError
        If a field is unknown or missing, or a value has a wrong type or is out of its range.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{where or 'config'}: expected fields with values, got {mapping!r}")
    resolve = getattr(cls, "resolve", None)
    if resolve is not None:
        cls = resolve(mapping, where)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    prefix = f"{where}." if where else ""
    for name in mapping:
        if name not in fields:
            raise ConfigError(f"unknown field '{prefix}{name}': {nearest(str(name), fields)}")
    hints = typing.get_type_hints(cls, include_extras=True)
    values = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = convert(mapping[name], hints[name], prefix + name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"missing field '{prefix}{name}'")
    return cls(**values)


def convert(value: Any, hint: Any, where: str) -> Any:
    """Check `value` against the annotation `hint` and return it in that type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _convert_annotated(value, arguments, where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return convert(value, next(a for a in arguments if a is not type(None)), where)
    if origin is typing.Literal:
        if value not in arguments:
            raise _wrong(where, value, "one of " + ", ".join(map(str, arguments)))
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _wrong(where, value, "a list")
        if arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise _wrong(where, value, f"a list of {len(arguments)}")
        return tuple(convert(item, arguments[0], f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping) or not value:
            raise _wrong(where, value, "names with values, at least one")
        return {str(k): convert(item, arguments[1], f"{where}.{k}") for k, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    return _convert_scalar(value, hint, where)


def _convert_annotated(value: Any, arguments: tuple[Any, ...], where: str) -> Any:
    result = convert(value, arguments[0], where)
    for rule in arguments[1:]:
        in_range = not isinstance(rule, Range) or rule.minimum <= result <= rule.maximum
        if not in_range:
            raise _wrong(where, result, str(rule))
    return result


def _convert_scalar(value: Any, hint: type, where: str) -> Any:
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float and not isinstance(value, bool):
        try:
            number = float(value)  # YAML 1.1 reads 1e-5 as a string
        except (TypeError, ValueError):
            number = math.nan
        if math.isfinite(number):
            return number
    if hint is str and isinstance(value, str) and value:
        return value
    names = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
    raise _wrong(where, value, names[hint])


def _wrong(where: str, value: object, allowed: str) -> ConfigError:
    return ConfigError(f"{where} = {value!r}: allowed is {allowed}")
