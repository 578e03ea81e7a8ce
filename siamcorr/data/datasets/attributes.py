"""Attributes of sequences and frames: occlusion, motion blur, out of view, ...

Attributes of frames come from files with one number per frame. Attributes of a whole sequence come
from a file that the layout names, in the format of its benchmark.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

Flags = dict[str, tuple[bool, ...]]

NAMES = {
    "ARC": "aspect ratio change",
    "BC": "background clutter",
    "CM": "camera motion",
    "DEF": "deformation",
    "FM": "fast motion",
    "FOC": "full occlusion",
    "IPR": "in-plane rotation",
    "IV": "illumination variation",
    "LR": "low resolution",
    "MB": "motion blur",
    "OCC": "occlusion",
    "OPR": "out-of-plane rotation",
    "OV": "out of view",
    "POC": "partial occlusion",
    "ROT": "rotation",
    "SOB": "similar object",
    "SV": "scale variation",
    "VC": "viewpoint change",
}
# Order of the flags in each benchmark's files, as its toolkit reads them.
LASOT = ("IV", "POC", "DEF", "MB", "CM", "ROT", "BC", "VC", "SV", "FOC", "FM", "OV", "LR", "ARC")
OTB = ("IV", "OPR", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OV", "BC", "LR")
UAV123 = ("SV", "ARC", "LR", "FM", "FOC", "POC", "OV", "BC", "IV", "VC", "CM", "SOB")
GOT10K = ("root_class", "motion_class")  # keys of meta_info.ini

FULLY_VISIBLE = 8  # the highest level in GOT-10k's cover.label


class About(NamedTuple):
    """A file with attributes of a whole sequence.

    path: of the file; for its formats see `read_about`.
    columns: codes of `NAMES` in the order of the file's flags, or the keys of an .ini to read.
    keys: for files with one line per sequence: possible first words of that line, in lower case.
    """

    path: Path
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()


def read_about(about: About) -> dict[str, bool]:
    """Read the attributes of a sequence, by name; empty if the file has no line for it.

    The file has a flag (0 or 1) for each column; or the codes of the attributes that are set; or
    one line per sequence with its name and its codes; or lines "key: value", which become names
    such as "root_class: animal".

    Raises:
        OSError: the file cannot be read.
        ValueError: an unknown code, or another number of flags than columns.
    """
    text = about.path.read_text(encoding="utf-8-sig")
    if about.path.suffix == ".ini":
        pairs = (line.partition(":") for line in text.splitlines())
        values = {key.strip(): value.strip() for key, _, value in pairs}
        return {f"{key}: {values[key]}": True for key in about.columns if values.get(key)}
    if about.keys:
        lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
        rests = {line[0].lower(): "".join(line[1:]) for line in lines}
        found = [rests[key] for key in about.keys if key in rests]
        if not found:
            return {}
        text = found[0]
    return _flags(about, [part for part in re.split(r"[,;\s]+", text) if part])


def attributes_of(
    levels: Mapping[str, tuple[float, ...]], about: About | None, count: int
) -> Flags:
    """Attributes of a sequence: one flag per frame, or a single one for all of them.

    Args:
        levels: by attribute, one number per frame; above 0 sets the flag. GOT-10k's cover is the
            level of visibility, and becomes "occlusion": partly visible.
        about: file with attributes of the whole sequence.
        count: number of frames; flags are cut to it, or filled up with False.

    Raises:
        OSError, ValueError: see `read_about`.

    Example:
        >>> attributes_of({"blur": (0, 1), "cover": (8, 3, 0)}, None, 3)
        {'blur': (False, True, False), 'occlusion': (False, True, False)}
    """
    flags: Flags = {}
    for name, values in levels.items():
        held = tuple(value > 0 for value in values)
        if name == "cover":
            name, held = "occlusion", tuple(0 < value < FULLY_VISIBLE for value in values)
        flags[name] = held if len(held) == 1 else (*held, *[False] * count)[:count]
    if about is not None:
        flags |= {name: (holds,) for name, holds in read_about(about).items()}
    return flags


def _flags(about: About, parts: list[str]) -> dict[str, bool]:
    """Attributes by name, from flags or from codes."""
    name, columns = about.path.name, about.columns
    if set(parts) <= {"0", "1"} and parts:
        if len(parts) != len(columns):
            raise ValueError(f"{name}: must have {len(columns)} flags, got {len(parts)}")
        return {NAMES[code]: part == "1" for code, part in zip(columns, parts, strict=True)}
    unknown = sorted(set(parts) - set(columns))
    if unknown:
        raise ValueError(f"{name}: must be of {', '.join(columns)}, got {unknown[0][:40]!r}")
    return {NAMES[code]: code in parts for code in columns}
