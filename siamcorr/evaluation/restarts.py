"""Count failures; the tracker is re-initialised after each failure, as in VOT."""

import math

import numpy as np

from siamcorr.data.datasets.sequences import Sequence
from siamcorr.evaluation.polygons import truth_overlaps
from siamcorr.evaluation.run import Tracking, start_box

GAP = 5  # frames from a failure to the next start
SENSITIVITY = 30.0  # length of the interval for `robustness`, in frames


def run_supervised(tracker: Tracking, sequence: Sequence) -> int:
    """Count the failures of a tracker in one sequence.

    A failure is an overlap of 0 with the true box (or polygon, if the frame has one) inside the
    frame. The tracker is re-initialised five frames later, or in the first frame after those with
    a true box.

    Raises:
        ValueError: a frame cannot be read.
        ModuleNotFoundError: the sequence has polygons, and shapely is not installed.

    Reference:
        Kristan et al., The Visual Object Tracking VOT2015 challenge results, 2015.
    """
    failures, start, running = 0, 0, False
    for index, frame in enumerate(sequence):
        known = bool(np.isfinite(sequence.boxes[index]).all())
        if running:
            found = np.array(tracker.update(frame).box_xywh, dtype=float)
            if known and _overlap(found, sequence, index, frame.shape[:2]) == 0:
                failures += 1
                start, running = index + GAP, False
        elif known and index >= start:
            tracker.init(frame, start_box(sequence, index))
            running = True
    return failures


def robustness(failures: int, frames: int, sensitivity: float = SENSITIVITY) -> float:
    """Return the probability that a target is still tracked after S frames: exp(-S F / N).

    It is the reliability in VOT's accuracy-robustness plots. For several sequences, sum failures
    and frames first, as the VOT toolkit does.

    Args:
        failures: number of failures, F.
        frames: number of frames, N.
        sensitivity: length of the interval in frames, S; 30 in the toolkit.

    Raises:
        ValueError: frames is below 1.

    Reference:
        Kristan et al., A Novel Performance Evaluation Methodology for Single-Target Trackers,
        2016, arXiv 1503.01313.

    Example:
        >>> round(robustness(2, 600), 3)
        0.905
    """
    if frames < 1:
        raise ValueError(f"robustness: frames must be >= 1, got {frames}")
    return math.exp(-sensitivity * failures / frames)


def _overlap(
    found: np.ndarray[tuple[int], np.dtype[np.float64]],
    sequence: Sequence,
    index: int,
    frame_size: tuple[int, ...],
) -> float:
    polygons = sequence.polygons
    corners = None if polygons is None else polygons[index : index + 1]
    truth = sequence.boxes[index : index + 1]
    size = (frame_size[0], frame_size[1])
    return float(truth_overlaps(found[None], truth, corners, size)[0])
