"""Plots for a report, as PNG: success, precision, and overlap per frame."""

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from siamcorr.evaluation.box_errors import Array
from siamcorr.evaluation.metrics import OVERLAPS, PIXELS, Scores
from siamcorr.evaluation.palette import Color, hex_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110
LINE = 0.22  # height of a line of the legend, in inches


def score_plots(scores: Mapping[str, Scores], colors: Mapping[str, Color]) -> dict[str, bytes]:
    """Draw the success plot and the precision plot; trackers are in the order of their scores."""
    curves = {
        "success": (OVERLAPS, "overlap threshold", "success_curve", "success"),
        "precision": (PIXELS, "centre error threshold (pixels)", "precision_curve", "precision"),
    }
    plots = {}
    for name, (x, label, curve, key) in curves.items():
        order = sorted(scores, key=lambda tracker: -getattr(scores[tracker], key))
        figure = _figure(6, 4.2, x, label, f"share of frames, {name}", len(order))
        for tracker in order:
            text = f"{tracker} [{getattr(scores[tracker], key):.3f}]"
            values = getattr(scores[tracker], curve)
            _line(figure, x, values, text, colors[tracker])
        figure.legend(loc="outside lower left", fontsize=8, frameon=False)
        plots[name] = _png(figure)
    return plots


def overlap_plot(curves: Mapping[str, Array], colors: Mapping[str, Color]) -> bytes:
    """Draw the overlap in each frame of one sequence; there are gaps without ground truth."""
    longest = max(len(values) for values in curves.values())
    x = np.arange(float(longest))
    figure = _figure(12, 2.6, x, "frame", "overlap", 0)
    for tracker, values in curves.items():
        _line(figure, x[: len(values)], values, tracker, colors[tracker])
    return _png(figure)


def _figure(width: float, height: float, x: Array, label: str, title: str, lines: int) -> "Figure":
    """Make an empty figure with axes and space for the legend; sizes are in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height + LINE * lines), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=label, ylabel=title, ylim=(0, 1.02), xlim=(x[0], x[-1] if len(x) > 1 else 1))
    axes.grid(alpha=0.3)
    return figure


def _line(figure: "Figure", x: Array, values: Array, label: str, color: Color) -> None:
    marker = "o" if len(values) == 1 else ""
    axes, hue = figure.axes[0], hex_color(color)
    axes.plot(x, values, label=label, linewidth=1.5, marker=marker, color=hue, clip_on=False)


def _png(figure: "Figure") -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, dpi=DPI, format="png")
    return buffer.getvalue()
