"""Summary of an evaluation: scores, attributes and problems for tables and the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from siamcorr.data.datasets.sequences import Sequence as Clip
from siamcorr.evaluation.attributes import attribute_scores
from siamcorr.evaluation.box_errors import Array
from siamcorr.evaluation.metrics import Scores, mean_scores, score
from siamcorr.evaluation.polygons import truth_overlaps
from siamcorr.evaluation.results import Result
from siamcorr.evaluation.tables import (
    Table,
    add_failures,
    attribute_table,
    score_table,
    sequence_table,
)

Results = Mapping[str, Mapping[str, Result]]  # by tracker and sequence


@dataclass
class Summary:
    """Scores, overlaps and boxes of several trackers, each by tracker and sequence.

    sequences: sequences that can be scored and that at least one tracker finished.
    problems: what could not be evaluated, and why.
    failures: number of failures; None if they were not counted.
    """

    sequences: list[Clip] = field(default_factory=list)
    scores: dict[str, dict[str, Scores]] = field(default_factory=dict)
    overlaps: dict[str, dict[str, Array]] = field(default_factory=dict)
    boxes: dict[str, dict[str, Array]] = field(default_factory=dict)
    fps: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    failures: dict[str, dict[str, int]] | None = None

    @property
    def lengths(self) -> dict[str, int]:
        """Number of frames by sequence."""
        return {sequence.name: len(sequence) for sequence in self.sequences}

    def means(self) -> dict[str, Scores]:
        """Return each tracker's mean scores over the sequences that it finished."""
        return {name: mean_scores([*rows.values()]) for name, rows in self.scores.items()}

    def table(self) -> Table:
        """Return a table with a row per tracker."""
        table = score_table(self.means(), self.fps)
        if self.failures is not None:
            add_failures(table, self.failures, self.lengths)
        return table

    def sequence_table(self) -> Table:
        """Return a table with a row for each tracker in each sequence."""
        return sequence_table(self.scores, self.lengths, self.failures)

    def attribute_table(self) -> Table:
        """Return a table with a row per attribute."""
        rows = {n: attribute_scores(found, self.sequences) for n, found in self.overlaps.items()}
        return attribute_table(rows)


def summarise(results: Results, sequences: Sequence[Clip]) -> Summary:
    """Score all results; a tracker without results is left out.

    Scoring needs the size of the first frame; a sequence whose first frame cannot be read becomes
    a problem.

    Raises:
        ValueError: no tracker finished any sequence.
        ModuleNotFoundError: there are polygons, and shapely is not installed.
    """
    summary = Summary()
    for sequence in sequences:
        done = {
            n: rows[sequence.name].boxes for n, rows in results.items() if sequence.name in rows
        }
        if not done:
            continue
        try:
            size = sequence.frame_size()
        except (OSError, ValueError) as error:
            summary.problems.append(f"{sequence.name}: {error}, not scored")
            continue
        summary.sequences.append(sequence)
        for name, boxes in done.items():
            truth, polygons = sequence.boxes, sequence.polygons
            found = score(boxes, truth, size, polygons)
            iou = truth_overlaps(boxes, truth, polygons, size)
            summary.scores.setdefault(name, {})[sequence.name] = found
            summary.overlaps.setdefault(name, {})[sequence.name] = iou
            summary.boxes.setdefault(name, {})[sequence.name] = boxes
    if not summary.scores:
        raise ValueError("no tracker finished any sequence")
    ordered = [name for name in results if name in summary.scores]
    summary.scores = {name: summary.scores[name] for name in ordered}
    summary.overlaps = {name: summary.overlaps[name] for name in ordered}
    summary.fps = {
        name: float(np.mean([results[name][sequence].fps for sequence in rows]))
        for name, rows in summary.scores.items()
    }
    return summary
