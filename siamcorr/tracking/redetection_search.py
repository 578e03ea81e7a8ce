"""Search the frame for lost targets. All of them share one budget of places per frame."""

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

# Places per frame, for all lost targets together. With many targets, the search costs about half
# of what tracking them costs, so a frame takes less than twice its usual time.
MIN_PLACES, PLACES_PER_TARGET = 6, 0.5
SCALES = (1.0, 1.4, 0.7)  # of the target's last size
STRIDE = 0.6  # distance of neighbouring tiles, as a share of a tile's side


def place_budget(followed: int) -> int:
    """How many places a frame may search, from the number of tracked targets."""
    return max(MIN_PLACES, int(PLACES_PER_TARGET * followed))


def search(
    lost: Mapping[int, TargetState], runner: NetworkRunner, frame: Image, places: int
) -> tuple[dict[int, TargetState], dict[int, Observation]]:
    """Search for lost targets at some places of the frame, in one batch.

    Args:
        lost: target states by number, each with a memory.
        runner: the network and its recipe.
        frame: (H, W, 3) uint8.
        places: how many places may be searched.

    Returns:
        The states after the frame, and the observations of the targets that were found.
    """
    memories = {number: state.memory for number, state in lost.items() if state.memory is not None}
    shares = share_places(memories, places, runner.recipe.crop)
    observations = _follow_places(lost, shares, runner, frame)
    after, found = dict(lost), {}
    for number, observed in observations.items():
        state = lost[number]
        memory = advance_tiles(memories[number], shares[number], runner.recipe.crop)
        steps = [observation.step for observation in observed]
        similarities = [
            similarity(appearance_of(frame, step.target, state.fill), memory.views)
            for step in steps
        ]
        above = found_above(runner.recipe.config)
        memory, best = decide(memory, state.target, steps, similarities, above)
        after[number] = replace(state, memory=memory)
        if best is not None:
            after[number] = replace(state, target=memory.last_confirmed, memory=memory)
            found[number] = observed[best]
    return after, found


def share_places(
    memories: Mapping[int, RedetectionState], places: int, crop: CropConfig
) -> dict[int, list[Target]]:
    """Share the places of this frame among the lost targets; some may get none.

    Candidates come first. The remaining places are tiles; targets that have searched the fewest
    tiles come first.

    Args:
        memories: states of the lost targets, by number.
        places: total number of places.
        crop: the preset's crop sizes and context.
    """
    shares: dict[int, list[Target]] = {}
    for number in sorted(memories, key=lambda number: -memories[number].confirmations):
        candidates = memories[number].candidates
        if candidates and len(candidates) <= places:
            shares[number], places = [*candidates], places - len(candidates)
    tiles = {
        number: search_grid(memory.last_confirmed, crop) for number, memory in memories.items()
    }
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
    """Places that together cover the frame: at the target's size, then larger, then smaller.

    At each scale the places are sorted from the nearest to the farthest.

    Args:
        target: its last confirmed place.
        crop: the preset's crop sizes and context.
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
    """Advance the sweep past the tiles among the searched places."""
    candidates = sum(place in memory.candidates for place in places)
    return replace(memory, tile=memory.tile + len(places) - candidates)


def _follow_places(
    lost: Mapping[int, TargetState],
    shares: Mapping[int, list[Target]],
    runner: NetworkRunner,
    frame: Image,
) -> dict[int, list[Observation]]:
    """Decode the step of each place, without the cosine window's preference for the centre."""
    recipe = runner.recipe
    places = [(number, place) for number, part in shares.items() for place in part]
    cuts = [recipe.search_crops(frame, place, lost[number].fill) for number, place in places]
    each = len(cuts[0])  # crops per place, more than one for a pyramid
    templates = (lost[number].template for number, _ in places)
    logits, boxes = runner.predict([crop for cut in cuts for crop in cut], stack(templates, each))
    observations: dict[int, list[Observation]] = {number: [] for number in shares}
    for index, ((number, place), cut) in enumerate(zip(places, cuts, strict=True)):
        rows = slice(index * each, (index + 1) * each)
        step = recipe.follow(logits[rows], boxes[rows], cut, replace(place, lost=True))
        observations[number].append(Observation(step, cut))
    return observations


def stack(templates: Iterable[Template], each: int) -> Template:
    """Stack templates of batch 1 into one batch, each repeated `each` times."""
    parts = zip(*templates, strict=True)
    return tuple(torch.cat(part).repeat_interleave(each, dim=0) for part in parts)
