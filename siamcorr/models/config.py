"""TOML tables into frozen dataclasses, with errors that help.

The dataclass holds the defaults and checks its ranges in __post_init__; here only names and
types are looked at.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def from_mapping(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Make a dataclass from a TOML table; nested dataclasses from nested tables.

    Args:
        cls: a dataclass.
        table: what tomllib read.
        where: file and table, for the error text.

    Raises:
        ValueError: an unknown key (the nearest known one is named), a missing key, a value of
            the wrong type or, by the dataclass's own check, out of range.
    """
    hints = get_type_hints(cls)
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ValueError(f"{where}: unknown key {key!r}, {hint}")
    for name, field in known.items():
        if name not in table and field.default is field.default_factory is MISSING:
            raise ValueError(f"{where}: key {name!r} is missing")
    values = {key: _value(hints[key], value, f"{where}.{key}") for key, value in table.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _value(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) is UnionType:  # of a table that may be left out; TOML knows no None
        kind = get_args(kind)[0]
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{where}: must be a table, got {value!r}")
        return from_mapping(kind, value, where)  # type: ignore[arg-type]
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: must be a list, got {value!r}")
        return tuple(_value(get_args(kind)[0], item, where) for item in value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{where}: must be {kind.__name__}, got {value!r}")
    return value
