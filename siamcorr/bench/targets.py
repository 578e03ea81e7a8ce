"""What a frame costs by the number of targets that are followed in it, in sight or lost."""

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
    """Seconds for every frame, by the number of targets.

    Each frame is given to one tracker after the other, so that what else the machine does weighs
    on all of them alike. The targets lie anywhere; whether they are kept is not asked.

    Args:
        network: in eval mode, on its device.
        frames: of one size, at least warm + 2.
        counts: of targets, each >= 1.
        warm: frames that are not counted.

    Raises:
        ValueError: too few frames, or frames smaller than a target.
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
    """Seconds for every frame with so many targets in sight, and with as many lost.

    Both trackers recover. The one sees the frames, and is told every few of them where its targets
    are; the other one sees black frames, in which nothing looks like a target whatever the network
    says, so that it searches in all that count.

    Args:
        network: in eval mode, on its device; its preset says what score is a loss.
        frames: of one size, at least warm + 7.
        counts: of targets, each >= 1.
        warm: frames that are not counted, beside those before the search begins.

    Raises:
        ValueError: too few frames, frames smaller than a target, or another preset.
    """
    warm += PATIENCE
    _check(frames, counts, warm)
    pairs = {count: (_begin(network, frames[0], count), _begin(network, frames[0], count))
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
    """Anywhere, but for every tracker at the same places."""
    height, width = frame.shape[:2]
    room = torch.tensor([width - SIDES[0], height - SIDES[1]])
    corners = torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * room
    return [(x, y, *SIDES) for x, y in corners.tolist()]


def _add(tracker: MultiTracker, frame: Image, count: int) -> None:
    for box in _boxes(frame, count):
        tracker.add(frame, box)


def _begin(network: SiameseNetwork, frame: Image, count: int) -> MultiTracker:
    tracker = MultiTracker(network, recover=True, optimize=False)
    _add(tracker, frame, count)
    return tracker


def _time_update(tracker: MultiTracker, frame: Image) -> float:
    start = time.perf_counter()
    tracker.update(frame)  # its boxes are on the CPU, so a GPU has finished
    return time.perf_counter() - start
