"""Tables of an evaluation as lists of rows of text, header first, for CSV, HTML and terminals."""

from collections.abc import Mapping

from siamcorr.evaluation.attributes import AttributeScore
from siamcorr.evaluation.metrics import Scores
from siamcorr.evaluation.restarts import robustness

Table = list[list[str]]

COLUMNS = (
    ("success", "success AUC"),
    ("precision", "precision 20 px"),
    ("norm_precision", "normalised precision"),
    ("ao", "AO"),
    ("sr50", "SR 0.5"),
    ("sr75", "SR 0.75"),
)
NOTHING = "-"  # cell without a value


def score_table(rows: Mapping[str, Scores], fps: Mapping[str, float]) -> Table:
    """Return a row per tracker, the best success AUC first."""
    order = sorted(rows, key=lambda name: -rows[name].success)
    head = ["tracker", *(title for _, title in COLUMNS), "FPS"]
    return [head, *([name, *_numbers(rows[name]), f"{fps[name]:.0f}"] for name in order)]


def add_failures(
    table: Table, failures: Mapping[str, Mapping[str, int]], lengths: Mapping[str, int]
) -> None:
    """Add columns of failures and robustness, over the sequences with counted failures.

    Args:
        table: a table from `score_table`; it is changed in place.
        failures: number of failures by tracker and sequence.
        lengths: number of frames by sequence.
    """
    table[0] += ["failures", "robustness"]
    for line in table[1:]:
        counted = failures.get(line[0], {})
        lost, frames = sum(counted.values()), sum(lengths[name] for name in counted)
        held = f"{robustness(lost, frames):.3f}" if frames else NOTHING
        line += [str(lost) if frames else NOTHING, held]


def sequence_table(
    rows: Mapping[str, Mapping[str, Scores]],
    lengths: Mapping[str, int],
    failures: Mapping[str, Mapping[str, int]] | None = None,
) -> Table:
    """Return a row for each sequence and each tracker that finished it.

    Args:
        rows: scores by tracker and sequence.
        lengths: number of frames by sequence, in the order of the rows.
        failures: number of failures by tracker and sequence; None omits the column.
    """
    counted = [] if failures is None else ["failures"]
    table = [["sequence", "frames", "tracker", *(title for _, title in COLUMNS), *counted]]
    for sequence, length in lengths.items():
        done = [name for name in rows if sequence in rows[name]]
        for name in sorted(done, key=lambda name: -rows[name][sequence].success):
            line = [sequence, str(length), name, *_numbers(rows[name][sequence])]
            if failures is not None:
                lost = failures.get(name, {}).get(sequence)
                line.append(NOTHING if lost is None else str(lost))
            table.append(line)
    return table


def attribute_table(rows: Mapping[str, Mapping[str, AttributeScore]]) -> Table:
    """Return a row per attribute with every tracker's success AUC, below a header.

    The count is the number of frames or sequences with the attribute among those that a tracker
    finished; if trackers differ, the largest count is shown.

    Args:
        rows: scores by tracker and attribute.
    """
    table = [["attribute", "count", "of", *rows]]
    for name in sorted({name for scores in rows.values() for name in scores}):
        found = [scores.get(name) for scores in rows.values()]
        most = max((score for score in found if score is not None), key=lambda score: score.count)
        cells = [NOTHING if score is None else f"{score.success:.3f}" for score in found]
        table.append([name, str(most.count), most.unit, *cells])
    return table


def _numbers(scores: Scores) -> list[str]:
    return [f"{getattr(scores, key):.3f}" for key, _ in COLUMNS]
