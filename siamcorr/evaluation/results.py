"""Results on disk, a text file a sequence, as the toolkits write them: RESULTS/TRACKER/NAME.txt.

Boxes are x,y,w,h lines; NAME_time.txt beside it has the seconds of each frame. A run that was
killed goes on with the sequences that have no whole file.
"""

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from siamcorr.evaluation.box_errors import Array

LONGEST = 200  # bytes of a folder's name; file systems take 255


class Result(NamedTuple):
    """Boxes (N, 4) and seconds (N,); the first frame's are the start and its cost."""

    boxes: Array
    seconds: Array

    @property
    def fps(self) -> float:
        """Frames a second, without the first."""
        spent = float(self.seconds[1:].sum())
        return (len(self.seconds) - 1) / spent if spent > 0 else 0.0


def result_path(folder: str | Path, tracker: str, sequence: str) -> Path:
    """Where a result lies; each tracker has a folder, quoted as in a URL where it must be."""
    name = quote(tracker, safe="=")
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - 17]}-{sha256(tracker.encode()).hexdigest()[:16]}"
    return Path(folder) / name / f"{sequence}.txt"


def save_result(path: Path, result: Result) -> None:
    """Write a result; the boxes last, so that their being there says that all is.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    times = path.with_name(f"{path.stem}_time.txt")
    # At first beside the paths: a full disk leaves what was there.
    partials = {target: target.with_name(f".{target.name}.part") for target in (times, path)}
    try:
        np.savetxt(partials[times], result.seconds, fmt="%.8f")
        np.savetxt(partials[path], result.boxes, fmt="%.4f", delimiter=",")
        for target, partial in partials.items():
            partial.replace(target)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)


def load_result(path: Path, frames: int) -> Result | None:
    """A result that was written whole and fits the sequence, or None."""
    times = path.with_name(f"{path.stem}_time.txt")
    if not path.is_file() or not times.is_file():
        return None
    try:
        boxes = np.loadtxt(path, delimiter=",", ndmin=2)
        seconds = np.loadtxt(times, ndmin=1)
    except ValueError:
        return None
    fits = boxes.shape == (frames, 4) and seconds.shape == (frames,)
    return Result(boxes, seconds) if fits else None
