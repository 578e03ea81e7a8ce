"""Find the frame files of a sequence, and check that none is missing."""

import re
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from siamcorr.data.datasets.folders import files_of
from siamcorr.data.datasets.layouts import Place
from siamcorr.media import open_source
from siamcorr.media.images import IMAGE_SUFFIXES

Frames = tuple[Path, ...] | Path


def frames_of(place: Place, rows: int) -> tuple[Frames, int]:
    """The frames of a sequence, paths of images or of one video, and their number.

    If the numbers of images and boxes differ, the images must be numbered in equal steps: a missing
    image would shift the boxes of all later frames.

    Args:
        place: paths of the sequence.
        rows: number of rows of its ground truth.

    Raises:
        ValueError: no images, a missing image, or a file that is not a video.
    """
    if place.frames.is_file():
        with closing(open_source(place.frames)) as source:
            # A container's frame count may be wrong, so it must agree with the ground truth.
            count = rows if source.frame_count == rows else sum(1 for _ in source)
        return place.frames, count
    images = files_of(place.frames, IMAGE_SUFFIXES)
    if not images:
        raise ValueError(f"no images in {place.frames}")
    if len(images) != rows:
        first = place.first
        if first is not None:
            images = [path for path in images if (_number(path) or 0) >= first]
        if place.ends:
            images = images[:rows]
        _check_complete(place, images, rows)
    return tuple(images), len(images)


def _check_complete(place: Place, images: list[Path], rows: int) -> None:
    """Raise ValueError if an image with a box is missing."""
    known = [number for path in images[:rows] if (number := _number(path)) is not None]
    steps = [after - before for before, after in pairwise(known)]
    step = min(steps, default=1)
    if len(known) < len(images[:rows]) or step < 1:
        return  # the names are not frame numbers
    missing = [before + step for before, wide in zip(known, steps, strict=False) if wide > step]
    if place.first is not None and known[:1] != [place.first]:
        missing = [place.first]
    elif place.first is None and len(images) < rows and known[0] > step:
        missing.append(known[0] - step)
    if missing:
        raise ValueError(f"image {missing[0]} is missing in {place.frames}")


def _number(path: Path) -> int | None:
    """The last number in an image's name."""
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1]) if digits else None
