"""Write the figures of the site as SVG: `python docs/figures/make.py [FOLDER]`."""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from drawing import COLORS, Canvas

BLUE, ORANGE, GREEN, PURPLE = COLORS
GRAY = "#999999"
SEARCH, TEMPLATE, RESPONSE = 60, 330, 560  # left edges of the three columns


def heading(canvas: Canvas, search: str, template: str, response: str) -> None:
    """The three columns: what goes in, and what comes out."""
    columns = zip(
        (SEARCH + 50, TEMPLATE + 30, RESPONSE + 50),
        ("search x", "template z", "response"),
        (search, template, response),
        strict=True,
    )
    for x, name, shape in columns:
        canvas.text(x, 20, name, 15)
        canvas.text(x, 38, shape)


def naive() -> Canvas:
    """Two searches, three templates, six responses."""
    canvas = Canvas(760, 330, "xcorr_naive: every search meets every template")
    heading(canvas, "(B, C, H, W)", "(O, C, h, w)", "(B, O, H', W')")
    searches, templates = (95, 215), (80, 165, 250)
    for b, y in enumerate(searches):
        canvas.stack(SEARCH, y, 74, (GRAY,) * 3)
        canvas.text(SEARCH - 12, y + 42, f"x{b}", anchor="end")
        for top in templates:
            canvas.line(SEARCH + 92, y + 30, TEMPLATE - 30, top + 14, GRAY)
        canvas.arrow(TEMPLATE + 70, 182, RESPONSE - 14, y + 30)
        for o in range(3):
            canvas.square(RESPONSE + 62 * o, y + 4, 50, COLORS[o])
            canvas.text(RESPONSE + 62 * o + 25, y + 34, f"x{b}·z{o}", 12)
    for o, y in enumerate(templates):
        canvas.stack(TEMPLATE, y, 30, (COLORS[o],) * 3)
        canvas.text(TEMPLATE - 10, y + 20, f"z{o}", anchor="end")
    canvas.text(380, 318, "B = 2 searches, O = 3 templates: 2 x 3 maps, channels summed")
    return canvas


def batched() -> Canvas:
    """Each search with its own template; the channels are summed."""
    canvas = Canvas(760, 330, "xcorr_batched: search b meets template b, channels summed")
    heading(canvas, "(B, C, H, W)", "(B, C, h, w)", "(B, 1, H', W')")
    for b, y in enumerate((90, 205)):
        color = COLORS[b]
        canvas.stack(SEARCH, y, 74, (color,) * 3)
        canvas.text(SEARCH - 12, y + 42, f"x{b}", anchor="end")
        canvas.line(SEARCH + 92, y + 30, TEMPLATE - 30, y + 30, color)
        canvas.stack(TEMPLATE, y + 16, 30, (color,) * 3)
        canvas.text(TEMPLATE - 10, y + 36, f"z{b}", anchor="end")
        canvas.arrow(TEMPLATE + 52, y + 30, RESPONSE - 14, y + 30)
        canvas.text((TEMPLATE + RESPONSE) / 2 + 20, y + 22, "sum over C", 12)
        canvas.square(RESPONSE, y + 4, 50, color)
        canvas.text(RESPONSE + 25, y + 34, f"x{b}·z{b}", 12)
    canvas.text(380, 306, "B = 2: one map per pair. A template (B, O*C, h, w) gives O maps per")
    canvas.text(380, 323, "search; a template batch of 1 serves every search.")
    return canvas


def depthwise() -> Canvas:
    """Each search with its own template, channel by channel."""
    canvas = Canvas(760, 330, "xcorr_depthwise: channel c of x meets channel c of z")
    heading(canvas, "(B, C, H, W)", "(B, C, h, w)", "(B, C, H', W')")
    colors = (GREEN, ORANGE, BLUE)
    for b, y in enumerate((90, 205)):
        canvas.stack(SEARCH, y, 74, colors)
        canvas.text(SEARCH - 12, y + 42, f"x{b}", anchor="end")
        canvas.line(SEARCH + 92, y + 30, TEMPLATE - 30, y + 30, GRAY)
        canvas.stack(TEMPLATE, y + 16, 30, colors)
        canvas.text(TEMPLATE - 10, y + 36, f"z{b}", anchor="end")
        canvas.arrow(TEMPLATE + 52, y + 30, RESPONSE - 14, y + 30)
        canvas.text((TEMPLATE + RESPONSE) / 2 + 20, y + 22, "no sum over C", 12)
        canvas.stack(RESPONSE, y + 8, 50, colors)
    canvas.text(380, 306, "B = 2, C = 3 (one colour per channel): C maps per pair;")
    canvas.text(380, 323, "a 1x1 convolution behind the operator mixes them.")
    return canvas


def pixelwise() -> Canvas:
    """Every template cell is a 1x1 kernel."""
    canvas = Canvas(760, 260, "xcorr_pixelwise: every template cell meets every search cell")
    heading(canvas, "(B, C, H, W)", "(B, C, h, w)", "(B, h*w, H, W)")
    y = 100
    canvas.stack(SEARCH, y, 74, (GRAY,) * 3)
    canvas.line(SEARCH + 92, y + 30, TEMPLATE - 20, y + 30, GRAY)
    for index, color in enumerate(COLORS):
        row, column = divmod(index, 2)
        canvas.square(TEMPLATE + 28 * column, y + 2 + 28 * row, 26, color, 0.6)
        canvas.text(TEMPLATE + 28 * column + 13, y + 20 + 28 * row, str(index), 12)
    canvas.arrow(TEMPLATE + 66, y + 30, RESPONSE - 14, y + 30)
    canvas.stack(RESPONSE, y, 74, COLORS[::-1])
    canvas.text(RESPONSE + 37, y + 42, "0")
    canvas.text(RESPONSE + 112, y + 6, "3", 12, "start")
    canvas.text(380, 222, "h*w = 4 template cells: 4 maps of the search's size.")
    canvas.text(
        380, 239, "Map u*w + v is the dot product of template cell (u, v) with every cell of x."
    )
    return canvas


def cells(canvas: Canvas, y: float, before: int, size: int, behind: int, label: str) -> None:
    """A row of cells, padded with zeros before and behind."""
    for index in range(before + size + behind):
        inside = before <= index < before + size
        x = 20 + 34 * (index + 2 - before)
        canvas.square(x, y, 30, BLUE if inside else GRAY, 0.35 if inside else 0.1)
        canvas.text(x + 15, y + 20, str(index - before + 1) if inside else "0", 12)
    canvas.text(420, y + 20, label, anchor="start")


def same() -> Canvas:
    """What padding "same" adds at an even kernel, and at stride 2."""
    canvas = Canvas(760, 300, 'Padding "same" at an even kernel and at stride 2')
    cells(canvas, 30, 1, 6, 2, "1 zero before, 2 behind")
    canvas.text(20, 22, "stride 1, kernel 4", anchor="start")
    canvas.line(54, 68, 186, 68, ORANGE)
    canvas.text(120, 84, "first window", 12)
    canvas.text(20, 122, "stride 2, kernel 3, as TensorFlow and Keras", anchor="start")
    cells(canvas, 130, 0, 8, 1, "0 zeros before, 1 behind")
    for first in range(0, 8, 2):
        x = 88 + 34 * first
        canvas.line(x, 168 + 4 * (first % 4), x + 98, 168 + 4 * (first % 4), ORANGE)
    canvas.text(20, 212, "stride 2, kernel 3, torch padding=1", anchor="start")
    cells(canvas, 220, 1, 8, 0, "1 zero before; the one behind is not reached")
    for first in range(0, 8, 2):
        x = 54 + 34 * first
        canvas.line(x, 258 + 4 * (first % 4), x + 98, 258 + 4 * (first % 4), ORANGE)
    canvas.text(
        20,
        290,
        "The windows (orange) lie one cell apart: equal shapes, other numbers.",
        12,
        "start",
    )
    return canvas


def flow() -> Canvas:
    """One frame through the code."""
    canvas = Canvas(760, 250, "A frame, from the crop to the box")
    steps = (
        ("crop", "tracking"),
        ("backbone", "models"),
        ("neck", "layers"),
        ("correlation", "ops"),
        ("head", "layers"),
        ("decoding", "tracking"),
    )
    left, wide, gap = 70, 98, 14
    for row, (name, y) in enumerate((("template", 50), ("search", 140))):
        canvas.text(left - 8, y + 28, name, 13, "end")
        for index, (step, folder) in enumerate(steps):
            if row == 0 and index > 2:
                break
            x = left + index * (wide + gap)
            canvas.box(x, y, wide, 44, COLORS[(0, 1, 2, 3, 2, 0)[index]], 0.25)
            canvas.text(x + wide / 2, y + 20, step)
            canvas.text(x + wide / 2, y + 36, f"{folder}/", 11)
            if index:
                canvas.arrow(x - gap, y + 22, x - 1, y + 22)
    meets = left + 3 * (wide + gap)
    canvas.line(meets - gap, 72, meets + wide / 2, 72)
    canvas.arrow(meets + wide / 2, 72, meets + wide / 2, 139)
    canvas.text(left, 32, "first frame and its box: once per target", 12, "start")
    canvas.text(left, 128, "every later frame", 12, "start")
    end = left + 6 * (wide + gap) - gap
    canvas.line(end - wide / 2, 184, end - wide / 2, 215)
    canvas.line(end - wide / 2, 215, left + wide / 2, 215)
    canvas.arrow(left + wide / 2, 215, left + wide / 2, 186)
    canvas.text((left + end) / 2, 233, "box: the place of the next crop", 12)
    return canvas


FIGURES: dict[str, Callable[[], Canvas]] = {
    "naive": naive,
    "batched": batched,
    "depthwise": depthwise,
    "pixelwise": pixelwise,
    "same": same,
    "flow": flow,
}


def main(folder: Path) -> None:
    """Write every figure into a folder."""
    for name, draw in FIGURES.items():
        (folder / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
