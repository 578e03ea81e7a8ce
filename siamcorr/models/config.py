"""TOML tables into frozen dataclasses, with errors that help.

The dataclass holds the defaults and checks its ranges in __post_init__; here only names and
types are looked at.
"""

import math
import reprlib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

MOST_BYTES = 1 << 20  # of a file
MOST_DOTS = 1000  # in a line; the parser takes minutes for a key of thousands of parts
MOST_ITEMS = 1000  # of a list
MOST_LETTERS = 4096  # of a text
LARGEST = 10**9  # of a number, either way; nothing here counts or measures more


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as nested dicts.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no TOML, or too much of it.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path}: larger than the {MOST_BYTES} bytes that a config may have")
    if any(line.count(b".") > MOST_DOTS for line in content.splitlines()):
        raise ValueError(f"{path}: tables or lists nested too deep")
    try:
        return tomllib.loads(content.decode())
    except RecursionError:
        raise ValueError(f"{path}: tables or lists nested too deep") from None
    except ValueError as error:  # no UTF-8, no TOML, or a number of thousands of digits
        raise ValueError(f"{path}: {shorten(str(error))}") from None


def shorten(text: str, most: int = 200) -> str:
    """A text that fits an error message."""
    return text if len(text) <= most else f"{text[:most]}..."


def show(value: object) -> str:
    """A value as an error message shows it: of what is long or deep only the beginning."""
    try:
        return shorten(reprlib.repr(value))
    except ValueError:  # Python prints no integers of thousands of digits
        return "a huge number"


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
            near = get_close_matches(key[:80], known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ValueError(f"{where}: unknown key {show(key)}, {hint}")
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
            raise ValueError(f"{where}: must be a table, got {show(value)}")
        return from_mapping(kind, value, where)  # type: ignore[arg-type]
    if get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where}: must be a table, got {show(value)}")
        inside = get_args(kind)[1]
        return {key: _value(inside, item, f"{where}.{key}") for key, item in value.items()}
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: must be a list, got {show(value)}")
        if len(value) > MOST_ITEMS:
            raise ValueError(f"{where}: must have at most {MOST_ITEMS} items, got {len(value)}")
        return tuple(_value(get_args(kind)[0], item, where) for item in value)
    if kind is float and type(value) is int and abs(value) <= LARGEST:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{where}: must be {kind.__name__}, got {show(value)}")
    if isinstance(value, str) and (len(value) > MOST_LETTERS or "\0" in value):
        raise ValueError(f"{where}: must be a short text, got {show(value)}")
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= LARGEST):
        raise ValueError(f"{where}: must lie in -{LARGEST:g}..{LARGEST:g}, got {show(value)}")
    return value
