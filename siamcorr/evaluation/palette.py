"""One colour per tracker for all images of a report; the ground truth is white."""

import colorsys
from collections.abc import Iterable

Color = tuple[int, int, int]

TRUTH: Color = (255, 255, 255)
FIRST: tuple[Color, ...] = (
    (214, 39, 40),
    (31, 119, 210),
    (44, 160, 44),
    (255, 140, 0),
    (148, 80, 200),
    (0, 175, 185),
    (227, 90, 180),
    (140, 86, 55),
)
TURN = 0.381966  # of the hue circle: multiples of the golden angle never repeat


def tracker_colors(names: Iterable[str]) -> dict[str, Color]:
    """Return RGB 0..255 by tracker, in the order of the names.

    Example:
        >>> tracker_colors(["ours", "theirs"])
        {'ours': (214, 39, 40), 'theirs': (31, 119, 210)}
    """
    return {name: _color(index) for index, name in enumerate(dict.fromkeys(names))}


def hex_color(color: Color) -> str:
    """Return the colour in HTML's and matplotlib's form.

    Example:
        >>> hex_color((214, 39, 40))
        '#d62728'
    """
    return "#{:02x}{:02x}{:02x}".format(*color)


def _color(index: int) -> Color:
    """Return a color of `FIRST`, or after those a color with a rotated hue."""
    if index < len(FIRST):
        return FIRST[index]
    depth = 0.6 + 0.1 * (index % 3)
    red, green, blue = colorsys.hsv_to_rgb(index * TURN % 1, 0.85, depth)
    return round(255 * red), round(255 * green), round(255 * blue)
