"""Re-detection: decide that a target is lost, and that it was found again.

Tracking around the last box always continues, whatever the score is: an occluded, blurred or
rotated target mostly reappears there. After `PATIENCE` lost frames in a row a search starts in
addition: each frame searches some of the tiles that cover the frame at several scales, the nearest
first. A candidate needs a high score and an appearance (colour histogram and layout) similar to the
target's. It replaces the tracked target
after `CONFIRMATIONS_NEEDED` frames in a row in which it ranked above the tracked target and had no
rival elsewhere. The rank is score times similarity.

Functions take a `RedetectionState` and return the next one; a tracker keeps one per target.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from siamcorr.models.recipe import RecipeConfig
from siamcorr.tracking.appearance import Appearance, appearance_of, similarity
from siamcorr.tracking.boxes import Image, box_iou
from siamcorr.tracking.crops import Color, Crop
from siamcorr.tracking.recipes import Recipe, Step
from siamcorr.tracking.target import Target

PATIENCE = 5  # lost frames in a row before the search starts
CONFIRMATIONS_NEEDED = 3  # frames in a row that must find the target at one place
# Two views of one real or rendered target, seconds apart: 94 % have a similarity above UNLIKE and
# 69 % above ALIKE. Views of two different objects: 27 % and 0.3 %.
UNLIKE, ALIKE = 0.1, 0.5
RIVAL_SHARE = 0.8  # share of the best rank from which another candidate is a rival
SAME_IOU = 0.3  # IoU from which two boxes show the same object


class Observation(NamedTuple):
    """The search crops at one place of a frame, and the step decoded from their maps."""

    step: Step
    crops: list[Crop]


@dataclass(frozen=True)
class RedetectionState:
    """What re-detection knows about a target from the earlier frames.

    last_confirmed: the target in the last frame that was not lost.
    views: appearance in the first frame, and in the last frame with a high score.
    uncertain_frames: uncertain frames in a row.
    followed_rank: score times similarity of the tracked target in the last frame.
    candidates: the best candidate and its rival; every frame searches both.
    confirmations: frames in a row that found the first candidate.
    tile: the next tile of the sweep over the frame.
    """

    last_confirmed: Target
    views: tuple[Appearance, Appearance]
    uncertain_frames: int = 0
    followed_rank: float = 1.0
    candidates: tuple[Target, ...] = ()
    confirmations: int = 0
    tile: int = 0

    @property
    def lost(self) -> bool:
        """Whether the last frame was uncertain."""
        return self.uncertain_frames > 0

    @property
    def searching(self) -> bool:
        """Whether there were enough uncertain frames in a row to search the frame."""
        return self.uncertain_frames >= PATIENCE


def start_redetection(frame: Image, target: Target, fill: Color) -> RedetectionState:
    """The re-detection state of a target in its first frame."""
    view = appearance_of(frame, target, fill)
    return RedetectionState(target, (view, view))


def check_recoverable(recipe: Recipe, name: str) -> None:
    """Check that a preset has a score below which a target is lost.

    Raises:
        ValueError: lost_below is 0.
    """
    if not recipe.config.lost_below:
        raise ValueError(f"recover: the preset must have a recipe.lost_below > 0, {name} has none")


def found_above(config: RecipeConfig) -> float:
    """The score from which a candidate may be the lost target."""
    return config.found_above or (1 + config.lost_below) / 2


def observe(
    memory: RedetectionState, step: Step, frame: Image, fill: Color, config: RecipeConfig
) -> RedetectionState:
    """Update the state with the step of ordinary tracking in this frame."""
    view = appearance_of(frame, step.target, fill)
    share = similarity(view, memory.views)
    rank = step.score * share
    if step.score < config.lost_below or share < UNLIKE:
        return replace(memory, uncertain_frames=memory.uncertain_frames + 1, followed_rank=rank)
    first, clear = memory.views
    if step.score >= found_above(config):
        clear = view
    return RedetectionState(step.target, (first, clear), followed_rank=rank)


def decide(
    memory: RedetectionState,
    target: Target,
    steps: list[Step],
    similarities: list[float],
    above: float,
) -> tuple[RedetectionState, int | None]:
    """Decide from the searched places whether the target was found.

    Args:
        memory: state of the lost target.
        target: the tracked target at its last place.
        steps: the step that each place decodes to.
        similarities: of each step's box to the target, see `similarity`.
        above: score that a candidate must reach.

    Returns:
        The next state, and the index of the step that replaces the tracked target, or None.
    """
    ranks = [
        step.score * share
        if step.score >= above
        and share >= ALIKE
        and box_iou(step.target.box_xywh, target.box_xywh) < SAME_IOU
        else 0.0
        for step, share in zip(steps, similarities, strict=True)
    ]
    best = int(np.argmax(ranks))
    if ranks[best] <= memory.followed_rank:  # the tracked target is at least as good
        return replace(memory, candidates=(), confirmations=0), None
    found = _clear_lost(steps[best].target)
    rivals = [
        rank if rank >= RIVAL_SHARE * ranks[best] and not _overlap(step.target, found) else 0.0
        for rank, step in zip(ranks, steps, strict=True)
    ]
    if any(rivals):
        rival = _clear_lost(steps[int(np.argmax(rivals))].target)
        return replace(memory, candidates=(found, rival), confirmations=0), None
    again = bool(memory.candidates) and _overlap(found, memory.candidates[0])
    confirmations = memory.confirmations + 1 if again else 1
    if confirmations < CONFIRMATIONS_NEEDED:
        return replace(memory, candidates=(found,), confirmations=confirmations), None
    return RedetectionState(found, memory.views, followed_rank=ranks[best]), best


def _clear_lost(target: Target) -> Target:
    """The target without its `lost` flag, so that search crops have the usual size."""
    return replace(target, lost=False)


def _overlap(one: Target, other: Target) -> bool:
    return box_iou(one.box_xywh, other.box_xywh) > 0
