"""One target, followed from frame to frame."""

from collections.abc import Sequence

import torch

from siamcorr.models import Network
from siamcorr.tracking.batching import NetworkRunner
from siamcorr.tracking.boxes import Box, Image, check_frame
from siamcorr.tracking.redetection import Observation, check_recoverable
from siamcorr.tracking.redetection_search import place_budget, search
from siamcorr.tracking.state import (
    TargetState,
    TrackResult,
    make_result,
    start,
    step,
    update_template,
)


class Tracker:
    """Follow one target with a Siamese network.

    Frames are (H, W, 3) uint8 RGB, boxes (x, y, w, h) in float pixels, 0-based. How the network's
    maps are read is the recipe's, by its preset. Many trackers may share one from
    `for_inference`; of an ordinary one each makes a copy. From the first tracker on the process
    keeps the memory that it frees, see `siamcorr.models.keep_freed_memory`.

    Args:
        model: see `siamcorr.models.build_model`; it runs on the device where its weights are.
        recover: search the frame for a target that is lost, see `siamcorr.tracking.redetection`;
            else it is looked for where the last box is, as benchmarks of short-term trackers ask.
        optimize: run a fused copy of an ordinary network, see `siamcorr.models.for_inference`.
            The network itself stays as it is: no gradient comes from the copy, and weights that
            are changed later do not reach it. False runs the network itself, in eval mode.

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

    def __init__(self, model: Network, *, recover: bool = False, optimize: bool = True) -> None:
        self.runner = NetworkRunner(model, optimize)
        self.model, self.recipe = model, self.runner.recipe
        self.recover = recover
        if recover:
            check_recoverable(self.recipe, model.preset.name)
        self._one: TargetState | None = None

    @torch.inference_mode()
    def init(self, frame: Image, box_xywh: Sequence[float]) -> None:
        """Take the target inside box_xywh as the one to follow.

        Raises:
            TypeError: frame is no uint8 array.
            ValueError: frame is not (H, W, 3), or the box has no size or lies outside of it.
        """
        check_frame(frame)
        self._one = start(self.runner, frame, box_xywh, self.recover)

    @torch.inference_mode()
    def update(self, frame: Image, *, response: bool = False) -> TrackResult:
        """Find the target in the next frame.

        Raises:
            RuntimeError: `init` was not called.
            TypeError: frame is no uint8 array.
            ValueError: frame has not the shape of the first one.
        """
        one = self._begun()
        check_frame(frame, one.target.frame_size)
        crops = self.recipe.search_crops(frame, one.target, one.fill)
        maps = self.runner.predict(crops, one.template)
        observation = Observation(self.recipe.follow(*maps, crops, one.target), crops)
        one = step(one, observation.step, frame, self.recipe.config)
        if one.searching:
            after, found = search({0: one}, self.runner, frame, place_budget(1))
            one, observation = after[0], found.get(0, observation)
        self._one = update_template(one, self.runner, frame)
        return make_result(one, observation, self.recipe.config, response)

    @property
    def box_xywh(self) -> Box:
        """The target's box after the last `init` or `update`.

        Raises:
            RuntimeError: `init` was not called.
        """
        return self._begun().target.box_xywh

    def _begun(self) -> TargetState:
        if self._one is None:
            raise RuntimeError("Tracker: call init with a frame and a box first")
        return self._one
