"""Lost and found: what a tracker does when its target is no longer in sight.

A target that is in doubt for some frames in a row is searched for: in every frame around the place
where it was last seen for certain, and in some of the tiles that cover the frame at several
scales, the nearest first, so that the searched region grows until it is the whole frame. What
scores high and has the target's colours is taken for the target once it did so for some frames in
a row, while nothing elsewhere came close.

All is told to functions and comes out of them; a tracker keeps a `Memory` for each target.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from siamcorr.models.recipe import RecipeConfig
from siamcorr.tracking.boxes import Image, box_iou
from siamcorr.tracking.crops import Color, Crop
from siamcorr.tracking.decoding import Map
from siamcorr.tracking.likeness import Appearance, appearance_of, likeness
from siamcorr.tracking.recipes import Recipe, Step
from siamcorr.tracking.sweep import sweep
from siamcorr.tracking.target import Target

PATIENCE = 5  # frames in a row in doubt, before the search begins
AGREEING = 3  # frames in a row that must find the target at one place
TILES = 8  # of the sweep in one frame, so that it takes some ten times a normal one at most
# Of views of real and rendered targets 94 % are more alike than UNLIKE and 69 % more than ALIKE,
# though seconds lie between them; of views of two things 27 % and 0.3 %.
UNLIKE, ALIKE = 0.1, 0.5
RIVAL = 0.8  # of the winner's score and likeness: from there on another makes it doubtful

Predict = Callable[[list[Crop]], tuple[Map, Map]]


class Sight(NamedTuple):
    """A place of a frame: its crops, and where their maps move the target."""

    step: Step
    crops: list[Crop]


@dataclass(frozen=True)
class Memory:
    """What a tracker knows of a target from the frames before.

    target: as it was last seen for certain.
    spots: where the next frame looks: around the target; or, while it is searched for, around
        what may be it and around what rivals that.
    views: of the first frame, and of the last with a clear sight.
    doubts: frames since it was seen for certain.
    tile: where the sweep over the frame goes on.
    agreed: frames in a row that found the first spot.
    """

    target: Target
    spots: tuple[Target, ...]
    views: tuple[Appearance, Appearance]
    doubts: int = 0
    tile: int = 0
    agreed: int = 0

    @property
    def lost(self) -> bool:
        """Whether the target was not seen for certain in the last frame."""
        return self.doubts > 0

    @property
    def searching(self) -> bool:
        """Whether it has been in doubt for so long that the next frame is searched."""
        return self.doubts >= PATIENCE


def remembered(frame: Image, target: Target, fill: Color) -> Memory:
    """The memory of a target that was just shown."""
    view = appearance_of(frame, target, fill)
    return Memory(target, (target,), (view, view))


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


def followed(memory: Memory, step: Step, frame: Image, fill: Color, config: RecipeConfig) -> Memory:
    """The memory after a frame in which the target was followed as ever.

    Where it is in doubt the tracker goes on following what it sees, but not for long.
    """
    view = appearance_of(frame, step.target, fill)
    if step.score < config.lost_below or likeness(view, memory.views) < UNLIKE:
        doubts = memory.doubts + 1
        spot = step.target if doubts < PATIENCE else _again(memory.target)
        return replace(memory, spots=(spot,), doubts=doubts)
    first, clear = memory.views
    if step.score >= found_above(config):
        clear = view
    return Memory(step.target, (step.target,), (first, clear))


def search(
    memory: Memory, recipe: Recipe, frame: Image, fill: Color, predict: Predict
) -> tuple[Memory, Sight]:
    """Look for a lost target: the memory after the frame, and the best of what was seen.

    Args:
        memory: of the target.
        recipe: any; places are cut and read as it does.
        frame: (H, W, 3) uint8.
        fill: colour for what lies outside.
        predict: a network's maps of crops, for the target's template.
    """
    tiles = sweep(memory.target, recipe.crop)
    places = [*memory.spots, *tiles[memory.tile : memory.tile + TILES]]
    sights = _looked(places, recipe, frame, fill, predict)
    steps = [sight.step for sight in sights]
    following = memory.tile + TILES
    tile = following if following < len(tiles) else 0
    memory = replace(memory, doubts=memory.doubts + 1, tile=tile)
    alike = [likeness(appearance_of(frame, step.target, fill), memory.views) for step in steps]
    memory, best = judged(memory, steps, alike, found_above(recipe.config))
    return memory, sights[best]


def judged(
    memory: Memory, steps: list[Step], alike: list[float], above: float
) -> tuple[Memory, int]:
    """What the places that were looked at say: not there, maybe there, or found.

    Args:
        memory: of the target, which is lost.
        steps: where the maps of each place move it.
        alike: how much what they found looks like the target, see `likeness`.
        above: the score that they must reach.

    Returns:
        The memory, with no doubts where the target was found, and the best step's index.
    """
    ranks = [
        step.score * share if step.score >= above and share >= ALIKE else 0.0
        for step, share in zip(steps, alike, strict=True)
    ]
    if not any(ranks):
        back = replace(memory, spots=(_again(memory.target),), agreed=0)
        return back, int(np.argmax([step.score for step in steps]))
    best = int(np.argmax(ranks))
    target = _again(steps[best].target)
    rivals = [
        rank if rank >= RIVAL * ranks[best] and not _meet(step.target, target) else 0.0
        for rank, step in zip(ranks, steps, strict=True)
    ]
    if any(rivals):
        rival = _again(steps[int(np.argmax(rivals))].target)
        return replace(memory, spots=(target, rival), agreed=0), best
    agreed = memory.agreed + 1 if _meet(target, memory.spots[0]) else 1
    if agreed < AGREEING:
        return replace(memory, spots=(target,), agreed=agreed), best
    return Memory(target, (target,), memory.views), best


def _looked(
    places: list[Target], recipe: Recipe, frame: Image, fill: Color, predict: Predict
) -> list[Sight]:
    """Where the maps of each place move the target, without a preference for the middle."""
    cuts = [recipe.search_crops(frame, place, fill) for place in places]
    count = len(cuts[0])  # of one place, more than one for a pyramid
    logits, boxes = predict([crop for crops in cuts for crop in crops])
    sights = []
    for index, (place, crops) in enumerate(zip(places, cuts, strict=True)):
        rows = slice(index * count, (index + 1) * count)
        lost = replace(place, lost=True)
        sights.append(Sight(recipe.follow(logits[rows], boxes[rows], crops, lost), crops))
    return sights


def _again(target: Target) -> Target:
    """The target as one to be looked for in a crop of the usual size."""
    return replace(target, lost=False)


def _meet(one: Target, other: Target) -> bool:
    return box_iou(one.box_xywh, other.box_xywh) > 0
