"""Time of a frame by number of tracked targets, visible or lost."""

import time
from collections.abc import Sequence

import torch

from siamcorr.bench.measure import check_count
from siamcorr.models import SiameseNetwork
from siamcorr.tracking import MultiTracker
from siamcorr.tracking.boxes import Box, Image
from siamcorr.tracking.redetection import PATIENCE

SIDES = (60.0, 50.0)  # of every target, in pixels


def time_targets(
    network: SiameseNetwork, frames: Sequence[Image], counts: Sequence[int], warm: int = 3
) -> dict[int, list[float]]:
    """Return the seconds of every frame by number of targets.

    Each frame goes to one tracker after the other, so that other load on the machine affects all
    of them. The targets are at random places; the tracking quality is not checked.

    Args:
        network: network in eval mode, on its device.
        frames: at least warm + 2 frames of one size.
        counts: numbers of targets, each >= 1.
        warm: number of frames for warm-up, which are not counted.

    Raises:
        ValueError: there are too few frames, or they are smaller than a target.
    """
    _check(frames, counts, warm)
    trackers = {count: MultiTracker(network, optimize=False) for count in counts}
    for count, tracker in trackers.items():
        _add(tracker, frames[0], count)
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    for frame in frames[1:]:
        for count, tracker in trackers.items():
            seconds[count].append(_time_update(tracker, frame))
    return {count: laps[warm:] for count, laps in seconds.items()}


def time_lost(
    network: SiameseNetwork, frames: Sequence[Image], counts: Sequence[int], warm: int = 3
) -> dict[int, tuple[list[float], list[float]]]:
    """Return the seconds of every frame with visible targets and with lost targets.

    Both trackers recover lost targets. One sees the frames, and its targets are set again every
    few frames. The other sees black frames, where nothing resembles a target for any network, so
    that it searches in all counted frames.

    Args:
        network: network in eval mode, on its device; its preset has lost_below > 0.
        frames: at least warm + 7 frames of one size.
        counts: numbers of targets, each >= 1.
        warm: number of frames for warm-up, which are not counted; those before the search begins
            are not counted, either.

    Raises:
        ValueError: there are too few frames, they are smaller than a target, or the preset has no
            lost_below.
    """
    warm += PATIENCE
    _check(frames, counts, warm)
    pairs = {count: (_start(network, frames[0], count), _start(network, frames[0], count))
             for count in counts}  # fmt: skip
    seconds: dict[int, tuple[list[float], list[float]]] = {count: ([], []) for count in counts}
    for index, frame in enumerate(frames[1:]):
        for count, (seeing, searching) in pairs.items():
            if index % (PATIENCE - 1) == 0:
                for number, box in enumerate(_boxes(frame, count)):
                    seeing.renew(number, frame, box)
            seconds[count][0].append(_time_update(seeing, frame))
            seconds[count][1].append(_time_update(searching, frame * 0))
    return {count: (seen[warm:], lost[warm:]) for count, (seen, lost) in seconds.items()}


def _check(frames: Sequence[Image], counts: Sequence[int], warm: int) -> None:
    check_count(len(frames), warm)
    if min(counts) < 1:
        raise ValueError(f"profile: targets must be >= 1, got {min(counts)}")
    height, width = frames[0].shape[:2]
    if width < SIDES[0] or height < SIDES[1]:
        raise ValueError(f"profile: {width}x{height} frames are smaller than a target")


def _boxes(frame: Image, count: int) -> list[Box]:
    """Return boxes at random places, the same for every tracker."""
    height, width = frame.shape[:2]
    room = torch.tensor([width - SIDES[0], height - SIDES[1]])
    corners = torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * room
    return [(x, y, *SIDES) for x, y in corners.tolist()]


def _add(tracker: MultiTracker, frame: Image, count: int) -> None:
    for box in _boxes(frame, count):
        tracker.add(frame, box)


def _start(network: SiameseNetwork, frame: Image, count: int) -> MultiTracker:
    tracker = MultiTracker(network, recover=True, optimize=False)
    _add(tracker, frame, count)
    return tracker


def _time_update(tracker: MultiTracker, frame: Image) -> float:
    start = time.perf_counter()
    tracker.update(frame)  # its boxes are on the CPU, so a GPU has finished
    return time.perf_counter() - start
