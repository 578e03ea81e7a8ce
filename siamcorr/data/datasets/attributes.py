"""What is said of a sequence or of its frames: occluded, blurred, out of view, ...

Flags of frames come from files of numbers, one a frame. What is said of a whole sequence comes
from the file that a layout names, in one of the forms that benchmarks publish it in.
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
# The order of the flags in each benchmark's files, as its own toolkit reads them.
LASOT = ("IV", "POC", "DEF", "MB", "CM", "ROT", "BC", "VC", "SV", "FOC", "FM", "OV", "LR", "ARC")
OTB = ("IV", "OPR", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OV", "BC", "LR")
UAV123 = ("SV", "ARC", "LR", "FM", "FOC", "POC", "OV", "BC", "IV", "VC", "CM", "SOB")
GOT10K = ("root_class", "motion_class")  # of what meta_info.ini says

FULLY_SEEN = 8  # the highest level in GOT-10k's cover.label


class About(NamedTuple):
    """The file that says something of a whole sequence.

    path: of the file, in one of the forms that `read_about` knows.
    columns: codes of `NAMES` in the order of the file's flags, or the keys of an .ini that count.
    keys: where the file has a line a sequence, what that line may begin with, in lower case.
    """

    path: Path
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()


def read_about(about: About) -> dict[str, bool]:
    """What holds for a sequence, by name; nothing where the file has no line for it.

    The file has a flag (0 or 1) for each of the columns; or the codes of those that hold; or a
    line that begins with the sequence's name and goes on with codes; or lines "key: value", whose
    values become names such as "root_class: animal".

    Raises:
        OSError: the file cannot be read.
        ValueError: an unknown code, or as many flags as there are no columns.
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
    """Attributes of a sequence of so many frames: flags of frames, or one for all of them.

    Args:
        levels: numbers of frames by what they say; above 0 means that it holds. GOT-10k's cover
            has levels of what is seen, and becomes "occlusion": seen in part.
        about: what is said of the whole sequence.
        count: of frames; flags are cut to it, or filled up.

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
            name, held = "occlusion", tuple(0 < value < FULLY_SEEN for value in values)
        flags[name] = held if len(held) == 1 else (*held, *[False] * count)[:count]
    if about is not None:
        flags |= {name: (holds,) for name, holds in read_about(about).items()}
    return flags


def _flags(about: About, parts: list[str]) -> dict[str, bool]:
    """By name, from flags or from codes."""
    name, columns = about.path.name, about.columns
    if set(parts) <= {"0", "1"} and parts:
        if len(parts) != len(columns):
            raise ValueError(f"{name}: must have {len(columns)} flags, got {len(parts)}")
        return {NAMES[code]: part == "1" for code, part in zip(columns, parts, strict=True)}
    unknown = sorted(set(parts) - set(columns))
    if unknown:
        raise ValueError(f"{name}: must be of {', '.join(columns)}, got {unknown[0][:40]!r}")
    return {NAMES[code]: code in parts for code in columns}
