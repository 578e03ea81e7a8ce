"""A target that is followed: what is known of it, and what each frame makes of that.

What `Tracker` does for one target and `MultiTracker` for many. Nothing here is changed in place.
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
    """What a tracker says about a frame.

    box_xywh: in frame pixels.
    score: the network's confidence in the box, 0..1.
    lost: the score is below what the preset takes for a target in sight; with `recover`, or what
        is followed does not look like the target.
    response: (S, S) scores over the search crop, if asked for.
    region: box_xywh of what the response covers, in frame pixels.
    """

    box_xywh: Box
    score: float
    lost: bool = False
    response: Map | None = None
    region: Box | None = None


@dataclass(frozen=True)
class TargetState:
    """A target after a frame.

    target: where it is.
    template: what the network looks for, with a batch of 1.
    fill: the colour beyond the frame, from its first one.
    memory: only where lost targets are searched for.
    """

    target: Target
    template: Template
    fill: Color
    memory: RedetectionState | None = None

    @property
    def searching(self) -> bool:
        """Whether it is lost, so that frames are searched for it."""
        return self.memory is not None and self.memory.searching


def start(
    runner: NetworkRunner, frame: Image, box_xywh: Sequence[float], recover: bool
) -> TargetState:
    """The target inside a box of its first frame.

    Raises:
        ValueError: the box has no size or lies outside of the frame.
    """
    size = frame.shape[:2]
    target = Target.from_box(check_box(box_xywh, size), size)
    fill = mean_color(frame)
    memory = start_redetection(frame, target, fill) if recover else None
    return TargetState(target, runner.template(frame, target, fill), fill, memory)


def step(one: TargetState, found: Step, frame: Image, config: RecipeConfig) -> TargetState:
    """It was looked for in its place, and this is where the maps move it."""
    memory = one.memory and observe(one.memory, found, frame, one.fill, config)
    return replace(one, target=found.target, memory=memory)


def update_template(one: TargetState, runner: NetworkRunner, frame: Image) -> TargetState:
    """Its template takes over a share of how it looks now, if the recipe says so."""
    rate = runner.recipe.config.update_rate
    if not rate or (one.memory is not None and one.memory.lost):
        return one
    fresh = runner.template(frame, one.target, one.fill)
    pairs = zip(one.template, fresh, strict=True)
    return replace(one, template=tuple(old + rate * (new - old) for old, new in pairs))


def make_result(
    one: TargetState, observation: Observation, config: RecipeConfig, response: bool
) -> TrackResult:
    """What is told of it; with `response`, the map that it was found in."""
    (_, score, cells), crops = observation
    lost = score < config.lost_below if one.memory is None else one.memory.lost
    # A map's cells lie around the middle of its crop; of a pyramid's, the middle one has its size.
    region = crops[len(crops) // 2].middle(len(cells) * config.stride)
    return TrackResult(one.target.box_xywh, score, lost, cells if response else None, region)
