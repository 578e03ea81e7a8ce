"""The report: one HTML page with all images inside."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from siamcorr.evaluation.box_errors import Array
from siamcorr.evaluation.metrics import Scores
from siamcorr.evaluation.palette import TRUTH, Color, hex_color
from siamcorr.evaluation.plots import overlap_plot, score_plots
from siamcorr.evaluation.tables import Table
from siamcorr.tracking.boxes import Image

STYLE = """body{font:15px system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 1em;
color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.3em .7em;text-align:right;border-bottom:1px solid #ddd}
th{vertical-align:bottom;font-weight:600;overflow-wrap:anywhere;min-width:6em}
li{overflow-wrap:anywhere}
td.text,th.text{text-align:left;overflow-wrap:anywhere;min-width:9em}
.table{overflow-x:auto}img{max-width:100%}
.plots{display:flex;flex-wrap:wrap;align-items:flex-start}.plots img{flex:1 1 28em;min-width:0}
.key{margin:.3em 0}.key span{margin-right:1.2em;white-space:nowrap}
i{display:inline-block;width:.75em;height:.75em;margin-right:.45em;border:1px solid #666}
h2{margin-top:1.6em}"""
TEXTS = {"tracker", "sequence", "attribute", "of"}  # columns without numbers


def write_report(
    path: Path,
    tables: Mapping[str, Table],
    scores: Mapping[str, Scores],
    per_sequence: Mapping[str, Mapping[str, Array]],
    strips: Mapping[str, Image],
    colors: Mapping[str, Color],
    problems: Sequence[str] = (),
) -> None:
    """Write the page, and its plots as PNG files beside it.

    Args:
        path: the .html file.
        tables: tables by heading, from `siamcorr.evaluation.tables`.
        scores: mean scores by tracker, for the plots.
        per_sequence: overlap of each frame, by sequence and tracker.
        strips: RGB image of frames, by sequence.
        colors: color by tracker, see `tracker_colors`.
        problems: what could not be evaluated, and why.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = ["<h1>Tracking evaluation</h1>"]
    for heading, table in tables.items():
        parts += [_heading(heading), _html_table(table, colors)]
    if problems:
        items = "".join(f"<li>{html.escape(text)}</li>" for text in problems)
        parts += [_heading("Problems"), f"<ul>{items}</ul>"]
    plots = score_plots(scores, colors)
    for name, figure in plots.items():
        path.with_name(f"{path.stem}-{name}.png").write_bytes(figure)
    images = "".join(_image(figure, "png", name) for name, figure in plots.items())
    parts += [_heading("Plots"), f'<div class="plots">{images}</div>']
    for sequence, curves in per_sequence.items():
        shown = {name: colors[name] for name in curves}
        parts += [
            _heading(sequence),
            _key(shown | {"truth": TRUTH} if sequence in strips else shown),
        ]
        parts.append(_image(overlap_plot(curves, colors), "png", f"overlap in {sequence}"))
        if sequence in strips:
            _, packed = cv2.imencode(".jpg", cv2.cvtColor(strips[sequence], cv2.COLOR_RGB2BGR))
            parts.append(_image(packed.tobytes(), "jpeg", f"frames of {sequence}"))
    page = "<!doctype html><meta charset=utf-8><title>Tracking evaluation</title>"
    page += f"<style>{STYLE}</style>"
    path.write_text(page + "\n".join(parts), encoding="utf-8")


def _heading(text: str) -> str:
    return f"<h2>{html.escape(text)}</h2>"


def _key(colors: Mapping[str, Color]) -> str:
    """Return the legend: names with their colours."""
    return f'<p class="key">{"".join(f"<span>{_named(n, colors)}</span>" for n in colors)}</p>'


def _named(text: str, colors: Mapping[str, Color]) -> str:
    """Return the text as HTML; a tracker's name gets its colour."""
    mark = f'<i style="background:{hex_color(colors[text])}"></i>' if text in colors else ""
    return mark + html.escape(text)


def _html_table(table: Table, colors: Mapping[str, Color]) -> str:
    texts = [head in TEXTS for head in table[0]]

    def line(cells: Sequence[str], tag: str) -> str:
        tags = [f'{tag} class="text"' if text else tag for text in texts]
        pairs = zip(tags, cells, strict=True)
        return "<tr>" + "".join(f"<{t}>{_named(c, colors)}</{tag}>" for t, c in pairs) + "</tr>"

    lines = [line(table[0], "th"), *(line(cells, "td") for cells in table[1:])]
    return f'<div class="table"><table>{"".join(lines)}</table></div>'


def _image(data: bytes, kind: str, alt: str) -> str:
    text = base64.b64encode(data).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/{kind};base64,{text}">'
