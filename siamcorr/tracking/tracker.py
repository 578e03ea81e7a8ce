"""One target, followed from frame to frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from siamcorr.models import Network, Template
from siamcorr.tracking.boxes import Box, Image, check_box, check_frame
from siamcorr.tracking.crops import Crop, mean_color
from siamcorr.tracking.decoding import Map
from siamcorr.tracking.forward import as_eval, blended, crops_to_tensor, predict, region_of
from siamcorr.tracking.recipes import recipe_of
from siamcorr.tracking.recovery import (
    Memory,
    Sight,
    check_recoverable,
    followed,
    remembered,
    search,
)
from siamcorr.tracking.target import Target


@dataclass(frozen=True)
class TrackResult:
    """What a tracker says about a frame.

    box_xywh: in frame pixels.
    score: the network's confidence in the box, 0..1.
    lost: the score is below what the preset takes for a target in sight; with `recover`, the
        target is not seen for certain, and the box is that of its last sight.
    response: (S, S) scores over the search crop, if asked for.
    region: box_xywh of what the response covers, in frame pixels.
    """

    box_xywh: Box
    score: float
    lost: bool = False
    response: Map | None = None
    region: Box | None = None


class Tracker:
    """Follow one target with a Siamese network.

    Frames are (H, W, 3) uint8 RGB, boxes (x, y, w, h) in float pixels, 0-based. The network is
    set to eval mode and otherwise left alone: many trackers may share it. How its maps are read
    is the recipe's, by the network's preset.

    Args:
        model: see `siamcorr.models.build_model`, and `for_inference` for a faster one; it runs on
            the device where its weights are.
        recover: search the frame for a target that is lost, see `siamcorr.tracking.recovery`;
            else it is looked for where the last box is, as benchmarks of short-term trackers ask.

    Raises:
        ValueError: recover, and the preset does not say what score is a loss.

    Example:
        >>> import numpy as np
        >>> from siamcorr.models import build_model
        >>> tracker = Tracker(build_model("nanotrack-v2"))
        >>> frame = np.zeros((240, 320, 3), np.uint8)
        >>> tracker.init(frame, (100, 80, 40, 60))
        >>> len(tracker.update(frame).box_xywh)
        4
    """

    def __init__(self, model: Network, *, recover: bool = False) -> None:
        self.model = as_eval(model)
        self.device = model.device
        self.recipe = recipe_of(model.preset)
        self.recover = recover
        if recover:
            check_recoverable(self.recipe, model.preset.name)
        self._template: Template | None = None
        self._memory: Memory | None = None

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
        self._memory = remembered(frame, self._target, self._fill) if self.recover else None

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
        sight = self._search(frame) if self._searching else self._follow(frame)
        step = sight.step
        region = region_of(sight.crops, step.response, self.recipe.config.stride)
        lost = step.score < self.recipe.config.lost_below
        if self._memory is not None:
            self._target, lost = self._memory.target, self._memory.lost
        if self._memory is None or not lost:
            self._renew_template(frame)
        kept = step.response if response else None
        return TrackResult(self.box_xywh, step.score, lost, kept, region)

    @property
    def box_xywh(self) -> Box:
        """The target's box after the last `init` or `update`."""
        return self._target.box_xywh

    @property
    def _searching(self) -> bool:
        return self._memory is not None and self._memory.searching

    def _follow(self, frame: Image) -> Sight:
        memory = self._memory
        target = self._target if memory is None else memory.spots[0]
        crops = self.recipe.search_crops(frame, target, self._fill)
        step = self.recipe.follow(*self._predict(crops), crops, target)
        self._target = step.target
        if memory is not None:
            self._memory = followed(memory, step, frame, self._fill, self.recipe.config)
        return Sight(step, crops)

    def _search(self, frame: Image) -> Sight:
        assert self._memory is not None
        self._memory, sight = search(self._memory, self.recipe, frame, self._fill, self._predict)
        return sight

    def _predict(self, crops: list[Crop]) -> tuple[Map, Map]:
        assert self._template is not None
        return predict(self.model, self._tensor(crops), self._template)

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
