"""Read and plot the logs of training runs."""

import csv
from collections.abc import Sequence
from pathlib import Path

LOSSES = ("total", "score", "box", "quality", "features", "taught")


def read_log(path: str | Path) -> dict[str, list[float]]:
    """Read a log.csv as columns.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a table of numbers, or has no rows.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        try:
            rows = [
                {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
            ]
        except (TypeError, ValueError, csv.Error):
            raise ValueError(f"{path}: is not a log of a training run") from None
    if not rows:
        raise ValueError(f"{path}: has no epoch")
    return {name: [row[name] for row in rows] for name in rows[0]}


def plot_logs(logs: Sequence[dict[str, list[float]]], path: str | Path) -> None:
    """Plot the losses on the left and the validation overlap on the right, run after run.

    Args:
        logs: logs from `read_log`, in the order of the runs; a vertical line separates two runs.
        path: the PNG file.

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
    right.set(xlabel="epoch", ylabel="mean overlap on the validation clips")
    left.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
