"""Many targets, one network, one forward a frame."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from siamcorr.models import Network, Template
from siamcorr.tracking.boxes import Image, check_box, check_frame
from siamcorr.tracking.crops import Color, Crop, mean_color
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
from siamcorr.tracking.tracker import TrackResult


@dataclass
class _Followed:
    """A target, its template with a batch of 1, and the colour beyond its first frame.

    memory: only where lost targets are searched for.
    """

    target: Target
    template: Template
    fill: Color
    memory: Memory | None = None

    @property
    def place(self) -> Target:
        """Where the next frame looks for it."""
        return self.target if self.memory is None else self.memory.spots[0]

    @property
    def searching(self) -> bool:
        """Whether the next frame is searched for it."""
        return self.memory is not None and self.memory.searching


class MultiTracker:
    """Follow any number of targets; they come and go while others are followed.

    The boxes are those of as many single `Tracker`s, but all crops of a frame go through the
    network together; those that search for a lost target go on their own.

    Args:
        model: what `Tracker` takes.
        recover: search the frame for targets that are lost, as `Tracker` does.

    Raises:
        ValueError: recover, and the preset does not say what score is a loss.

    Example:
        >>> import numpy as np
        >>> from siamcorr.models import build_model
        >>> tracker = MultiTracker(build_model("nanotrack-v2"))
        >>> frame = np.zeros((240, 320, 3), np.uint8)
        >>> one, other = tracker.add(frame, (10, 10, 40, 40)), tracker.add(frame, (90, 80, 50, 30))
        >>> sorted(tracker.update(frame)) == [one, other]
        True
    """

    def __init__(self, model: Network, *, recover: bool = False) -> None:
        self.model = as_eval(model)
        self.recipe = recipe_of(model.preset)
        self.recover = recover
        if recover:
            check_recoverable(self.recipe, model.preset.name)
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
        one = self._begun(frame, box_xywh)
        number, self._next = self._next, self._next + 1
        self._followed[number] = one
        return number

    @torch.inference_mode()
    def renew(self, number: int, frame: Image, box_xywh: Sequence[float]) -> None:
        """Go on with a target from another box, as if it had been added there.

        Raises:
            KeyError: it is not followed.
            TypeError, ValueError: as `add`.
        """
        if number not in self._followed:
            raise KeyError(number)
        self._followed[number] = self._begun(frame, box_xywh)
        self._stacked.clear()

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
        lost = [number for number, one in self._followed.items() if one.searching]
        sights = self._follow(frame) | {number: self._search(number, frame) for number in lost}
        self._renew(frame)
        return {
            number: self._result(one, sights[number], response)
            for number, one in self._followed.items()
        }

    def _follow(self, frame: Image) -> dict[int, Sight]:
        """Those that are in sight, or were so a moment ago."""
        crops = {
            number: self.recipe.search_crops(frame, one.place, one.fill)
            for number, one in self._followed.items()
            if not one.searching
        }
        groups = defaultdict(list)  # one forward for each size of crop; mostly there is one
        for number, cut in crops.items():
            groups[len(cut[0].image)].append(number)
        sights: dict[int, Sight] = {}
        for numbers in groups.values():
            sights |= self._look(numbers, crops)
        for number, sight in sights.items():
            one = self._followed[number]
            one.target = sight.step.target
            if one.memory is not None:
                config = self.recipe.config
                one.memory = followed(one.memory, sight.step, frame, one.fill, config)
                one.target = one.memory.target
        return sights

    def _search(self, number: int, frame: Image) -> Sight:
        """One that is lost, all over the frame."""
        one = self._followed[number]
        assert one.memory is not None

        def predict(crops: list[Crop]) -> tuple[Map, Map]:
            return self._predict(crops, one.template)

        one.memory, sight = search(one.memory, self.recipe, frame, one.fill, predict)
        one.target = one.memory.target
        return sight

    def _result(self, one: _Followed, sight: Sight, response: bool) -> TrackResult:
        step, config = sight.step, self.recipe.config
        return TrackResult(
            one.target.box_xywh,
            step.score,
            step.score < config.lost_below if one.memory is None else one.memory.lost,
            step.response if response else None,
            region_of(sight.crops, step.response, config.stride),
        )

    def _begun(self, frame: Image, box_xywh: Sequence[float]) -> _Followed:
        self._check(frame)
        height, width = frame.shape[:2]
        target = Target.from_box(check_box(box_xywh, (height, width)), (height, width))
        fill = mean_color(frame)
        memory = remembered(frame, target, fill) if self.recover else None
        one = _Followed(target, self._template(frame, target, fill), fill, memory)
        self._frame_shape = frame.shape
        return one

    def _look(self, numbers: list[int], crops: dict[int, list[Crop]]) -> dict[int, Sight]:
        count = len(crops[numbers[0]])  # of each target, more than one for a pyramid
        images = [crop for number in numbers for crop in crops[number]]
        logits, boxes = self._predict(images, self._templates(tuple(numbers), count))
        sights = {}
        for index, number in enumerate(numbers):
            rows = slice(index * count, (index + 1) * count)
            place = self._followed[number].place
            step = self.recipe.follow(logits[rows], boxes[rows], crops[number], place)
            sights[number] = Sight(step, crops[number])
        return sights

    def _predict(self, crops: list[Crop], template: Template) -> tuple[Map, Map]:
        return predict(self.model, self._tensor(crops), template)

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
        return self.model.template(self._tensor([crop]))

    def _tensor(self, crops: list[Crop]) -> Tensor:
        return crops_to_tensor(crops, self.recipe.crop.color, self.model.device)

    def _renew(self, frame: Image) -> None:
        """Take over a share of how the targets look now, if the recipe says so."""
        rate = self.recipe.config.update_rate
        if not rate:
            return
        for one in self._followed.values():
            if one.memory is None or not one.memory.lost:
                fresh = self._template(frame, one.target, one.fill)
                one.template = blended(one.template, fresh, rate)
        self._stacked.clear()

    def _check(self, frame: Image) -> None:
        check_frame(frame)
        if self._frame_shape not in (None, frame.shape):
            raise ValueError(f"frame is {frame.shape}, but the first one was {self._frame_shape}")
