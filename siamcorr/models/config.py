"""Convert TOML tables to frozen dataclasses, with helpful error texts.

The dataclass holds the defaults and checks ranges in __post_init__; this module checks only names
and types.
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

MAX_BYTES = 1 << 20  # of a file
MAX_DOTS = 1000  # in a line; the parser takes minutes for a key of thousands of parts
MAX_ITEMS = 1000  # of a list
MAX_LETTERS = 4096  # of a text
LARGEST = 10**9  # absolute value of a number; no setting needs more


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file as nested dicts.

    Raises:
        OSError: the file cannot be read.
        ValueError: not TOML, or larger than MAX_BYTES.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path}: larger than the {MAX_BYTES} bytes that a config may have")
    if any(line.count(b".") > MAX_DOTS for line in content.splitlines()):
        raise ValueError(f"{path}: tables or lists nested too deep")
    try:
        return tomllib.loads(content.decode())
    except RecursionError:
        raise ValueError(f"{path}: tables or lists nested too deep") from None
    except ValueError as error:  # not UTF-8, not TOML, or a number of thousands of digits
        raise ValueError(f"{path}: {shorten(str(error))}") from None


def shorten(text: str, most: int = 200) -> str:
    """Cut a text to a length that fits an error message."""
    return text if len(text) <= most else f"{text[:most]}..."


def show(value: object) -> str:
    """Format a value for an error message; long or deep values are cut."""
    try:
        return shorten(reprlib.repr(value))
    except ValueError:  # Python prints no integers of thousands of digits
        return "a huge number"


def from_mapping(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Build a dataclass from a TOML table, and nested dataclasses from nested tables.

    Args:
        cls: a dataclass.
        table: the table that tomllib read.
        where: file and table, for the error text.

    Raises:
        ValueError: an unknown key (the text names the nearest known one), a missing key, a value
            of the wrong type, or a value that the dataclass refuses.
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
    if get_origin(kind) is UnionType:  # an optional table, `X | None`; TOML has no None
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
        if len(value) > MAX_ITEMS:
            raise ValueError(f"{where}: must have at most {MAX_ITEMS} items, got {len(value)}")
        return tuple(_value(get_args(kind)[0], item, where) for item in value)
    if kind is float and type(value) is int and abs(value) <= LARGEST:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{where}: must be {kind.__name__}, got {show(value)}")
    if isinstance(value, str) and (len(value) > MAX_LETTERS or "\0" in value):
        raise ValueError(f"{where}: must be a short text, got {show(value)}")
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= LARGEST):
        raise ValueError(f"{where}: must lie in -{LARGEST:g}..{LARGEST:g}, got {show(value)}")
    return value
