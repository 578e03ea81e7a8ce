"""Many targets, one network, one forward a frame."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from siamcorr.models import Network, Template
from siamcorr.tracking.boxes import Image, check_box
from siamcorr.tracking.crops import Color, Crop, mean_color
from siamcorr.tracking.recipes import Step, recipe_of
from siamcorr.tracking.target import Target
from siamcorr.tracking.tracker import (
    TrackResult,
    as_eval,
    blended,
    check_frame,
    crops_to_tensor,
    to_numpy,
)


@dataclass
class _Followed:
    """A target, its template with a batch of 1, and the colour beyond its first frame."""

    target: Target
    template: Template
    fill: Color


class MultiTracker:
    """Follow any number of targets; they come and go while others are followed.

    The boxes are those of as many single `Tracker`s, but all crops of a frame go through the
    network together.

    Args:
        model: what `Tracker` takes.

    Example:
        >>> import numpy as np
        >>> from siamcorr.models import build_model
        >>> tracker = MultiTracker(build_model("nanotrack-v2"))
        >>> frame = np.zeros((240, 320, 3), np.uint8)
        >>> one, other = tracker.add(frame, (10, 10, 40, 40)), tracker.add(frame, (90, 80, 50, 30))
        >>> sorted(tracker.update(frame)) == [one, other]
        True
    """

    def __init__(self, model: Network) -> None:
        self.model = as_eval(model)
        self.recipe = recipe_of(model.preset)
        self._followed: dict[int, _Followed] = {}
        self._stacked: dict[tuple[int, ...], Template] = {}
        self._next = 0
        self._frame_shape: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self._followed)

    @torch.inference_mode()
    def add(self, frame: Image, box_xywh: Sequence[float]) -> int:
        """Take the target inside box_xywh as one more to follow; its number is returned.

        Raises:
            TypeError: frame is no uint8 array.
            ValueError: frame is not (H, W, 3) or has another shape than the ones before, or the
                box has no size or lies outside of it.
        """
        self._check(frame)
        height, width = frame.shape[:2]
        target = Target.from_box(check_box(box_xywh, (height, width)), (height, width))
        fill = mean_color(frame)
        number, self._next = self._next, self._next + 1
        self._followed[number] = _Followed(target, self._template(frame, target, fill), fill)
        return number

    def remove(self, number: int) -> None:
        """Follow that target no more.

        Raises:
            KeyError: it is not followed.
        """
        del self._followed[number]
        self._stacked.clear()
        if not self._followed:
            self._frame_shape = None  # the next target may come from another source

    @torch.inference_mode()
    def update(self, frame: Image, *, response: bool = False) -> dict[int, TrackResult]:
        """Find all targets in the next frame; results by number, none if nothing is followed.

        Raises:
            TypeError: frame is no uint8 array.
            ValueError: frame has not the shape of the ones before.
        """
        self._check(frame)
        crops = {
            number: self.recipe.search_crops(frame, followed.target, followed.fill)
            for number, followed in self._followed.items()
        }
        groups = defaultdict(list)  # one forward for each size of crop; mostly there is one
        for number, cut in crops.items():
            groups[len(cut[0].image)].append(number)
        steps: dict[int, Step] = {}
        for numbers in groups.values():
            steps |= self._search(numbers, crops)
        for number, step in steps.items():
            self._followed[number].target = step.target
        self._renew(frame)
        limit = self.recipe.config.lost_below
        return {
            number: TrackResult(
                steps[number].target.box_xywh,
                steps[number].score,
                steps[number].score < limit,
                steps[number].response if response else None,
            )
            for number in self._followed
        }

    def _search(self, numbers: list[int], crops: dict[int, list[Crop]]) -> dict[int, Step]:
        count = len(crops[numbers[0]])  # of each target, more than one for a pyramid
        images = [crop for number in numbers for crop in crops[number]]
        tensor = crops_to_tensor(images, self.recipe.crop.color, self.model.device)
        prediction = self.model.search(tensor, self._templates(tuple(numbers), count))
        logits, boxes = to_numpy(prediction.logits, prediction.boxes)
        steps = {}
        for index, number in enumerate(numbers):
            rows = slice(index * count, (index + 1) * count)
            target = self._followed[number].target
            steps[number] = self.recipe.follow(logits[rows], boxes[rows], crops[number], target)
        return steps

    def _templates(self, numbers: tuple[int, ...], count: int) -> Template:
        """The templates of these targets as one batch, each as often as it has crops."""
        if numbers not in self._stacked:
            self._stacked.clear()
            parts = zip(*(self._followed[number].template for number in numbers), strict=True)
            self._stacked[numbers] = tuple(
                torch.cat(part).repeat_interleave(count, dim=0) for part in parts
            )
        return self._stacked[numbers]

    def _template(self, frame: Image, target: Target, fill: Color) -> Template:
        crop = self.recipe.template_crop(frame, target, fill)
        color, device = self.recipe.crop.color, self.model.device
        return self.model.template(crops_to_tensor([crop], color, device))

    def _renew(self, frame: Image) -> None:
        """Take over a share of how the targets look now, if the recipe says so."""
        rate = self.recipe.config.update_rate
        if not rate:
            return
        for followed in self._followed.values():
            fresh = self._template(frame, followed.target, followed.fill)
            followed.template = blended(followed.template, fresh, rate)
        self._stacked.clear()

    def _check(self, frame: Image) -> None:
        check_frame(frame)
        if self._frame_shape is None:
            self._frame_shape = frame.shape
        if frame.shape != self._frame_shape:
            raise ValueError(f"frame is {frame.shape}, but the first one was {self._frame_shape}")
