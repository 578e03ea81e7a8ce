"""Frames and texts on disk, so that a folder or a file is there once all of it is."""

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
    """What frames are of, to know them again: the source, and which part of it.

    A folder is known by its images, wherever it lies.

    Raises:
        OSError: the source cannot be read.
        SourceError: it is a folder without so many images.
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
    """Whether the frames that `about` describes are there already.

    Frames of a folder may be described without its images, as they once were.

    Raises:
        OSError: the folder cannot be read.
        ValueError: something else is.
    """
    if not folder.exists():
        return False
    there = folder / ABOUT
    found = there.read_text(encoding="utf-8") if there.is_file() else ""
    if found not in (about, re.sub(r"(?m)^images: .*\n", "", about)):
        raise ValueError(f"{folder}: is there already, and holds other frames than these")
    return True


def store_frames(frames: Iterable[Image], folder: Path, about: str) -> None:
    """Write frames as 00000001.jpg and so on into a new folder, which is there once all are.

    Args:
        frames: (H, W, 3) RGB.
        folder: to make; those above it are made, too.
        about: see `description`.

    Raises:
        OSError: they cannot be written; nothing is left behind.
        ValueError: a frame cannot be read, or there is none.
    """
    part = folder.with_name(f".{folder.name}.part")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
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
    """Write files so that a full disk leaves all of them as they were, or absent.

    Raises:
        OSError: one cannot be written.
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
