"""One target, followed from frame to frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from siamcorr.models import Network, Template
from siamcorr.tracking.boxes import Box, Image, check_box
from siamcorr.tracking.crops import Crop, mean_color
from siamcorr.tracking.decoding import Map
from siamcorr.tracking.recipes import recipe_of
from siamcorr.tracking.target import Target


@dataclass(frozen=True)
class TrackResult:
    """What a tracker says about a frame.

    box_xywh: in frame pixels.
    score: the network's confidence in the box, 0..1.
    lost: the score is below what the preset takes for a target in sight.
    response: (S, S) scores over the search crop, if asked for.
    """

    box_xywh: Box
    score: float
    lost: bool = False
    response: Map | None = None


class Tracker:
    """Follow one target with a Siamese network.

    Frames are (H, W, 3) uint8 RGB, boxes (x, y, w, h) in float pixels, 0-based. The network is
    set to eval mode and otherwise left alone: many trackers may share it. How its maps are read
    is the recipe's, by the network's preset.

    Args:
        model: see `siamcorr.models.build_model`, and `for_inference` for a faster one; it runs on
            the device where its weights are.

    Example:
        >>> import numpy as np
        >>> from siamcorr.models import build_model
        >>> tracker = Tracker(build_model("nanotrack-v2"))
        >>> frame = np.zeros((240, 320, 3), np.uint8)
        >>> tracker.init(frame, (100, 80, 40, 60))
        >>> len(tracker.update(frame).box_xywh)
        4
    """

    def __init__(self, model: Network) -> None:
        self.model = as_eval(model)
        self.device = model.device
        self.recipe = recipe_of(model.preset)
        self._template: Template | None = None

    @torch.inference_mode()
    def init(self, frame: Image, box_xywh: Sequence[float]) -> None:
        """Take the target inside box_xywh as the one to follow.

        Raises:
            TypeError: frame is no uint8 array.
            ValueError: frame is not (H, W, 3), or the box has no size or lies outside of it.
        """
        check_frame(frame)
        height, width = frame.shape[:2]
        box = check_box(box_xywh, (height, width))
        self._target = Target.from_box(box, (height, width))
        self._frame_shape = frame.shape
        self._fill = mean_color(frame)
        self._template = self._look_at(frame)

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
        crops = self.recipe.search_crops(frame, self._target, self._fill)
        prediction = self.model.search(self._tensor(crops), self._template)
        logits, boxes = to_numpy(prediction.logits, prediction.boxes)
        step = self.recipe.follow(logits, boxes, crops, self._target)
        self._target = step.target
        self._renew_template(frame)
        lost = step.score < self.recipe.config.lost_below
        return TrackResult(self.box_xywh, step.score, lost, step.response if response else None)

    @property
    def box_xywh(self) -> Box:
        """The target's box after the last `init` or `update`."""
        return self._target.box_xywh

    def _look_at(self, frame: Image) -> Template:
        """The target as the network knows it from this frame."""
        crop = self.recipe.template_crop(frame, self._target, self._fill)
        return self.model.template(self._tensor([crop]))

    def _renew_template(self, frame: Image) -> None:
        """Take over a share of how the target looks now, if the recipe says so."""
        rate = self.recipe.config.update_rate
        if rate and self._template is not None:
            self._template = blended(self._template, self._look_at(frame), rate)

    def _tensor(self, crops: list[Crop]) -> Tensor:
        return crops_to_tensor(crops, self.recipe.crop.color, self.device)


def blended(template: Template, fresh: Template, rate: float) -> Template:
    """A template that has taken over a share (rate, 0..1) of a fresh one."""
    return tuple(old + rate * (new - old) for old, new in zip(template, fresh, strict=True))


def as_eval(model: Network) -> Network:
    """The network, in eval mode if it knows modes."""
    if isinstance(model, nn.Module):
        model.eval()
    return model


def crops_to_tensor(crops: list[Crop], color: str, device: torch.device) -> Tensor:
    """What a network takes: (N, 3, S, S) float, 0..255, channels last, in one copy to the device.

    Args:
        crops: N of one size, RGB.
        color: "rgb" or "bgr", the order that the network wants.
        device: where it runs.
    """
    images = [crop.image for crop in crops]
    if color == "bgr":
        images = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR).astype(np.uint8) for image in images]
    stacked = torch.from_numpy(np.stack(images)).to(device)  # (N, S, S, 3) uint8
    return stacked.permute(0, 3, 1, 2).float()


def to_numpy(logits: Tensor, boxes: Tensor) -> tuple[Map, Map]:
    """Both maps of a prediction as float32 arrays, in one copy from the device."""
    together = torch.cat([logits, boxes], dim=1).float().cpu().numpy()
    return together[:, : logits.shape[1]], together[:, logits.shape[1] :]


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
