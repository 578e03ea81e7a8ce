"""Track many targets with one network, in one forward per frame."""

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
    """Track any number of targets; targets can be added and removed at any time.

    The boxes equal those of one `Tracker` per target, but all crops of a frame go through the
    network in one batch. Lost targets share one search budget: a frame searches a bounded number
    of places for all of them. With many lost targets, re-detection takes more frames, but no frame
    takes much longer.

    Args:
        model: as for `Tracker`.
        recover: search the frame for lost targets, as `Tracker` does.
        optimize: run a fused copy of an ordinary network, as `Tracker` does.

    Raises:
        ValueError: recover=True, but the preset has no `lost_below`.

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
        """Add the target inside box_xywh, and return its number.

        Raises:
            TypeError: frame is not a uint8 array.
            ValueError: frame is not (H, W, 3) or has another shape than the earlier frames, or the
                box has no size or lies outside the frame.
        """
        self._check(frame)
        state = start(self.runner, frame, box_xywh, self.recover)
        number, self._next = self._next, self._next + 1
        self._followed[number] = state
        return number

    @torch.inference_mode()
    def renew(self, number: int, frame: Image, box_xywh: Sequence[float]) -> None:
        """Restart a target from another box, as if it had been added there.

        Raises:
            KeyError: no such target.
            TypeError, ValueError: as `add`.
        """
        if number not in self._followed:
            raise KeyError(number)
        self._check(frame)
        self._followed[number] = start(self.runner, frame, box_xywh, self.recover)
        self._stacked.clear()

    def remove(self, number: int) -> None:
        """Remove a target. After the last one is removed, frames may have another shape.

        Raises:
            KeyError: no such target.
        """
        del self._followed[number]
        self._stacked.clear()

    @torch.inference_mode()
    def update(self, frame: Image, *, response: bool = False) -> dict[int, TrackResult]:
        """Find all targets in the next frame; return results by number, empty without targets.

        Raises:
            TypeError: frame is not a uint8 array.
            ValueError: frame has another shape than the earlier frames.
        """
        self._check(frame)
        config = self.recipe.config
        observations = self._follow_all(frame)
        for number, observation in observations.items():
            self._followed[number] = step(self._followed[number], observation.step, frame, config)
        lost = {number: state for number, state in self._followed.items() if state.searching}
        if lost:
            after, found = search(lost, self.runner, frame, place_budget(len(self._followed)))
            self._followed |= after
            observations |= found
        results = {
            number: make_result(state, observations[number], config, response)
            for number, state in self._followed.items()
        }
        self._update_templates(frame)
        return results

    def _follow_all(self, frame: Image) -> dict[int, Observation]:
        """Track each target around its last place."""
        crops = {
            number: self.recipe.search_crops(frame, state.target, state.fill)
            for number, state in self._followed.items()
        }
        groups = defaultdict(list)  # one forward per crop size; mostly there is only one
        for number, cut in crops.items():
            groups[len(cut[0].image)].append(number)
        observations: dict[int, Observation] = {}
        for numbers in groups.values():
            observations |= self._follow_batch(numbers, crops)
        return observations

    def _follow_batch(
        self, numbers: list[int], crops: dict[int, list[Crop]]
    ) -> dict[int, Observation]:
        count = len(crops[numbers[0]])  # per target, more than one for a pyramid
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
        """The templates of these targets as one batch, each repeated once per crop."""
        if numbers not in self._stacked:
            self._stacked.clear()
            templates = (self._followed[number].template for number in numbers)
            self._stacked[numbers] = stack(templates, count)
        return self._stacked[numbers]

    def _update_templates(self, frame: Image) -> None:
        if self.recipe.config.update_rate:
            for number, state in self._followed.items():
                self._followed[number] = update_template(state, self.runner, frame)
            self._stacked.clear()

    def _check(self, frame: Image) -> None:
        others = (state.target.frame_size for state in self._followed.values())
        check_frame(frame, next(others, None))
