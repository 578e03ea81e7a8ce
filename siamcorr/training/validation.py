"""Validation: mean overlap of a network on clips that are not in the training data."""

import csv
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siamcorr.data.datasets.sequences import find_sequences
from siamcorr.data.synthetic.clips import Box, Image
from siamcorr.data.synthetic.library import Library
from siamcorr.data.synthetic.scenes import Scene
from siamcorr.media import open_source
from siamcorr.models import Network
from siamcorr.tracking import Tracker, box_iou
from siamcorr.training.config import DataConfig


class Clip(NamedTuple):
    """Frames, and the target's boxes; None in frames without annotation."""

    name: str
    frames: Sequence[Image]
    boxes: Sequence[Box | None]


def rendered_clips(library: Library, config: DataConfig, seed: int = 1) -> list[Clip]:
    """Render the validation clips from held-out pictures."""
    clips = []
    for index in range(config.clips):
        scene = Scene(library, np.random.default_rng([seed, index]), config.scene)
        frames, boxes = zip(*scene.clip(config.clip_frames), strict=True)
        clips.append(Clip(f"scene {index}", frames, boxes))
    return clips


def marked_clips(table: str | Path, folder: str | Path) -> list[Clip]:
    """Read videos in a folder, with boxes from a table for some of their frames.

    Args:
        table: a CSV file with the columns clip, frame, x, y, w, h; clip is the video's name without
            suffix, frames count from 0.
        folder: folder of the videos.

    Raises:
        OSError: the table or a video cannot be read.
        ValueError: the table has other columns, or a video's first frame is not marked.
    """
    marked: dict[str, dict[int, Box]] = {}
    with Path(table).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                x, y, w, h = (float(row[key]) for key in "xywh")
                marked.setdefault(row["clip"], {})[int(row["frame"])] = (x, y, w, h)
            except (KeyError, TypeError, ValueError):
                raise ValueError(f"{table}: no clip, frame, x, y, w, h in {row}") from None
    clips = []
    for name, boxes in marked.items():
        path = next(iter(sorted(Path(folder).glob(f"{name}.*"))), Path(folder) / name)
        with closing(open_source(str(path))) as source:
            frames = [frame.image for frame in source]
        if 0 not in boxes:
            raise ValueError(f"{table}: the first frame of {name} is not marked")
        clips.append(Clip(name, frames, [boxes.get(index) for index in range(len(frames))]))
    return clips


def sequence_clips(folders: Iterable[str]) -> list[Clip]:
    """Read sequences with their ground truth, forwards and backwards; "~" is the user's home.

    A sequence whose target is lost in the first second says little about a network; backwards it
    may say more.

    Raises:
        OSError: a folder cannot be read.
        ValueError: a folder has no sequences.
    """
    clips = []
    for folder in folders:
        for sequence in find_sequences(Path(folder).expanduser()):
            clip = Clip(sequence.name, tuple(sequence), [*map(_known, sequence.boxes)])
            clips += [clip, _backwards(clip)]
    return clips


def _backwards(clip: Clip) -> Clip:
    """Reverse a clip; it starts at its last frame with a box."""
    marked = [index for index, box in enumerate(clip.boxes) if box is not None and min(box[2:]) > 0]
    count = marked[-1] + 1 if marked else len(clip.boxes)
    frames, boxes = clip.frames[:count], clip.boxes[:count]
    return Clip(f"{clip.name} backwards", frames[::-1], boxes[::-1])


def _known(row: NDArray[np.float64]) -> Box | None:
    x, y, w, h = map(float, row)
    return (x, y, w, h) if np.isfinite(row).all() else None


def mean_overlaps(network: Network, clips: Iterable[Clip]) -> dict[str, float]:
    """Return the mean IoU by clip; each clip is tracked from its first box.

    Frames without annotation, or with an absent target (a box without area), are left out.
    """
    return {clip.name: _mean_overlap(network, clip) for clip in clips}


def _mean_overlap(network: Network, clip: Clip) -> float:
    tracker = Tracker(network, optimize=False)
    start = clip.boxes[0]
    if start is None:
        raise ValueError(f"{clip.name}: the first frame has no box")
    tracker.init(clip.frames[0], start)
    overlaps = []
    for frame, box in zip(clip.frames[1:], clip.boxes[1:], strict=True):
        found = tracker.update(frame).box_xywh
        if box is not None and box[2] > 0 and box[3] > 0:
            overlaps.append(box_iou(found, box))
    return float(np.mean(overlaps)) if overlaps else 0.0
