"""Track one target from frame to frame."""

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
    """Track one target with a Siamese network.

    Frames are (H, W, 3) uint8 RGB, boxes (x, y, w, h) in float pixels, 0-based. The preset's
    recipe decodes the network's maps. Many trackers can share one network from `for_inference`; of
    any other network each tracker makes its own fused copy. The first tracker also makes the
    process keep freed memory, see `siamcorr.models.keep_freed_memory`.

    Args:
        model: see `siamcorr.models.build_model`; it runs on the device of its weights.
        recover: search the frame for a lost target, see `siamcorr.tracking.redetection`. False
            searches only around the last box, as benchmarks of short-term trackers require.
        optimize: run a fused copy of an ordinary network, see `siamcorr.models.for_inference`.
            The network itself does not change. The copy has no gradients, and does not follow
            later changes of the weights. False runs the network itself, in eval mode.

    Raises:
        ValueError: recover=True, but the preset has no `lost_below`.

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
        self._state: TargetState | None = None

    @torch.inference_mode()
    def init(self, frame: Image, box_xywh: Sequence[float]) -> None:
        """Start to track the target inside box_xywh.

        Raises:
            TypeError: frame is not a uint8 array.
            ValueError: frame is not (H, W, 3), or the box has no size or lies outside the frame.
        """
        check_frame(frame)
        self._state = start(self.runner, frame, box_xywh, self.recover)

    @torch.inference_mode()
    def update(self, frame: Image, *, response: bool = False) -> TrackResult:
        """Find the target in the next frame.

        Raises:
            RuntimeError: `init` was not called.
            TypeError: frame is not a uint8 array.
            ValueError: frame has another shape than the first frame.
        """
        state = self._require_state()
        check_frame(frame, state.target.frame_size)
        crops = self.recipe.search_crops(frame, state.target, state.fill)
        maps = self.runner.predict(crops, state.template)
        observation = Observation(self.recipe.follow(*maps, crops, state.target), crops)
        state = step(state, observation.step, frame, self.recipe.config)
        if state.searching:
            after, found = search({0: state}, self.runner, frame, place_budget(1))
            state, observation = after[0], found.get(0, observation)
        self._state = update_template(state, self.runner, frame)
        return make_result(state, observation, self.recipe.config, response)

    @property
    def box_xywh(self) -> Box:
        """The target's box after the last `init` or `update`.

        Raises:
            RuntimeError: `init` was not called.
        """
        return self._require_state().target.box_xywh

    def _require_state(self) -> TargetState:
        if self._state is None:
            raise RuntimeError("Tracker: call init with a frame and a box first")
        return self._state
