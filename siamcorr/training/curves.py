"""A run's log as a picture."""

import csv
from collections.abc import Sequence
from pathlib import Path

LOSSES = ("total", "score", "box", "quality", "features", "taught")


def read_log(path: str | Path) -> dict[str, list[float]]:
    """A log.csv as columns.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no table of numbers, or holds no epoch.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        try:
            rows = [
                {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
            ]
        except (TypeError, ValueError, csv.Error):
            raise ValueError(f"{path}: is no log of a training run") from None
    if not rows:
        raise ValueError(f"{path}: holds no epoch")
    return {name: [row[name] for row in rows] for name in rows[0]}


def plot_logs(logs: Sequence[dict[str, list[float]]], path: str | Path) -> None:
    """Losses on the left, mean overlap on the choice clips on the right; one run after the other.

    Args:
        logs: from `read_log`, in the order of the runs; a line stands between two of them.
        path: of the PNG.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    colors = [f"C{index}" for index in range(len(LOSSES) + 1)]
    start = 0.0
    for number, log in enumerate(logs):
        epochs = [start + epoch for epoch in log["epoch"]]
        for name, color in zip(LOSSES, colors, strict=False):
            if name not in log:
                continue
            left.plot(epochs, log[name], color=color, label=name if number == 0 else None)
        right.plot(epochs, log["overlap"], color=colors[-1], marker=".")
        if number:
            for axes in (left, right):
                axes.axvline(start + 0.5, color="0.7", linewidth=1)
        start = epochs[-1]
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    right.set(xlabel="epoch", ylabel="mean overlap on the choice clips")
    left.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
