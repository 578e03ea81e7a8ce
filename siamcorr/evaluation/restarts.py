"""How often a target is lost: the tracker is started again after each failure, as VOT has it."""

import math

import numpy as np

from siamcorr.data.datasets.sequences import Sequence
from siamcorr.evaluation.polygons import truth_overlaps
from siamcorr.evaluation.run import Tracking, start_box

GAP = 5  # frames from a failure to the next start
SENSITIVITY = 30.0  # frames of which we want to know whether the target is kept


def run_supervised(tracker: Tracking, sequence: Sequence) -> int:
    """How often the target is lost in one sequence.

    A failure is a box that does not meet the true one, or the true polygon where the frame has
    one, inside the frame; the next start is five frames later, or on the first frame after those
    that has a true box.

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
    """The chance that a target is still held after some frames: exp(-sensitivity F / N).

    The reliability of VOT's accuracy-robustness plots. Over several sequences, failures and frames
    are summed first, as VOT's toolkit does.

    Args:
        failures: how often the target was lost, F.
        frames: among how many, N.
        sensitivity: after how many frames we ask; 30 in the toolkit.

    Raises:
        ValueError: no frames.

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
