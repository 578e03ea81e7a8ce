"""Re-detection: decide that a target is lost, and that it was found again.

A target goes on being followed whatever its score is: one that is covered, blurred or turned
mostly comes out of it where it went in. Where it is in doubt for some frames in a row, a search
begins beside that: each frame looks at some of the tiles that cover the frame at several scales,
the nearest first. What scores high and has the target's colours there takes over once it was
found for some frames in a row, was more than what is followed had in each of them, and nothing
elsewhere came close.

Functions take a `RedetectionState` and return the next one; a tracker keeps one for each target.
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

PATIENCE = 5  # frames in a row in doubt, before the search begins
AGREEING = 3  # frames in a row that must find the target at one place
# Of views of real and rendered targets 94 % are more alike than UNLIKE and 69 % more than ALIKE,
# though seconds lie between them; of views of two things 27 % and 0.3 %.
UNLIKE, ALIKE = 0.1, 0.5
RIVAL = 0.8  # of the winner's score and likeness: from there on another makes it doubtful
SAME = 0.3  # of two boxes' union: from there on they show the same thing


class Observation(NamedTuple):
    """A place of a frame: its crops, and where their maps move the target."""

    step: Step
    crops: list[Crop]


@dataclass(frozen=True)
class RedetectionState:
    """What a tracker knows of a target from the frames before.

    sure: the target as it was last seen for certain.
    views: of the first frame, and of the last with a clear view.
    uncertain_frames: frames in a row in which it was not seen for certain.
    held: score times likeness of what is followed, in the last frame.
    candidates: what the search found that may be it, and its rival; looked at in every frame.
    confirmations: frames in a row that found the first candidate.
    tile: where the sweep over the frame goes on.
    """

    sure: Target
    views: tuple[Appearance, Appearance]
    uncertain_frames: int = 0
    held: float = 1.0
    candidates: tuple[Target, ...] = ()
    confirmations: int = 0
    tile: int = 0

    @property
    def lost(self) -> bool:
        """Whether the target was not seen for certain in the last frame."""
        return self.uncertain_frames > 0

    @property
    def searching(self) -> bool:
        """Whether it has been in doubt for so long that frames are searched for it."""
        return self.uncertain_frames >= PATIENCE


def start_redetection(frame: Image, target: Target, fill: Color) -> RedetectionState:
    """The memory of a target that was just shown."""
    view = appearance_of(frame, target, fill)
    return RedetectionState(target, (view, view))


def check_recoverable(recipe: Recipe, name: str) -> None:
    """Refuse a preset that does not say from which score on a target is lost.

    Raises:
        ValueError: lost_below is 0.
    """
    if not recipe.config.lost_below:
        raise ValueError(f"recover: the preset must have a recipe.lost_below > 0, {name} has none")


def found_above(config: RecipeConfig) -> float:
    """The score from which on a lost target may be there again."""
    return config.found_above or (1 + config.lost_below) / 2


def observe(
    memory: RedetectionState, step: Step, frame: Image, fill: Color, config: RecipeConfig
) -> RedetectionState:
    """The memory after a frame in which the target was followed as without recovery."""
    view = appearance_of(frame, step.target, fill)
    share = similarity(view, memory.views)
    held = step.score * share
    if step.score < config.lost_below or share < UNLIKE:
        return replace(memory, uncertain_frames=memory.uncertain_frames + 1, held=held)
    first, clear = memory.views
    if step.score >= found_above(config):
        clear = view
    return RedetectionState(step.target, (first, clear), held=held)


def decide(
    memory: RedetectionState,
    target: Target,
    steps: list[Step],
    similarities: list[float],
    above: float,
) -> tuple[RedetectionState, int | None]:
    """What the places that were searched say: not there, maybe there, or found.

    Args:
        memory: of the target, which is in doubt.
        target: where it is followed.
        steps: where the maps of each place move it.
        similarities: how much what they found looks like the target, see `similarity`.
        above: the score that they must reach.

    Returns:
        The memory, and the index of the step that takes over, whose memory has no doubts.
    """
    ranks = [
        step.score * share
        if step.score >= above
        and share >= ALIKE
        and box_iou(step.target.box_xywh, target.box_xywh) < SAME
        else 0.0
        for step, share in zip(steps, similarities, strict=True)
    ]
    best = int(np.argmax(ranks))
    if ranks[best] <= memory.held:  # what is followed is as good
        return replace(memory, candidates=(), confirmations=0), None
    found = _again(steps[best].target)
    rivals = [
        rank if rank >= RIVAL * ranks[best] and not _meet(step.target, found) else 0.0
        for rank, step in zip(ranks, steps, strict=True)
    ]
    if any(rivals):
        rival = _again(steps[int(np.argmax(rivals))].target)
        return replace(memory, candidates=(found, rival), confirmations=0), None
    again = bool(memory.candidates) and _meet(found, memory.candidates[0])
    confirmations = memory.confirmations + 1 if again else 1
    if confirmations < AGREEING:
        return replace(memory, candidates=(found,), confirmations=confirmations), None
    return RedetectionState(found, memory.views, held=ranks[best]), best


def _again(target: Target) -> Target:
    """The target as one to be looked for in a crop of the usual size."""
    return replace(target, lost=False)


def _meet(one: Target, other: Target) -> bool:
    return box_iou(one.box_xywh, other.box_xywh) > 0
