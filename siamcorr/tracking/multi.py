"""Many targets, one network, one forward a frame."""

from collections import defaultdict
from collections.abc import Sequence

import torch

from siamcorr.models import Network, Template
from siamcorr.tracking.batching import NetworkRunner
from siamcorr.tracking.boxes import Image, check_frame
from siamcorr.tracking.crops import Crop
from siamcorr.tracking.redetection import Observation, check_recoverable
from siamcorr.tracking.redetection_search import place_budget, search, stack
from siamcorr.tracking.state import (
    TargetState,
    TrackResult,
    make_result,
    start,
    step,
    update_template,
)


class MultiTracker:
    """Follow any number of targets; they come and go while others are followed.

    The boxes are those of as many single `Tracker`s, but all crops of a frame go through the
    network together. Targets that are lost share the search: a frame looks at a bounded number of
    places for all of them, so that with many lost it takes longer until one is found, and no frame
    takes much longer.

    Args:
        model: what `Tracker` takes.
        recover: search the frame for targets that are lost, as `Tracker` does.
        optimize: run a fused copy of an ordinary network, as `Tracker` does.

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

    def __init__(self, model: Network, *, recover: bool = False, optimize: bool = True) -> None:
        self.runner = NetworkRunner(model, optimize)
        self.model, self.recipe = model, self.runner.recipe
        self.recover = recover
        if recover:
            check_recoverable(self.recipe, model.preset.name)
        self._followed: dict[int, TargetState] = {}
        self._stacked: dict[tuple[int, ...], Template] = {}
        self._next = 0

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
        one = start(self.runner, frame, box_xywh, self.recover)
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
        self._check(frame)
        self._followed[number] = start(self.runner, frame, box_xywh, self.recover)
        self._stacked.clear()

    def remove(self, number: int) -> None:
        """Follow that target no more. With the last one goes the frames' shape.

        Raises:
            KeyError: it is not followed.
        """
        del self._followed[number]
        self._stacked.clear()

    @torch.inference_mode()
    def update(self, frame: Image, *, response: bool = False) -> dict[int, TrackResult]:
        """Find all targets in the next frame; results by number, none if nothing is followed.

        Raises:
            TypeError: frame is no uint8 array.
            ValueError: frame has not the shape of the ones before.
        """
        self._check(frame)
        config = self.recipe.config
        observations = self._look(frame)
        for number, observation in observations.items():
            self._followed[number] = step(self._followed[number], observation.step, frame, config)
        lost = {number: one for number, one in self._followed.items() if one.searching}
        if lost:
            after, found = search(lost, self.runner, frame, place_budget(len(self._followed)))
            self._followed |= after
            observations |= found
        results = {
            number: make_result(one, observations[number], config, response)
            for number, one in self._followed.items()
        }
        self._renew(frame)
        return results

    def _look(self, frame: Image) -> dict[int, Observation]:
        """Look for each in its place."""
        crops = {
            number: self.recipe.search_crops(frame, one.target, one.fill)
            for number, one in self._followed.items()
        }
        groups = defaultdict(list)  # one forward for each size of crop; mostly there is one
        for number, cut in crops.items():
            groups[len(cut[0].image)].append(number)
        observations: dict[int, Observation] = {}
        for numbers in groups.values():
            observations |= self._look_together(numbers, crops)
        return observations

    def _look_together(
        self, numbers: list[int], crops: dict[int, list[Crop]]
    ) -> dict[int, Observation]:
        count = len(crops[numbers[0]])  # of each target, more than one for a pyramid
        images = [crop for number in numbers for crop in crops[number]]
        logits, boxes = self.runner.predict(images, self._templates(tuple(numbers), count))
        observations = {}
        for index, number in enumerate(numbers):
            rows = slice(index * count, (index + 1) * count)
            place = self._followed[number].target
            step = self.recipe.follow(logits[rows], boxes[rows], crops[number], place)
            observations[number] = Observation(step, crops[number])
        return observations

    def _templates(self, numbers: tuple[int, ...], count: int) -> Template:
        """The templates of these targets as one batch, each as often as it has crops."""
        if numbers not in self._stacked:
            self._stacked.clear()
            templates = (self._followed[number].template for number in numbers)
            self._stacked[numbers] = stack(templates, count)
        return self._stacked[numbers]

    def _renew(self, frame: Image) -> None:
        if self.recipe.config.update_rate:
            for number, one in self._followed.items():
                self._followed[number] = update_template(one, self.runner, frame)
            self._stacked.clear()

    def _check(self, frame: Image) -> None:
        others = (one.target.frame_size for one in self._followed.values())
        check_frame(frame, next(others, None))
