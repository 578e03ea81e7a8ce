"""State of one tracked target, and the functions that update it from frame to frame.

`Tracker` and `MultiTracker` share them. States are immutable.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from siamcorr.models import Template
from siamcorr.models.recipe import RecipeConfig
from siamcorr.tracking.batching import NetworkRunner
from siamcorr.tracking.boxes import Box, Image, check_box
from siamcorr.tracking.crops import Color, mean_color
from siamcorr.tracking.decoding import Map
from siamcorr.tracking.recipes import Step
from siamcorr.tracking.redetection import Observation, RedetectionState, observe, start_redetection
from siamcorr.tracking.target import Target


@dataclass(frozen=True)
class TrackResult:
    """Result of tracking one target in one frame.

    Attributes:
        box_xywh: in frame pixels.
        score: the network's confidence in the box, 0..1.
        lost: the score is below the preset's `lost_below`; with `recover`, also if the box does not
            look like the target.
        response: (S, S) scores over the search crop, if requested.
        region: the area that the response covers, as box_xywh in frame pixels.
    """

    box_xywh: Box
    score: float
    lost: bool = False
    response: Map | None = None
    region: Box | None = None


@dataclass(frozen=True)
class TargetState:
    """State of a target after a frame.

    target: its place.
    template: the network's template, with a batch of 1.
    fill: colour outside the frame: the mean colour of the first frame.
    memory: state of re-detection; None without `recover`.
    """

    target: Target
    template: Template
    fill: Color
    memory: RedetectionState | None = None

    @property
    def searching(self) -> bool:
        """Whether re-detection searches the frame for this target."""
        return self.memory is not None and self.memory.searching


def start(
    runner: NetworkRunner, frame: Image, box_xywh: Sequence[float], recover: bool
) -> TargetState:
    """Start to track the target inside a box of its first frame.

    Raises:
        ValueError: the box has no size or lies outside the frame.
    """
    size = frame.shape[:2]
    target = Target.from_box(check_box(box_xywh, size), size)
    fill = mean_color(frame)
    memory = start_redetection(frame, target, fill) if recover else None
    return TargetState(target, runner.template(frame, target, fill), fill, memory)


def step(state: TargetState, found: Step, frame: Image, config: RecipeConfig) -> TargetState:
    """Move the target by the step that the maps of this frame decode to."""
    memory = state.memory and observe(state.memory, found, frame, state.fill, config)
    return replace(state, target=found.target, memory=memory)


def update_template(state: TargetState, runner: NetworkRunner, frame: Image) -> TargetState:
    """Mix a share of the current frame's template into the template, if the recipe says so."""
    rate = runner.recipe.config.update_rate
    if not rate or (state.memory is not None and state.memory.lost):
        return state
    fresh = runner.template(frame, state.target, state.fill)
    pairs = zip(state.template, fresh, strict=True)
    return replace(state, template=tuple(old + rate * (new - old) for old, new in pairs))


def make_result(
    state: TargetState, observation: Observation, config: RecipeConfig, response: bool
) -> TrackResult:
    """Build the result of a frame; with `response`, include the score map."""
    (_, score, cells), crops = observation
    lost = score < config.lost_below if state.memory is None else state.memory.lost
    # The response is centred in its crop. In a pyramid, the middle crop has the last scale.
    region = crops[len(crops) // 2].middle(len(cells) * config.stride)
    return TrackResult(state.target.box_xywh, score, lost, cells if response else None, region)
