"""Track a slow detector's boxes between its runs, as supervision's Detections.

A detector that takes the time of ten frames leaves nine frames without boxes. Here its boxes become
targets, which are tracked until its next run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.models import Network
from siamcorr.tracking import Box, MultiTracker
from siamcorr.tracking.boxes import Image, check_frame

if TYPE_CHECKING:
    from supervision import Detections

ONE_FRAME_DATA = ("xyxyxyxy",)  # data that is valid in one frame only: the corners


@dataclass
class _Target:
    """A target, with the data of its last detection.

    lost: number of consecutive frames in which the target is lost.
    missed: number of consecutive runs in which the detector did not find it.
    """

    box: Box
    score: float
    class_id: NDArray[Any] | None
    data: dict[str, Any]
    lost: int = 0
    missed: int = 0


class SiameseTracker:
    """Track the boxes of a detector from one of its runs to the next.

    Every target keeps the id of its first detection. Detections are matched with the tracked
    targets by the largest sum of overlaps, for any class; a matched target continues from the
    detection's box, with its class and data. Other detections start new targets.

    Args:
        model: a network, as for `siamcorr.Tracker`.
        min_iou: minimum overlap of a detection and its target, 0..1.
        max_missed: drop a target after this number of consecutive detector runs without it.
        max_lost: drop a target after this number of consecutive frames in which it is lost.
        lost_below: a target with a lower score is lost, in addition to the preset's own rule.
        color: channel order of the frames: "bgr", as cv2 and supervision read them, or "rgb".

    Raises:
        ValueError: supervision is not installed, or an argument is out of range.

    Example:
        tracker = SiameseTracker(for_inference(build_model("siamcorr-lite", pretrained=True)))
        for index, frame in enumerate(sv.get_video_frames_generator("street.mp4")):
            found = detect(frame) if index % 10 == 0 else None
            detections = tracker.update(frame, found)
    """

    def __init__(
        self,
        model: Network,
        *,
        min_iou: float = 0.3,
        max_missed: int = 3,
        max_lost: int = 30,
        lost_below: float = 0.0,
        color: str = "bgr",
    ) -> None:
        try:
            import supervision  # noqa: F401
        except ModuleNotFoundError as error:
            raise ValueError(f"{error}: pip install 'siamcorr[eval]'") from None
        if not 0 < min_iou <= 1 or not 0 <= lost_below <= 1:
            text = f"got {min_iou:g} and {lost_below:g}"
            raise ValueError(f"min_iou must be in (0, 1], lost_below in 0..1, {text}")
        if max_missed < 1 or max_lost < 1:
            text = f"got {max_missed} and {max_lost}"
            raise ValueError(f"max_missed and max_lost must be >= 1, {text}")
        if color not in ("bgr", "rgb"):
            raise ValueError(f"color must be bgr or rgb, got {color!r}")
        self.model = model
        self.min_iou, self.max_missed, self.max_lost = min_iou, max_missed, max_lost
        self.lost_below, self.color = lost_below, color
        self.reset()

    def reset(self) -> None:
        """Remove all targets, for a new video; ids start at 1 again."""
        self._multi = MultiTracker(self.model)
        self._targets: dict[int, _Target] = {}  # by the MultiTracker's numbers

    def update(self, frame: Image, detections: "Detections | None" = None) -> "Detections":
        """Track the targets in the next frame.

        Args:
            frame: (H, W, 3) uint8.
            detections: the detections of this frame, maybe empty; None if the detector did not
                run. Detections without a size or outside the frame are left out.

        Returns:
            The visible targets, by id: xyxy in pixels, tracker_id, and class_id and data of the
            last detection. If the detector found the target in this frame, the confidence is the
            detector's (1 if it gives none), else it is the tracker's score. Masks are not kept.

        Raises:
            TypeError: frame is not a uint8 array, or detections are not supervision.Detections.
            ValueError: frame is not (H, W, 3) or differs in shape from earlier frames, or the
                detections of two runs have different fields.
        """
        check_frame(frame)
        if detections is not None:
            detections = _select_usable(detections, frame.shape[:2])
        if self.color == "bgr":
            frame = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
        self._move(frame)
        if detections is not None:
            self._correct(frame, detections)
        for number, one in list(self._targets.items()):
            if one.lost >= self.max_lost or one.missed >= self.max_missed:
                self._multi.remove(number)
                del self._targets[number]
        return _as_detections({n + 1: one for n, one in self._targets.items() if not one.lost})

    def _move(self, frame: Image) -> None:
        results = self._multi.update(frame)
        for number, one in self._targets.items():
            result = results[number]
            one.box, one.score = result.box_xywh, result.score
            lost = result.lost or result.score < self.lost_below
            one.lost = one.lost + 1 if lost else 0

    def _correct(self, frame: Image, detections: "Detections") -> None:
        """Move matched targets to the detector's boxes, and start new targets."""
        numbers = [*self._targets]
        boxes = [self._targets[number].box for number in numbers]
        matches = match_boxes(boxes, detections, self.min_iou)
        for number in numbers:
            self._targets[number].missed += 1  # a matched target is replaced below, with 0
        for index in range(len(detections)):
            one = _make_target(detections, index)
            if index in matches:
                number = numbers[matches[index]]
                self._multi.renew(number, frame, one.box)
            else:
                number = self._multi.add(frame, one.box)
            self._targets[number] = one


def match_boxes(boxes: Sequence[Box], detections: "Detections", min_iou: float) -> dict[int, int]:
    """Match detections with boxes so that the sum of their overlaps is as large as possible.

    Args:
        boxes: (x, y, w, h) in pixels.
        detections: detections in the same frame.
        min_iou: minimum overlap of a pair.

    Returns:
        The index of the box by the index of the detection.
    """
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]
    from supervision import box_iou_batch

    if not boxes or not len(detections):
        return {}
    overlaps = box_iou_batch(_corners(boxes), detections.xyxy)  # (boxes, detections)
    overlaps = np.where(overlaps >= min_iou, overlaps, 0)
    pairs = zip(*linear_sum_assignment(overlaps, maximize=True), strict=True)
    return {int(column): int(row) for row, column in pairs if overlaps[row, column]}


def _make_target(detections: "Detections", index: int) -> _Target:
    """Make a target from one of the detections."""
    x1, y1, x2, y2 = (float(value) for value in detections.xyxy[index])
    confidence, class_id, one = detections.confidence, detections.class_id, slice(index, index + 1)
    return _Target(
        (x1, y1, x2 - x1, y2 - y1),
        1.0 if confidence is None else float(confidence[index]),
        None if class_id is None else class_id[one],
        {key: rows[one] for key, rows in detections.data.items() if key not in ONE_FRAME_DATA},
    )


def _select_usable(detections: "Detections", frame_size: tuple[int, ...]) -> "Detections":
    """Select detections that a tracker can start on: not empty and not outside the frame."""
    from supervision import Detections

    if not isinstance(detections, Detections):
        got = type(detections).__name__
        raise TypeError(f"detections must be supervision.Detections, got {got}")
    (x1, y1, x2, y2), (height, width) = detections.xyxy.T, frame_size
    inside = (x1 < width) & (y1 < height) & (x2 > 0) & (y2 > 0)
    return cast(Detections, detections[inside & (x1 < x2) & (y1 < y2)])


def _as_detections(targets: dict[int, _Target]) -> "Detections":
    from supervision import Detections

    if not targets:
        nothing = Detections.empty()
        nothing.tracker_id = np.empty(0, dtype=int)
        return nothing
    rows = [
        Detections(
            xyxy=_corners([one.box]).astype(np.float32),
            confidence=np.array([one.score], dtype=np.float32),
            class_id=one.class_id,
            tracker_id=np.array([number]),
            data=one.data,
        )
        for number, one in targets.items()
    ]
    return Detections.merge(rows)


def _corners(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Convert boxes x, y, w, h to x1, y1, x2, y2 (N, 4)."""
    array = np.array(boxes, dtype=float)
    array[:, 2:] += array[:, :2]
    return array
