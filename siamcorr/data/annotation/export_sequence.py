"""Write frames and annotation files; a folder or file appears only when it is complete."""

import re
import shutil
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from siamcorr.media import SourceError, write_image
from siamcorr.media.sources.files import ImageFolder
from siamcorr.tracking.boxes import Image

ABOUT = "meta_info.ini"


def description(source: Path, start: int, limit: int | None) -> str:
    """Text that identifies frames: their source, and the part of it.

    A folder is identified by its images, not by its path.

    Raises:
        OSError: the source cannot be read.
        SourceError: it is a folder without an image at index `start`.
    """
    if source.is_dir():
        files = ImageFolder(source, start).files
        size, first = sum(path.stat().st_size for path in files), zlib.crc32(files[0].read_bytes())
        content = f"images: {len(files)}, {size} bytes, the first {first:08x}\n"
    else:
        content = f"bytes: {source.stat().st_size}\n"
    part = f"start: {start}\nframes: {limit or 'all'}\n"
    return f"[METAINFO]\nsource: {source.name}\n{content}{part}"


def frames_stored(folder: Path, about: str) -> bool:
    """Whether the folder holds the frames that `about` describes.

    Descriptions of older versions, without the line about images, are accepted, too.

    Raises:
        OSError: the folder cannot be read.
        ValueError: the folder holds something else.
    """
    if not folder.exists():
        return False
    there = folder / ABOUT
    found = there.read_text(encoding="utf-8") if there.is_file() else ""
    if found not in (about, re.sub(r"(?m)^images: .*\n", "", about)):
        raise ValueError(f"{folder}: exists and holds other frames than these")
    return True


def store_frames(frames: Iterable[Image], folder: Path, about: str) -> None:
    """Write frames as 00000001.jpg and so on into a new folder; it appears when all are written.

    Args:
        frames: (H, W, 3) RGB.
        folder: to create, with its parents.
        about: see `description`.

    Raises:
        OSError: a frame cannot be written; nothing is left behind.
        ValueError: a frame cannot be read, or there is none.
    """
    part = folder.with_name(f".{folder.name}.part")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)  # left by a killed process
    part.mkdir()
    try:
        number = 0
        for number, frame in enumerate(frames, 1):
            write_image(part / f"{number:08d}.jpg", frame)
        if not number:
            raise SourceError(f"{folder.name}: no readable frame")
        (part / ABOUT).write_text(about, encoding="utf-8")
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_together(contents: Mapping[Path, str]) -> None:
    """Write all files or none: on a full disk, no existing file changes and none is created.

    Raises:
        OSError: a file cannot be written.
    """
    parts = {path: path.with_name(f".{path.name}.part") for path in contents}
    try:
        for path, text in contents.items():
            try:
                parts[path].write_text(text, encoding="utf-8")
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from None
        for path, part in parts.items():
            part.replace(path)
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink()
