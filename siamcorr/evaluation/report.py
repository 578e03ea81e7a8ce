"""A report to look at: one HTML page that needs nothing beside it."""

import base64
import html
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from siamcorr.evaluation.metrics import OVERLAPS, PIXELS, Array, Scores
from siamcorr.tracking.boxes import Image

COLUMNS = (
    ("success", "success AUC"),
    ("precision", "precision 20 px"),
    ("norm_precision", "normalised precision"),
    ("ao", "AO"),
    ("sr50", "SR 0.5"),
    ("sr75", "SR 0.75"),
)
STYLE = """body{font:15px system-ui;margin:2em auto;max-width:70em;color:#222}
table{border-collapse:collapse}
td,th{padding:.3em .8em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}img{max-width:100%}h2{margin-top:1.6em}"""
COLORS = (
    (230, 60, 60),
    (60, 160, 60),
    (60, 90, 230),
    (230, 160, 30),
    (150, 60, 200),
    (40, 180, 190),
)


def score_table(rows: Mapping[str, Scores], fps: Mapping[str, float]) -> list[list[str]]:
    """Head and a line for each tracker, the best success first."""
    order = sorted(rows, key=lambda name: -rows[name].success)
    head = ["tracker", *(title for _, title in COLUMNS), "frames a second"]
    lines = [
        [name, *(f"{getattr(rows[name], key):.3f}" for key, _ in COLUMNS), f"{fps[name]:.0f}"]
        for name in order
    ]
    return [head, *lines]


def write_report(
    path: Path,
    table: Sequence[Sequence[str]],
    scores: Mapping[str, Scores],
    per_sequence: Mapping[str, Mapping[str, Array]],
    strips: Mapping[str, Image],
    problems: Sequence[str] = (),
) -> None:
    """Write the page, and its plots as PNGs beside it.

    Args:
        path: of the .html file.
        table: head and lines, from `score_table`.
        scores: mean scores by tracker, for the plots.
        per_sequence: overlaps of each frame by sequence and tracker.
        strips: a row of frames by sequence, RGB.
        problems: what could not be evaluated, and why.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = ["<h1>Tracking evaluation</h1>", _html_table(table)]
    if problems:
        items = "".join(f"<li>{html.escape(text)}</li>" for text in problems)
        parts.append(f"<h2>Not evaluated</h2><ul>{items}</ul>")
    for name, figure in _plots(scores).items():
        path.with_name(f"{path.stem}-{name}.png").write_bytes(figure)
        parts.append(_image(figure, "png", name))
    for sequence, curves in per_sequence.items():
        parts.append(f"<h2>{html.escape(sequence)}</h2>")
        parts.append(_image(_overlap_plot(curves), "png", f"overlap in {sequence}"))
        if sequence in strips:
            _, packed = cv2.imencode(".jpg", cv2.cvtColor(strips[sequence], cv2.COLOR_RGB2BGR))
            parts.append(_image(packed.tobytes(), "jpeg", f"frames of {sequence}"))
    page = "<!doctype html><meta charset=utf-8><title>Tracking evaluation</title>"
    page += f"<style>{STYLE}</style>"
    path.write_text(page + "\n".join(parts), encoding="utf-8")


def strip(frames: Sequence[tuple[int, Image]], boxes: Mapping[str, Array], truth: Array) -> Image:
    """Frames side by side with every tracker's box, and the true one in white."""
    tiles = []
    for index, frame in frames:
        tile = frame.copy()
        for color, found in zip(COLORS * 9, boxes.values(), strict=False):
            _draw(tile, found[index], color)
        _draw(tile, truth[index], (255, 255, 255))
        cv2.putText(tile, f"{index}", (5, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
        scale = 240 / tile.shape[0]
        tiles.append(cv2.resize(tile, None, fx=scale, fy=scale))
    row: Image = np.hstack(tiles).astype(np.uint8)
    return row


def telling_frames(overlaps: Mapping[str, Array], count: int = 5) -> list[int]:
    """The frames where the trackers differ the most, apart from each other, in their order."""
    stacked = np.nan_to_num(np.stack([*overlaps.values()]))
    spread = stacked.max(axis=0) - stacked.min(axis=0) + 1e-6 * (1 - stacked.mean(axis=0))
    chosen: list[int] = []
    apart = max(1, len(spread) // (2 * count))
    for index in np.argsort(-spread, kind="stable"):
        if all(abs(int(index) - other) >= apart for other in chosen):
            chosen.append(int(index))
        if len(chosen) == count:
            break
    return sorted(chosen)


def _draw(image: Image, box: Array, color: tuple[int, int, int]) -> None:
    if np.isfinite(box).all():
        x, y, w, h = (round(float(value)) for value in box)
        cv2.rectangle(image, (x, y), (x + w, y + h), color, 2)


def _plots(scores: Mapping[str, Scores]) -> dict[str, bytes]:
    curves = {
        "success": (OVERLAPS, "overlap threshold", "success_curve", "success"),
        "precision": (PIXELS, "centre error threshold (pixels)", "precision_curve", "precision"),
    }
    plots = {}
    for name, (x, label, curve, key) in curves.items():
        order = sorted(scores, key=lambda tracker: -getattr(scores[tracker], key))
        lines = {f"{t} [{getattr(scores[t], key):.3f}]": getattr(scores[t], curve) for t in order}
        plots[name] = _figure(x, lines, label, f"share of frames, {name}")
    return plots


def _overlap_plot(curves: Mapping[str, Array]) -> bytes:
    longest = max(len(values) for values in curves.values())
    return _figure(np.arange(float(longest)), curves, "frame", "overlap", wide=True)


def _figure(
    x: Array, lines: Mapping[str, Array], label: str, title: str, wide: bool = False
) -> bytes:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(11, 3) if wide else (6, 4.5), layout="constrained")
    for name, values in lines.items():
        axes.plot(x, values, label=name, linewidth=1.4)
    axes.set(xlabel=label, ylabel=title, ylim=(0, 1.02), xlim=(x[0], x[-1] if len(x) > 1 else 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, dpi=110)
    plt.close(figure)
    return buffer.getvalue()


def _html_table(table: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    return "<table>" + line(table[0], "th") + "".join(line(r, "td") for r in table[1:]) + "</table>"


def _image(data: bytes, kind: str, alt: str) -> str:
    text = base64.b64encode(data).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/{kind};base64,{text}">'
