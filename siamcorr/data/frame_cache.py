"""Cache of decoded videos, so that training reads any frame at once.

Decoding a frame in the middle of an H.264 file means decoding from the last key frame. A cached
video is a file of raw RGB frames that is mapped into memory, not read.
"""

import os
import re
from contextlib import closing, suppress
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamcorr.media import SourceError, open_source
from siamcorr.models.build import cache_dir

SIZED = re.compile(r"-(\d+)x(\d+)\.rgb$")


def cached_frames(video: str | Path) -> NDArray[Any]:
    """All frames of a video file, decoded on the first call and mapped from the cache after that.

    A video's cache key is its path, size and time of change. Frames of an earlier version of the
    file are deleted. The cache may be deleted at any time.

    Args:
        video: a file that `siamcorr.media.open_source` reads.

    Returns:
        (N, H, W, 3) uint8 RGB, read-only.

    Raises:
        OSError: the video cannot be read, or the cache cannot be written.
    """
    path = Path(video).resolve()
    about = path.stat()
    folder, name = cache_dir() / "frames", f"{path.stem}-{_short_hash(str(path))}"
    stem = f"{name}-{_short_hash(f'{about.st_size}:{about.st_mtime_ns}')}"
    known = next(folder.glob(f"{escape(stem)}-*x*.rgb"), None)
    if known is None:
        for file in folder.glob(f"{escape(name)}-*.rgb"):
            if file.name.startswith(stem):  # another process has just decoded it
                continue
            with suppress(OSError):  # open in another process, on Windows
                file.unlink()
        known = _decode(path, folder, stem)
    size = SIZED.search(known.name)
    assert size is not None
    width, height = map(int, size.groups())
    return np.memmap(known, np.uint8, mode="r").reshape(-1, height, width, 3)


def _short_hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _decode(video: Path, folder: Path, stem: str) -> Path:
    """Decode a video into a raw file; it gets its final name after the last frame."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{stem}.{os.getpid()}.part"
    try:
        with partial.open("wb") as file, closing(open_source(str(video))) as source:
            size = None
            for frame in source:
                size = size or frame.image.shape[:2]
                file.write(np.ascontiguousarray(frame.image).data)
        if size is None:
            raise SourceError(f"{video}: has no frames")
        return partial.replace(folder / f"{stem}-{size[1]}x{size[0]}.rgb")
    finally:
        partial.unlink(missing_ok=True)
