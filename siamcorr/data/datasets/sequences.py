"""Sequences: frames and their ground truth boxes, from any published layout.

`find_sequences` detects the layout of a folder and returns its sequences. Boxes are the numbers of
the files, unchanged, see `siamcorr.data.datasets.groundtruth_files`.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from siamcorr.data.datasets.attributes import Flags, attributes_of
from siamcorr.data.datasets.frame_files import Frames, frames_of
from siamcorr.data.datasets.groundtruth_files import Rows, read_numbers, read_truth
from siamcorr.data.datasets.layouts import LAYOUTS, Place
from siamcorr.data.synthetic.clips import Image
from siamcorr.media import SourceError, open_source, read_image


@dataclass(frozen=True, eq=False)
class Sequence:
    """One target in N frames; iterate for the frames, (H, W, 3) uint8 RGB, one at a time.

    Attributes:
        name: unique in its dataset.
        layout: of the dataset, see `find_sequences`.
        frames: paths of images, or of one video.
        boxes: (N, 4) x, y, w, h in pixels; NaN if there is no annotation or the target is absent.
        polygons: (N, 8) x1, y1, ..., x4, y4 in pixels if the data has corners; NaN in other rows.
        attributes: flags by name, one per frame, or a single one for the whole sequence.

    Raises:
        ValueError: shapes or numbers of frames do not match.
    """

    name: str
    frames: Frames
    boxes: Rows
    polygons: Rows | None = None
    attributes: Flags = field(default_factory=dict)
    layout: str = "plain"

    def __post_init__(self) -> None:
        shape, count = self.boxes.shape, len(self.boxes)
        if shape != (count, 4):
            raise ValueError(f"Sequence: boxes must be (N, 4), got {shape}")
        if self.polygons is not None and self.polygons.shape != (count, 8):
            raise ValueError(f"Sequence: polygons must be ({count}, 8), got {self.polygons.shape}")
        if isinstance(self.frames, tuple) and len(self.frames) != count:
            raise ValueError(f"Sequence: {len(self.frames)} frames for boxes {shape}")

    def __len__(self) -> int:
        return len(self.boxes)

    def __iter__(self) -> Iterator[Image]:
        """Read the frames in order.

        Raises:
            SourceError: an image or a frame cannot be read.
            OSError: a file does not exist.
        """
        if isinstance(self.frames, tuple):
            yield from map(read_image, self.frames)
            return
        with closing(open_source(self.frames)) as source:
            index = -1
            for index, frame in zip(range(len(self)), source, strict=False):
                if frame.index != index:
                    raise SourceError(f"{self.frames}: frame {index} cannot be read")
                yield frame.image
            if index + 1 < len(self):
                raise SourceError(f"{self.frames}: ended after {index + 1} of {len(self)} frames")

    def frame_size(self) -> tuple[int, int]:
        """(height, width) of the first frame, in pixels.

        Raises:
            SourceError: there is no frame, or it cannot be read.
            OSError: a file does not exist.
        """
        for frame in self:
            return frame.shape[0], frame.shape[1]
        raise SourceError(f"{self.name}: has no frames")


def find_sequences(folder: str | Path, layout: str | None = None) -> list[Sequence]:
    """All usable sequences of a folder, sorted by name.

    A sequence that is broken or lacks an image is left out with a warning. Boxes after the last
    frame are cut off with a warning. Frames after the last box have NaN as box; in OTB and in
    parts of UAV123's clips, the sequence ends with the last box.

    Args:
        folder: of a dataset.
        layout: "uav123", "otb", "lasot", "got10k", "vot" or "plain"; None detects it.

    Raises:
        ValueError: the folder or layout does not exist, or there is no usable sequence.
    """
    folder = Path(folder)
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"find_sequences: layout must be one of {', '.join(LAYOUTS)}: {layout!r}")
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    layout, places = _look(folder, list(LAYOUTS) if layout is None else [layout])
    sequences = []
    for place in places:
        sequence = _try_to_read(place, layout)
        if sequence is not None:
            sequences.append(sequence)
    if not sequences:
        raise ValueError(f"{folder}: {len(places)} {layout} sequences, none can be used")
    return sequences


def _look(folder: Path, layouts: list[str]) -> tuple[str, list[Place]]:
    """The first layout that finds sequences, and these, sorted by name."""
    for layout in layouts:
        places = sorted(LAYOUTS[layout].find(folder), key=lambda place: place.name)
        if places:
            return layout, places
    looked = "; ".join(f"{LAYOUTS[layout].looks_for} ({layout})" for layout in layouts)
    raise ValueError(f"{folder}: no sequences found, looked for {looked}")


def _try_to_read(place: Place, layout: str) -> Sequence | None:
    try:
        return _read(place, layout)
    except (ValueError, OSError) as error:
        warnings.warn(f"{place.name}: {error}, left out", stacklevel=3)
        return None


def _read(place: Place, layout: str) -> Sequence:
    if not place.truth.is_file():
        raise ValueError(f"no ground truth {place.truth.name}")
    boxes, polygons = read_truth(place.truth)
    frames, count = frames_of(place, len(boxes))
    levels = {path.stem: read_numbers(path) for path in place.labels}
    for name, absent in place.absent.items():
        held = np.array(levels.get(name, ())[: len(boxes)]) > 0
        boxes[: len(held)][held == absent] = math.nan
    if np.isnan(boxes[:count]).all():
        raise ValueError("no annotated frame")
    if len(boxes) > count:
        text = f"{place.name}: ground truth has {len(boxes)} rows for {count} frames, cut"
        warnings.warn(text, stacklevel=4)
    attributes = attributes_of(levels, place.about, count)
    polygons = None if polygons is None else _fit(polygons, count)
    return Sequence(place.name, frames, _fit(boxes, count), polygons, attributes, layout)


def _fit(rows: Rows, count: int) -> Rows:
    """Cut the rows to count, or fill them up with NaN."""
    fitted = np.full((count, rows.shape[1]), math.nan)
    fitted[: len(rows)] = rows[:count]
    return fitted
