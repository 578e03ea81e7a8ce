"""The search for lost targets: they share the places that a frame looks at."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice

import torch

from siamcorr.models import Template
from siamcorr.models.presets import CropConfig
from siamcorr.tracking.appearance import appearance_of, likeness
from siamcorr.tracking.batching import Matcher
from siamcorr.tracking.boxes import Image
from siamcorr.tracking.redetection import Memory, Sight, found_above, judged
from siamcorr.tracking.state import Followed
from siamcorr.tracking.sweep import sweep
from siamcorr.tracking.target import Target

# Places of one frame, for all lost targets together: for one as fast as can be borne, for many
# about half of what it takes to follow them, so that a frame takes less than twice its time.
FEWEST, SHARE = 6, 0.5


def budget(followed: int) -> int:
    """How many places a frame may look at, by the number of targets that are followed."""
    return max(FEWEST, int(SHARE * followed))


def search(
    lost: Mapping[int, Followed], matcher: Matcher, frame: Image, places: int
) -> tuple[dict[int, Followed], dict[int, Sight]]:
    """Look for lost targets at some places of the frame, all in one forward.

    Args:
        lost: targets by number, each with a memory.
        matcher: the network, and the recipe by which places are cut and maps are read.
        frame: (H, W, 3) uint8.
        places: that may be looked at.

    Returns:
        The targets after the frame, and the sights of those that were found.
    """
    memories = {number: one.memory for number, one in lost.items() if one.memory is not None}
    shares = share_places(memories, places, matcher.recipe.crop)
    sights = _look(lost, shares, matcher, frame)
    after, found = dict(lost), {}
    for number, seen in sights.items():
        one = lost[number]
        memory = swept(memories[number], shares[number], matcher.recipe.crop)
        steps = [sight.step for sight in seen]
        alike = [
            likeness(appearance_of(frame, step.target, one.fill), memory.views) for step in steps
        ]
        above = found_above(matcher.recipe.config)
        memory, best = judged(memory, one.target, steps, alike, above)
        after[number] = replace(one, memory=memory)
        if best is not None:
            after[number] = replace(one, target=memory.sure, memory=memory)
            found[number] = seen[best]
    return after, found


def share_places(
    memories: Mapping[int, Memory], places: int, crop: CropConfig
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
    for number in sorted(memories, key=lambda number: -memories[number].agreed):
        spots = memories[number].spots
        if spots and len(spots) <= places:
            shares[number], places = [*spots], places - len(spots)
    tiles = {number: sweep(memory.sure, crop) for number, memory in memories.items()}
    order = sorted(memories, key=lambda number: memories[number].tile)
    longest = max(len(own) for own in tiles.values())
    turns = ((turn, number) for turn in range(longest) for number in order)
    own = ((turn, number) for turn, number in turns if turn < len(tiles[number]))
    for turn, number in islice(own, places):
        start = memories[number].tile
        shares.setdefault(number, []).append(tiles[number][(start + turn) % len(tiles[number])])
    return shares


def swept(memory: Memory, places: list[Target], crop: CropConfig) -> Memory:
    """The memory once the places were looked at: the sweep goes on behind them."""
    spots = sum(place in memory.spots for place in places)
    return replace(memory, tile=memory.tile + len(places) - spots)


def _look(
    lost: Mapping[int, Followed],
    shares: Mapping[int, list[Target]],
    matcher: Matcher,
    frame: Image,
) -> dict[int, list[Sight]]:
    """Where the maps of each place move its target, without a preference for the middle."""
    recipe = matcher.recipe
    places = [(number, place) for number, part in shares.items() for place in part]
    cuts = [recipe.search_crops(frame, place, lost[number].fill) for number, place in places]
    each = len(cuts[0])  # crops of one place, more than one for a pyramid
    templates = (lost[number].template for number, _ in places)
    logits, boxes = matcher.predict([crop for cut in cuts for crop in cut], stack(templates, each))
    sights: dict[int, list[Sight]] = {number: [] for number in shares}
    for index, ((number, place), cut) in enumerate(zip(places, cuts, strict=True)):
        rows = slice(index * each, (index + 1) * each)
        step = recipe.follow(logits[rows], boxes[rows], cut, replace(place, lost=True))
        sights[number].append(Sight(step, cut))
    return sights


def stack(templates: Iterable[Template], each: int) -> Template:
    """Templates of a batch of 1 as one batch, each as often as it has crops."""
    parts = zip(*templates, strict=True)
    return tuple(torch.cat(part).repeat_interleave(each, dim=0) for part in parts)
