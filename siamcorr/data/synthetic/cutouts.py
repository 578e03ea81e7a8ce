"""Cut-outs of real objects, from frames or photographs with masks."""

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

EVERY = 6  # one cut-out per 6 frames of a video
SMALLEST = 48  # pixels a side; smaller objects are skipped


def cut_out(image: NDArray[Any], mask: NDArray[Any]) -> Image | None:
    """Cut a mask's (H, W) object out of an image (H, W, 3): RGB and alpha (h, w, 4), tight borders.

    The mask's edge is blurred by a pixel. None if the object is tiny, or if mask and image differ
    in size.
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
    """Cut-outs from the frames of videos, with one mask per frame in folder/NAME.

    Args:
        sequences: videos; those without masks in the folder are skipped.
        folder: of the masks: grey images sorted by name, 0 is background.

    Raises:
        OSError: a video cannot be read.
        ValueError: no video has masks, or the numbers of masks and frames differ.
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
            found = _cut_out_frame(frame, path)
            cutouts += [found] if found is not None else []
    if not cutouts:
        raise ValueError(f"{folder}: no masks found for any of the sequences")
    return cutouts


def _cut_out_frame(frame: NDArray[Any], path: Path) -> Image | None:
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        warnings.warn(f"{path}: cannot be read, left out", stacklevel=3)
        return None
    return cut_out(frame, mask)
