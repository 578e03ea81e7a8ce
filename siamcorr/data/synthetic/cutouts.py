"""Cut-outs of real things: a frame or photograph, and the mask of what stands in it."""

import warnings
from collections.abc import Sequence as Many
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siamcorr.data.datasets.sequences import Sequence
from siamcorr.data.frame_cache import cached_frames
from siamcorr.data.synthetic.clips import Image

EVERY = 6  # frames of a video between two cut-outs
SMALLEST = 48  # pixels a side; smaller things are left out


def cut_out(image: NDArray[Any], mask: NDArray[Any]) -> Image | None:
    """What a mask (H, W) says of an image (H, W, 3): RGB and alpha (h, w, 4), no empty borders.

    The mask's edge is made soft by a pixel. None if it is tiny, or of another size than the image.
    """
    if mask.shape != image.shape[:2]:
        return None
    alpha = np.where(mask > 0, 255, 0).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(alpha)
    if min(width, height) < SMALLEST:
        return None
    part = slice(top, top + height), slice(left, left + width)
    return np.dstack([image[part], cv2.GaussianBlur(alpha, (3, 3), 0)[part]]).astype(np.uint8)


def video_cutouts(sequences: Many[Sequence], folder: str | Path) -> list[Image]:
    """Cut-outs from the frames of videos whose masks are in folder/NAME, a picture a frame.

    Args:
        sequences: videos; those without masks in the folder are passed over.
        folder: of the masks, grey, 0 where the target is not; in the order of their names.

    Raises:
        OSError: a video cannot be read.
        ValueError: none of them has masks, or one has more or fewer than frames.
    """
    cutouts = []
    for sequence in sequences:
        masks = sorted((Path(folder).expanduser() / sequence.name).glob("*.png"))
        if isinstance(sequence.frames, tuple) or not masks:
            continue
        frames = cached_frames(sequence.frames)
        if len(masks) != len(frames):
            raise ValueError(f"{masks[0].parent}: {len(masks)} masks for {len(frames)} frames")
        for path, frame in islice(zip(masks, frames, strict=True), None, None, EVERY):
            found = _with_mask(frame, path)
            cutouts += [found] if found is not None else []
    if not cutouts:
        raise ValueError(f"{folder}: no masks of any of the sequences")
    return cutouts


def _with_mask(frame: NDArray[Any], path: Path) -> Image | None:
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        warnings.warn(f"{path}: cannot be read, left out", stacklevel=3)
        return None
    return cut_out(frame, mask)
