"""What a frame costs by the number of targets that are followed in it."""

import time
from collections.abc import Sequence

import torch

from siamcorr.bench.measure import check_count
from siamcorr.models import SiameseNetwork
from siamcorr.tracking import MultiTracker
from siamcorr.tracking.boxes import Image

SIDES = (60, 50)  # of every target, in pixels


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
    check_count(len(frames), warm)
    if min(counts) < 1:
        raise ValueError(f"profile: targets must be >= 1, got {min(counts)}")
    height, width = frames[0].shape[:2]
    if width < SIDES[0] or height < SIDES[1]:
        raise ValueError(f"profile: {width}x{height} frames are smaller than a target")
    room = torch.tensor([width - SIDES[0], height - SIDES[1]])
    corners = torch.rand(max(counts), 2, generator=torch.Generator().manual_seed(0)) * room
    trackers = {count: MultiTracker(network) for count in counts}
    for count, tracker in trackers.items():
        for x, y in corners[:count].tolist():
            tracker.add(frames[0], (x, y, *SIDES))
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    for frame in frames[1:]:
        for count, tracker in trackers.items():
            start = time.perf_counter()
            tracker.update(frame)  # its boxes are on the CPU, so a GPU has finished
            seconds[count].append(time.perf_counter() - start)
    return {count: laps[warm:] for count, laps in seconds.items()}
