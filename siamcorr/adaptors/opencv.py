"""OpenCV's trackers with our interface, and our tracker with OpenCV's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from siamcorr.models import Network
from siamcorr.tracking import Box, Tracker
from siamcorr.tracking.boxes import Image


class OpenCVTracker:
    """A `siamcorr.Tracker` with the interface of cv2.Tracker.

    Images are BGR, as cv2 reads them; boxes are (x, y, w, h).

    Args:
        model: a network, as for `Tracker`.

    Example:
        >>> from siamcorr.models import build_model
        >>> tracker = OpenCVTracker(build_model("nanotrack-v2"))
        >>> image = np.zeros((120, 160, 3), np.uint8)
        >>> tracker.init(image, (40, 30, 50, 40))
        >>> ok, box = tracker.update(image)
    """

    def __init__(self, model: Network) -> None:
        self._tracker = Tracker(model)
        self._score = 0.0

    def init(self, image: Image, boundingBox: Sequence[float]) -> None:  # noqa: N803
        """Start on the target inside the box; the argument's name is OpenCV's."""
        self._tracker.init(_swap_channels(image), boundingBox)

    def update(self, image: Image) -> tuple[bool, Box]:
        """Return whether the target is visible, and its box."""
        result = self._tracker.update(_swap_channels(image))
        self._score = result.score
        return not result.lost, result.box_xywh

    def getTrackingScore(self) -> float:  # noqa: N802
        """Return the last score, 0..1; the method's name is OpenCV's."""
        return self._score


class PeerResult(NamedTuple):
    """Result of an OpenCV tracker; after a failure, the box is the last one found."""

    box_xywh: Box
    lost: bool


class Peer:
    """One of OpenCV's own trackers with our interface: RGB frames, results with box_xywh.

    Args:
        name: csrt, kcf, mil, nano or vit. csrt and kcf need opencv-contrib-python.
        folder: folder with the ONNX files of nano (nanotrack_backbone_sim.onnx,
            nanotrack_head_sim.onnx) and vit (vitTracker.onnx).

    Raises:
        ValueError: this OpenCV does not have the tracker, or its files are missing.
    """

    def __init__(self, name: str, folder: str | Path = ".") -> None:
        self._name = name
        self._peer = _create(name, Path(folder))

    def init(self, frame: Image, box_xywh: Sequence[float]) -> None:
        """Start on the target inside the box, rounded to whole pixels for OpenCV.

        Raises:
            ValueError: OpenCV cannot use the box; mil, for example, needs it inside the frame.
        """
        self._box: Box = tuple(float(value) for value in box_xywh)  # type: ignore[assignment]
        self._call(self._peer.init, _swap_channels(frame), [round(value) for value in box_xywh])

    def update(self, frame: Image) -> PeerResult:
        """Find the target in the next frame.

        Raises:
            ValueError: OpenCV cannot use the frame.
        """
        found, box = self._call(self._peer.update, _swap_channels(frame))
        if found:
            x, y, w, h = (float(value) for value in box)
            self._box = (x, y, w, h)
        return PeerResult(self._box, not found)

    def _call(self, function: Any, *args: Any) -> Any:
        """Call OpenCV; cv2.error, which is no builtin error, becomes ValueError."""
        try:
            return function(*args)
        except cv2.error as error:
            raise ValueError(f"opencv:{self._name}: {error}") from None


def _create(name: str, folder: Path) -> Any:
    makers = {"csrt": "TrackerCSRT", "kcf": "TrackerKCF", "mil": "TrackerMIL"}
    files = {
        "nano": ("TrackerNano", ("nanotrack_backbone_sim.onnx", "nanotrack_head_sim.onnx")),
        "vit": ("TrackerVit", ("vitTracker.onnx",)),
    }
    if name not in makers and name not in files:
        known = ", ".join(sorted([*makers, *files]))
        raise ValueError(f"opencv:{name}: OpenCV has no such tracker, only {known}")
    kind, needed = files.get(name, (makers.get(name, ""), ()))
    maker: Any = getattr(cv2, kind, None) or getattr(getattr(cv2, "legacy", None), kind, None)
    if maker is None:
        raise ValueError(f"opencv:{name}: this OpenCV has no {kind}; opencv-contrib-python may")
    missing = [file for file in needed if not (folder / file).is_file()]
    if missing:
        raise ValueError(f"opencv:{name}: no {', '.join(missing)} in {folder}")
    if not needed:
        return maker.create()
    params = maker.Params()
    paths = [str(folder / file) for file in needed]
    if name == "nano":
        params.backbone, params.neckhead = paths
    else:
        params.net = paths[0]
    return maker.create(params)


def _swap_channels(image: Image) -> Image:
    """Convert RGB to BGR or back."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR).astype(np.uint8)
