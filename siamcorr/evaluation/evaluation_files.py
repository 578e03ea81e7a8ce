"""Write an evaluation: tables as CSV, plots as PNG, and the HTML report."""

import csv
from pathlib import Path

from siamcorr.evaluation.box_errors import Array
from siamcorr.evaluation.frame_strips import frames_at, most_different_frames, strip
from siamcorr.evaluation.palette import Color, tracker_colors
from siamcorr.evaluation.report import write_report
from siamcorr.evaluation.summary import Summary
from siamcorr.evaluation.tables import Table
from siamcorr.tracking.boxes import Image

FILES = {"Trackers": "table.csv", "Attributes": "attributes.csv", "Sequences": "sequences.csv"}


def write_summary(output: Path, summary: Summary) -> dict[str, Table]:
    """Write table.csv, attributes.csv, sequences.csv, report.html and the plots beside it.

    A frame that cannot be read is added to the summary's problems. If no sequence has attributes,
    there is no table of attributes.

    Returns:
        The tables by heading.

    Raises:
        OSError: a file cannot be written.
    """
    tables = {"Trackers": summary.table(), "Attributes": summary.attribute_table()}
    tables["Sequences"] = summary.sequence_table()
    output.mkdir(parents=True, exist_ok=True)
    for heading, name in FILES.items():
        if len(tables[heading]) > 1:
            with (output / name).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(tables[heading])
        else:
            (output / name).unlink(missing_ok=True)  # from an earlier run
            del tables[heading]
    colors = tracker_colors(summary.scores)
    curves: dict[str, dict[str, Array]] = {}
    for name in summary.lengths:
        curves[name] = {t: rows[name] for t, rows in summary.overlaps.items() if name in rows}
    strips = _strips(summary, curves, colors)
    page = output / "report.html"
    write_report(page, tables, summary.means(), curves, strips, colors, summary.problems)
    return tables


def _strips(
    summary: Summary, curves: dict[str, dict[str, Array]], colors: dict[str, Color]
) -> dict[str, Image]:
    strips = {}
    for sequence in summary.sequences:
        found = curves[sequence.name]
        boxes = {name: summary.boxes[name][sequence.name] for name in found}
        try:
            frames = frames_at(sequence, most_different_frames(found))
        except (OSError, ValueError) as error:
            summary.problems.append(f"{sequence.name}: {error}, not shown")
            continue
        row = strip(frames, boxes, sequence.boxes, colors, sequence.polygons)
        strips[sequence.name] = row
    return strips
