"""Tables of an evaluation: lists of lines of text, the head first, for CSV, HTML and terminals."""

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
NOTHING = "-"  # where there is no number


def score_table(rows: Mapping[str, Scores], fps: Mapping[str, float]) -> Table:
    """A line a tracker, the best success first."""
    order = sorted(rows, key=lambda name: -rows[name].success)
    head = ["tracker", *(title for _, title in COLUMNS), "frames a second"]
    return [head, *([name, *_numbers(rows[name]), f"{fps[name]:.0f}"] for name in order)]


def add_failures(
    table: Table, failures: Mapping[str, Mapping[str, int]], lengths: Mapping[str, int]
) -> None:
    """Columns of failures and robustness, over the sequences in which they were counted.

    Args:
        table: from `score_table`.
        failures: by tracker and sequence.
        lengths: frames by sequence.
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
    """A line for each tracker that finished a sequence, sequence by sequence.

    Args:
        rows: scores by tracker and sequence.
        lengths: frames by sequence, in the order of the lines.
        failures: by tracker and sequence, for a column more.
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
    """A line an attribute with every tracker's success AUC; the head alone where there are none.

    How many frames or sequences have the attribute is counted among those that a tracker finished;
    where trackers differ, the largest number is shown.

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
