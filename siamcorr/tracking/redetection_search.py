"""Search the frame for lost targets. They share the places that one frame looks at."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import islice

import torch

from siamcorr.models import Template
from siamcorr.models.presets import CropConfig
from siamcorr.tracking.appearance import appearance_of, similarity
from siamcorr.tracking.batching import NetworkRunner
from siamcorr.tracking.boxes import Image
from siamcorr.tracking.crops import context_box
from siamcorr.tracking.redetection import Observation, RedetectionState, decide, found_above
from siamcorr.tracking.state import TargetState
from siamcorr.tracking.target import Target

# Places of one frame, for all lost targets together: for one as fast as can be borne, for many
# about half of what it takes to follow them, so that a frame takes less than twice its time.
FEWEST, SHARE = 6, 0.5
SCALES = (1.0, 1.4, 0.7)  # of the target's last size
STRIDE = 0.6  # from one tile to the next, as a share of its side


def place_budget(followed: int) -> int:
    """How many places a frame may look at, by the number of targets that are followed."""
    return max(FEWEST, int(SHARE * followed))


def search(
    lost: Mapping[int, TargetState], runner: NetworkRunner, frame: Image, places: int
) -> tuple[dict[int, TargetState], dict[int, Observation]]:
    """Look for lost targets at some places of the frame, all in one forward.

    Args:
        lost: targets by number, each with a memory.
        runner: the network, and the recipe by which places are cut and maps are read.
        frame: (H, W, 3) uint8.
        places: that may be looked at.

    Returns:
        The targets after the frame, and the sights of those that were found.
    """
    memories = {number: one.memory for number, one in lost.items() if one.memory is not None}
    shares = share_places(memories, places, runner.recipe.crop)
    observations = _look(lost, shares, runner, frame)
    after, found = dict(lost), {}
    for number, seen in observations.items():
        one = lost[number]
        memory = advance_tiles(memories[number], shares[number], runner.recipe.crop)
        steps = [sight.step for sight in seen]
        alike = [
            similarity(appearance_of(frame, step.target, one.fill), memory.views) for step in steps
        ]
        above = found_above(runner.recipe.config)
        memory, best = decide(memory, one.target, steps, alike, above)
        after[number] = replace(one, memory=memory)
        if best is not None:
            after[number] = replace(one, target=memory.sure, memory=memory)
            found[number] = seen[best]
    return after, found


def share_places(
    memories: Mapping[int, RedetectionState], places: int, crop: CropConfig
) -> dict[int, list[Target]]:
    """The places that each lost target may look at in this frame; some may get none.

    First what may be a target is looked at again; of the tiles those get the first that have
    seen the fewest.

    Args:
        memories: of the lost targets, by number.
        places: in all.
        crop: how large a tile is around a target.
    """
    shares: dict[int, list[Target]] = {}
    for number in sorted(memories, key=lambda number: -memories[number].confirmations):
        candidates = memories[number].candidates
        if candidates and len(candidates) <= places:
            shares[number], places = [*candidates], places - len(candidates)
    tiles = {number: search_grid(memory.sure, crop) for number, memory in memories.items()}
    order = sorted(memories, key=lambda number: memories[number].tile)
    longest = max(len(own) for own in tiles.values())
    turns = ((turn, number) for turn in range(longest) for number in order)
    own = ((turn, number) for turn, number in turns if turn < len(tiles[number]))
    for turn, number in islice(own, places):
        start = memories[number].tile
        shares.setdefault(number, []).append(tiles[number][(start + turn) % len(tiles[number])])
    return shares


@lru_cache(maxsize=64)
def search_grid(target: Target, crop: CropConfig) -> tuple[Target, ...]:
    """Places that together cover the frame: at the target's size, then larger and smaller.

    Each time from the nearest to the farthest.

    Args:
        target: where it was last.
        crop: how large a tile is around it.
    """
    height, width = target.frame_size
    places = []
    for scale in SCALES:
        size = target.size[0] * scale, target.size[1] * scale
        factor = STRIDE * crop.search_size / crop.template_size
        step = [side * factor for side in context_box(*size, crop.context, crop.keep_ratio)]
        columns, rows = math.ceil(width / step[0]), math.ceil(height / step[1])
        grid = [
            ((column + 0.5) * width / columns, (row + 0.5) * height / rows)
            for row in range(rows)
            for column in range(columns)
        ]
        grid.sort(key=lambda center: math.dist(center, target.center))
        places += [replace(target, center=center, size=size, lost=False) for center in grid]
    return tuple(places)


def advance_tiles(
    memory: RedetectionState, places: list[Target], crop: CropConfig
) -> RedetectionState:
    """The memory once the places were looked at: the sweep goes on behind them."""
    candidates = sum(place in memory.candidates for place in places)
    return replace(memory, tile=memory.tile + len(places) - candidates)


def _look(
    lost: Mapping[int, TargetState],
    shares: Mapping[int, list[Target]],
    runner: NetworkRunner,
    frame: Image,
) -> dict[int, list[Observation]]:
    """Where the maps of each place move its target, without a preference for the middle."""
    recipe = runner.recipe
    places = [(number, place) for number, part in shares.items() for place in part]
    cuts = [recipe.search_crops(frame, place, lost[number].fill) for number, place in places]
    each = len(cuts[0])  # crops of one place, more than one for a pyramid
    templates = (lost[number].template for number, _ in places)
    logits, boxes = runner.predict([crop for cut in cuts for crop in cut], stack(templates, each))
    observations: dict[int, list[Observation]] = {number: [] for number in shares}
    for index, ((number, place), cut) in enumerate(zip(places, cuts, strict=True)):
        rows = slice(index * each, (index + 1) * each)
        step = recipe.follow(logits[rows], boxes[rows], cut, replace(place, lost=True))
        observations[number].append(Observation(step, cut))
    return observations


def stack(templates: Iterable[Template], each: int) -> Template:
    """Templates of a batch of 1 as one batch, each as often as it has crops."""
    parts = zip(*templates, strict=True)
    return tuple(torch.cat(part).repeat_interleave(each, dim=0) for part in parts)
