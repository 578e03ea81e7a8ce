"""Where a lost target is looked for: places that together cover the frame."""

import math
from dataclasses import replace
from functools import lru_cache

from siamcorr.models.presets import CropConfig
from siamcorr.tracking.crops import context_box
from siamcorr.tracking.target import Target

SCALES = (1.0, 1.4, 0.7)  # of the target's last size
STRIDE = 0.6  # from one tile to the next, as a share of its side


@lru_cache(maxsize=64)
def sweep(target: Target, crop: CropConfig) -> tuple[Target, ...]:
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
