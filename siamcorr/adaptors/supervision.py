"""Between two runs of a slow detector: its boxes carried on, as supervision's Detections.

A detector that takes ten frames' time leaves nine frames without boxes. Here its boxes become
targets, which are followed until it has looked again.
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

OF_A_MOMENT = ("xyxyxyxy",)  # data that is wrong as soon as the target has moved: its corners


@dataclass
class _Followed:
    """A target: where it is, and what the detector said of it.

    lost: frames in a row. missed: runs of the detector in a row.
    """

    box: Box
    score: float
    class_id: NDArray[Any] | None
    data: dict[str, Any]
    lost: int = 0
    missed: int = 0


class SiameseTracker:
    """Follow what a detector found, from one of its runs to the next.

    A target gets an id at the detection that began it, and keeps it. Detections belong to the
    followed targets that they overlap best, whatever their class; the target goes on from the
    detection's box, with its class and data. Other detections begin new targets.

    Args:
        model: what `siamcorr.Tracker` takes.
        min_iou: overlap from which a detection can be one of a followed target, 0..1.
        max_missed: a target that so many runs of the detector in a row did not find is dropped.
        max_lost: a target that is lost for so many frames in a row is dropped.
        lost_below: a score under it is a loss, beside what the model's preset takes for one.
        color: order of the frames' channels, "bgr" as cv2 and supervision read them, or "rgb".

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
        """Forget all targets, as before another video; ids begin at 1 again."""
        self._multi = MultiTracker(self.model)
        self._followed: dict[int, _Followed] = {}  # by the MultiTracker's numbers

    def update(self, frame: Image, detections: "Detections | None" = None) -> "Detections":
        """The targets in the next frame.

        Args:
            frame: (H, W, 3) uint8.
            detections: what the detector found in this frame, maybe nothing; None if it did not
                look. Those without a size or outside of the frame are left out.

        Returns:
            The targets in sight, by id: xyxy in pixels, tracker_id, class_id and data of each
            one's last detection. Confidence is the detector's where it found the target in this
            frame, 1 if it says none, else the tracker's score. Masks are not carried on.

        Raises:
            TypeError: frame is no uint8 array, or detections are no supervision.Detections.
            ValueError: frame is not (H, W, 3) or has another shape than the ones before, or
                detections of two runs do not have the same fields.
        """
        check_frame(frame)
        if detections is not None:
            detections = _usable(detections, frame.shape[:2])
        if self.color == "bgr":
            frame = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
        self._move(frame)
        if detections is not None:
            self._correct(frame, detections)
        for number, one in list(self._followed.items()):
            if one.lost >= self.max_lost or one.missed >= self.max_missed:
                self._multi.remove(number)
                del self._followed[number]
        return _as_detections({n + 1: one for n, one in self._followed.items() if not one.lost})

    def _move(self, frame: Image) -> None:
        results = self._multi.update(frame)
        for number, one in self._followed.items():
            result = results[number]
            one.box, one.score = result.box_xywh, result.score
            lost = result.lost or result.score < self.lost_below
            one.lost = one.lost + 1 if lost else 0

    def _correct(self, frame: Image, detections: "Detections") -> None:
        """Go on from the detector's boxes, and begin with those that are new."""
        numbers = [*self._followed]
        boxes = [self._followed[number].box for number in numbers]
        owners = matched(boxes, detections, self.min_iou)
        for number in numbers:
            self._followed[number].missed += 1  # unless it is one of the owners
        for index in range(len(detections)):
            one = _found(detections, index)
            if index in owners:
                number = numbers[owners[index]]
                self._multi.renew(number, frame, one.box)
            else:
                number = self._multi.add(frame, one.box)
            self._followed[number] = one


def matched(boxes: Sequence[Box], detections: "Detections", min_iou: float) -> dict[int, int]:
    """Which detection is of which box: pairs whose overlaps have the largest sum.

    Args:
        boxes: (x, y, w, h) in pixels.
        detections: in the same frame.
        min_iou: pairs that overlap less are none.

    Returns:
        The index of the box by that of the detection.
    """
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]
    from supervision import box_iou_batch

    if not boxes or not len(detections):
        return {}
    overlaps = box_iou_batch(_corners(boxes), detections.xyxy)  # (boxes, detections)
    overlaps = np.where(overlaps >= min_iou, overlaps, 0)
    pairs = zip(*linear_sum_assignment(overlaps, maximize=True), strict=True)
    return {int(column): int(row) for row, column in pairs if overlaps[row, column]}


def _found(detections: "Detections", index: int) -> _Followed:
    """The target of one of the detections."""
    x1, y1, x2, y2 = (float(value) for value in detections.xyxy[index])
    confidence, class_id, one = detections.confidence, detections.class_id, slice(index, index + 1)
    return _Followed(
        (x1, y1, x2 - x1, y2 - y1),
        1.0 if confidence is None else float(confidence[index]),
        None if class_id is None else class_id[one],
        {key: rows[one] for key, rows in detections.data.items() if key not in OF_A_MOMENT},
    )


def _usable(detections: "Detections", frame_size: tuple[int, ...]) -> "Detections":
    """Those that a tracker can start on: with a size, and a part of them in the frame."""
    from supervision import Detections

    if not isinstance(detections, Detections):
        got = type(detections).__name__
        raise TypeError(f"detections must be supervision.Detections, got {got}")
    (x1, y1, x2, y2), (height, width) = detections.xyxy.T, frame_size
    inside = (x1 < width) & (y1 < height) & (x2 > 0) & (y2 > 0)
    return cast(Detections, detections[inside & (x1 < x2) & (y1 < y2)])


def _as_detections(followed: dict[int, _Followed]) -> "Detections":
    from supervision import Detections

    if not followed:
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
        for number, one in followed.items()
    ]
    return Detections.merge(rows)


def _corners(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """(N, 4) x1, y1, x2, y2 of boxes x, y, w, h."""
    array = np.array(boxes, dtype=float)
    array[:, 2:] += array[:, :2]
    return array
