"""The benchmark's table, as Markdown, and its plot."""

from pathlib import Path

from siamcorr.bench.measure import Limits, Timing
from siamcorr.bench.run import Row

METHODS = ("conv", "gemm", "fft", "native", "triton")


def table(rows: list[Row], limits: Limits) -> str:
    """Format a Markdown table: times in ms, ratios, shares of the limits, memory, error."""
    methods = [name for name in METHODS if any(name in row.timings for row in rows)]
    head = ["op", "B, C, z/x", "pasted", "auto", "ratio", "by", *methods]
    head += ["auto / best", "of limit", "of registers", "MiB pasted, auto", "error"]
    registers = limits.registers
    lines = [
        f"limits: matrix product {limits.flops / 1e9:.0f} GFLOP/s, "
        f"copy {limits.bandwidth / 1e9:.1f} GB/s"
        + (f", registers {registers / 1e9:.0f} GFLOP/s" if registers else ""),
        "",
        "| " + " | ".join(head) + " |",
        "|" + " --- |" * len(head),
    ]
    return "\n".join(
        lines + ["| " + " | ".join(_cells(row, methods, limits)) + " |" for row in rows]
    )


def _cells(row: Row, methods: list[str], limits: Limits) -> list[str]:
    timings = row.timings
    memory = ", ".join("?" if m is None else f"{m / 2**20:.0f}" for m in row.memory.values())
    worst = row.errors.get(row.chosen)
    return [
        row.case.op + (" + backward" if row.case.backward else ""),
        row.case.label,
        milliseconds(timings["pasted"]),
        milliseconds(timings["auto"]),
        f"**{row.ratio:.{2 if row.ratio < 2 else 1 if row.ratio < 10 else 0}f}x**",
        row.chosen,
        *(milliseconds(timings[name]) if name in timings else "-" for name in methods),
        f"{row.behind_best:.2f}",
        f"{row.share:.0%}",
        f"{row.flops / limits.registers:.0%}" if limits.registers else "-",
        memory,
        "" if worst is None else f"{worst:.0e}",
    ]


def milliseconds(timing: Timing) -> str:
    """Format the median with half the distance of the quartiles: 12.3 ±0.4.

    Example:
        >>> milliseconds(Timing(0.0123, 0.0119, 0.0127, 9))
        '12.3 ±0.4'
    """
    spread = (timing.high - timing.low) / 2 * 1e3
    value = timing.median * 1e3
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f} ±{spread:.{digits}f}"


def plot(rows: list[Row], path: Path) -> None:
    """Plot the speed-up of "auto" over the pasted form as bars, and write a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 0.8 + 0.32 * len(rows)), layout="constrained")
    labels = [
        f"{row.case.op}{' + backward' if row.case.backward else ''}  {row.case.label}"
        for row in rows
    ]
    bars = axes.barh(labels, [row.ratio for row in rows], color="#2f7ed8")
    axes.bar_label(bars, [f" {row.ratio:.1f}x  {row.chosen}" for row in rows], fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.set_xlabel("times faster than the pasted form (F.conv2d with groups)")
    figure.savefig(path, dpi=120)
    plt.close(figure)
