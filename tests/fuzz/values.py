"""What people, and others, write into files: values of every type, and TOML of them."""

import json
import math
from dataclasses import fields, is_dataclass
from typing import get_type_hints

from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.sampled_from([0, -1, 2**31, 2**63, 10**30, 10**400, 0.0, -0.0, 1e-320, 1e308]),
    st.floats(),
)
LEAVES = st.one_of(
    NUMBERS, st.booleans(), st.text(max_size=20), st.sampled_from(["", "\0", "x" * 5000, "é\n"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def paths(kind, before=()):
    """The dotted keys of all fields of a dataclass and of those inside it."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        yield (*before, field.name)
        if is_dataclass(hints[field.name]):
            yield from paths(hints[field.name], (*before, field.name))


def changed(table, path, value):
    """A copy of nested tables with one value put in."""
    key, *rest = path
    inner = table.get(key, {}) if rest else None
    copy = changed(inner if isinstance(inner, dict) else {}, rest, value) if rest else value
    return {**table, key: copy}


def toml(value):
    """A value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return str(value)


def document(table):
    """Nested dicts as a TOML file."""
    return "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in table.items())
