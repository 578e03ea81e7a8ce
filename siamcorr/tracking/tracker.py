"""One target, followed from frame to frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from siamcorr.models import SiameseNetwork, Template
from siamcorr.tracking.boxes import Box, Image, check_box
from siamcorr.tracking.crops import Crop, context_side, crop_square, mean_color
from siamcorr.tracking.decoding import (
    Best,
    Map,
    best_box,
    boxes_from_distances,
    cosine_window,
    point_grid,
    softmax_score,
)

SMALLEST_SIDE = 10.0  # pixels; a box never shrinks below it


@dataclass(frozen=True)
class TrackResult:
    """What a tracker says about a frame.

    box_xywh: in frame pixels.
    score: the network's confidence in the box, 0..1.
    response: (S, S) scores over the search crop, if asked for.
    """

    box_xywh: Box
    score: float
    response: Map | None = None


class Tracker:
    """Follow one target with a Siamese network.

    Frames are (H, W, 3) uint8 RGB, boxes (x, y, w, h) in float pixels, 0-based. The network is
    set to eval mode and otherwise left alone: many trackers may share it.

    Args:
        model: see `siamcorr.models.build_model`; it runs on the device where its weights are.

    Reference:
        Li et al., SiamRPN, CVPR 2018, for the penalty, the window and the smoothed size.

    Example:
        >>> import numpy as np
        >>> from siamcorr.models import build_model
        >>> tracker = Tracker(build_model("nanotrack-v2"))
        >>> frame = np.zeros((240, 320, 3), np.uint8)
        >>> tracker.init(frame, (100, 80, 40, 60))
        >>> len(tracker.update(frame).box_xywh)
        4
    """

    def __init__(self, model: SiameseNetwork) -> None:
        self.model = model.eval()
        self.device = next(model.parameters()).device
        self.crop = model.preset.crop
        self.recipe = model.preset.recipe
        self._template: Template | None = None

    @torch.inference_mode()
    def init(self, frame: Image, box_xywh: Sequence[float]) -> None:
        """Take the target inside box_xywh as the one to follow.

        Raises:
            TypeError: frame is no uint8 array.
            ValueError: frame is not (H, W, 3), or the box has no size or lies outside of it.
        """
        check_frame(frame)
        x, y, w, h = check_box(box_xywh, frame.shape[:2])
        self._frame_shape = frame.shape
        self._center, self._size = (x + w / 2, y + h / 2), (w, h)
        self._fill = mean_color(frame)
        crop = self._cut(frame, context_side(w, h, self.crop.context), self.crop.template_size)
        self._template = self.model.template(self._tensor(crop))

    @torch.inference_mode()
    def update(self, frame: Image, *, response: bool = False) -> TrackResult:
        """Find the target in the next frame.

        Raises:
            RuntimeError: `init` was not called.
            TypeError: frame is no uint8 array.
            ValueError: frame has not the shape of the first one.
        """
        if self._template is None:
            raise RuntimeError("Tracker.update: call init with a frame and a box first")
        check_frame(frame)
        if frame.shape != self._frame_shape:
            raise ValueError(f"frame is {frame.shape}, but the first one was {self._frame_shape}")
        side = context_side(*self._size, self.crop.context)
        side *= self.crop.search_size / self.crop.template_size
        crop = self._cut(frame, side, self.crop.search_size)
        logits, distances = self.model.search(self._tensor(crop), self._template)
        maps = torch.cat([logits, distances], dim=1)[0].float().cpu().numpy()  # (2 + 4, S, S)
        score = softmax_score(maps[:2])
        self._follow(crop, self._decode(score, maps[2:], crop.scale))
        return TrackResult(self.box_xywh, self._score, score if response else None)

    @property
    def box_xywh(self) -> Box:
        """The target's box after the last `init` or `update`."""
        (x, y), (w, h) = self._center, self._size
        return x - w / 2, y - h / 2, w, h

    def _cut(self, frame: Image, side: float, size: int) -> Crop:
        return crop_square(frame, self._center, side, size, self._fill)

    def _tensor(self, crop: Crop) -> Tensor:
        image = torch.from_numpy(crop.image).to(self.device)  # (H, W, 3) uint8
        if self.crop.color == "bgr":
            image = image.flip(2)
        return image.permute(2, 0, 1)[None].float()  # (1, 3, H, W)

    def _decode(self, score: Map, distances: Map, scale: float) -> Best:
        cells = score.shape[0]
        points = point_grid(cells, self.recipe.stride, self.crop.search_size)
        last = self._size[0] * scale, self._size[1] * scale
        boxes = boxes_from_distances(points, distances)
        return best_box(score, boxes, last, self.recipe, cosine_window(cells))

    def _follow(self, crop: Crop, best: Best) -> None:
        """Move to the best box; smooth its size, the more the less it is trusted."""
        height, width = self._frame_shape[:2]
        x, y = crop.to_frame(best.x, best.y)
        self._center = float(np.clip(x, 0, width)), float(np.clip(y, 0, height))
        rate = best.penalty * best.score * self.recipe.learning_rate
        w = self._size[0] * (1 - rate) + best.width / crop.scale * rate
        h = self._size[1] * (1 - rate) + best.height / crop.scale * rate
        self._size = (
            float(np.clip(w, SMALLEST_SIDE, max(SMALLEST_SIDE, width))),
            float(np.clip(h, SMALLEST_SIDE, max(SMALLEST_SIDE, height))),
        )
        self._score = best.score


def check_frame(frame: Image) -> None:
    """Refuse what is no (H, W, 3) uint8 image.

    Raises:
        TypeError: no uint8 array.
        ValueError: another shape, or no size.
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        got = getattr(frame, "dtype", type(frame).__name__)
        raise TypeError(f"frame must be a uint8 array (H, W, 3), got {got}")
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise ValueError(f"frame must be (H, W, 3), got {frame.shape}")
