"""Offline tracking between marked boxes, forwards and backwards.

A mark is a box that the user gives for a frame. The target is tracked from each mark to the next
in both directions, and also from the first mark back to the first frame and from the last mark
to the end. Each frame between two marks has two results. If one of them is lost, the other is
used. If their IoU is at least 0.5, the result is their mean, weighted by score and by nearness to
the marks; otherwise it is the one with the larger weight.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

from siamcorr.models import Network
from siamcorr.tracking.boxes import Box, Image, box_iou, check_box
from siamcorr.tracking.multi import MultiTracker
from siamcorr.tracking.state import TrackResult

Name = TypeVar("Name", bound=str | int)
Results = dict[int, TrackResult]  # by frame

AGREE = 0.5  # IoU from which two boxes show the same object


class Frames(Protocol):
    """A list of images (H, W, 3), or a reader that raises IndexError after the last one."""

    def __getitem__(self, index: int, /) -> Image:
        """Return a frame, counted from 0."""


def follow_marks(
    model: Network,
    frames: Frames,
    marks: Mapping[Name, Mapping[int, Sequence[float]]],
    *,
    recover: bool = False,
    seen: Callable[[int], object] | None = None,
) -> dict[Name, list[TrackResult]]:
    """Track targets through all frames, from marked boxes in some of the frames.

    Args:
        model: as for `Tracker`.
        frames: read once forwards and once backwards.
        marks: for each target its boxes (x, y, w, h), in pixels, by frame, counted from 0. In a
            marked frame, the mark is the result.
        recover: as for `MultiTracker`.
        seen: called with the number of each frame after it was read, in both directions.

    Returns:
        For each target one result per frame.

    Raises:
        ValueError: a target without a mark, a mark in a frame that does not exist, a box without
            size or outside the frame, or frames of different sizes.

    Example:
        >>> import numpy as np
        >>> from siamcorr.models import build_model
        >>> frames = [np.zeros((120, 160, 3), np.uint8)] * 5
        >>> found = follow_marks(build_model("nanotrack-v1"), frames, {"ball": {2: (9, 9, 30, 30)}})
        >>> len(found["ball"]), found["ball"][2].box_xywh
        (5, (9.0, 9.0, 30.0, 30.0))
    """
    for name, boxes in marks.items():
        if not boxes or min(boxes) < 0:
            raise ValueError(f"target {name}: needs at least one mark; frames count from 0")
    if not marks:
        return {}
    first = min(min(boxes) for boxes in marks.values())
    last = max(max(boxes) for boxes in marks.values())
    seen = seen or (lambda _: None)
    forwards, count = _track_forwards(
        MultiTracker(model, recover=recover), frames, marks, first, seen
    )
    if last >= count:
        raise ValueError(f"a mark in frame {last}: there are {count} frames, counted from 0")
    backwards = _track_backwards(MultiTracker(model, recover=recover), frames, marks, last, seen)
    return {name: join(forwards[name], backwards[name], marks[name], count) for name in marks}


def _track_forwards(
    tracker: MultiTracker,
    frames: Frames,
    marks: Mapping[Name, Mapping[int, Sequence[float]]],
    first: int,
    seen: Callable[[int], object],
) -> tuple[dict[Name, Results], int]:
    """Track from each mark forwards; return the results and the number of frames."""
    walk, at = _Walk(tracker, marks), first
    while True:
        try:
            image = frames[at]
        except IndexError:
            return walk.found, at
        walk.step(at, image)
        seen(at)
        at += 1


def _track_backwards(
    tracker: MultiTracker,
    frames: Frames,
    marks: Mapping[Name, Mapping[int, Sequence[float]]],
    last: int,
    seen: Callable[[int], object],
) -> dict[Name, Results]:
    """Track from each mark back to the first frame."""
    walk = _Walk(tracker, marks)
    for at in range(last, -1, -1):
        walk.step(at, frames[at])
        seen(at)
    return walk.found


class _Walk(Generic[Name]):
    """Tracking in one direction; each target restarts at each of its marks."""

    def __init__(
        self, tracker: MultiTracker, marks: Mapping[Name, Mapping[int, Sequence[float]]]
    ) -> None:
        self.tracker, self.marks = tracker, marks
        self.numbers: dict[Name, int] = {}
        self.found: dict[Name, Results] = defaultdict(dict)

    def step(self, at: int, image: Image) -> None:
        """Track through the next frame of this direction."""
        if self.numbers:
            results = self.tracker.update(image)
            for name, number in self.numbers.items():
                self.found[name][at] = results[number]
        for name, boxes in self.marks.items():
            if at in boxes:
                self._start(name, at, image, boxes[at])

    def _start(self, name: Name, at: int, image: Image, box: Sequence[float]) -> None:
        try:
            marked = check_box(box, image.shape[:2])
        except ValueError as error:
            raise ValueError(f"target {name}, frame {at}: {error}") from None
        if name in self.numbers:
            self.tracker.renew(self.numbers[name], image, marked)
        else:
            self.numbers[name] = self.tracker.add(image, marked)
        self.found[name][at] = TrackResult(marked, 1.0)


def join(
    forwards: Results, backwards: Results, marks: Mapping[int, Sequence[float]], count: int
) -> list[TrackResult]:
    """Join the results of both directions into one result per frame.

    Args:
        forwards: from the first mark to the end.
        backwards: from the last mark to the first frame.
        marks: the marked frames.
        count: number of frames.
    """
    known = sorted(marks)
    results = {at: backwards[at] for at in range(known[0])}
    results |= {at: forwards[at] for at in range(known[-1], count)}
    for before, after in pairwise(known):
        results[before] = forwards[before]
        for at in range(before + 1, after):
            share = (at - before) / (after - before)
            results[at] = blend(forwards[at], backwards[at], share)
    return [results[at] for at in range(count)]


def blend(one: TrackResult, other: TrackResult, share: float) -> TrackResult:
    """Blend two results, weighted by their scores and by how near their marks are.

    Args:
        one: tracked forwards from the previous mark.
        other: tracked backwards from the next mark.
        share: position between the two marks, 0 (previous) to 1 (next).
    """
    if one.lost != other.lost:
        return other if one.lost else one
    weights = one.score * (1 - share), other.score * share
    if box_iou(one.box_xywh, other.box_xywh) < AGREE or not sum(weights):
        return one if weights[0] >= weights[1] else other
    part = weights[1] / sum(weights)
    x, y, w, h = (
        (1 - part) * a + part * b for a, b in zip(one.box_xywh, other.box_xywh, strict=True)
    )
    box: Box = x, y, w, h
    return TrackResult(box, (1 - part) * one.score + part * other.score, one.lost)
