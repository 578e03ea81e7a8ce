"""COCO format: a JSON document that is written while the run goes on.

The document has two growing lists, and only one can be at the end of a file. So annotations are
written to the file, images to a temporary file. Closing appends the images to the file.
"""

import json
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryFile

from siamcorr.media.append_file import AppendFile
from siamcorr.media.tables.rows import Row, TableSink

RESERVE = 1 << 16  # bytes reserved on the disk for what closing adds and for rounding to blocks
BLOCK = 1 << 24  # bytes of images to move at once
COMMA, BETWEEN, TAIL = b",\n", b'\n],\n"images": [\n', b"\n]\n}\n"


class CocoSink(TableSink):
    """A COCO document: one image per frame, one annotation per row, one category.

    Beside COCO's keys, images have frame_index (from 0) and time (seconds); annotations have score,
    track_id (the target's number), lost and, if set, name. The ids of images, annotations and
    category count from 1. file_name is the frame's number with 6 digits; no such files are
    written.

    The file is valid JSON only after closing, which works on a full disk, too. If the process is
    killed, the images are missing.

    Args:
        path: of the file.
        frame_size: (width, height) in pixels.

    Raises:
        ValueError: a size below 1, or rows that go back to an earlier frame.
        OSError: see `TableSink`.
    """

    HEAD = '{\n"categories": [{"id": 1, "name": "target"}],\n"annotations": [\n'

    def __init__(self, path: str | Path, frame_size: tuple[int, int]) -> None:
        width, height = frame_size
        if min(width, height) < 1:
            raise ValueError(f"{path}: frame_size must be >= 1, got {width}x{height}")
        self.frame_size = int(width), int(height)
        self._count, self._frame = 0, -1
        super().__init__(path)
        with ExitStack() as stack:  # if one of these fails, closes those that are open
            stack.callback(self._file.close)
            self._reserve = stack.enter_context(closing(self._temporary_file()))
            self._images = stack.enter_context(closing(self._temporary_file()))
            self._reserve.append(b" " * RESERVE)
            self._files = stack.pop_all()

    def _temporary_file(self) -> AppendFile:
        """A file on the same disk, deleted when it is closed or the process ends."""
        return AppendFile(TemporaryFile(buffering=0, dir=self.path.parent), self.path)

    def _put(self, row: Row) -> None:
        if row.frame < self._frame:
            text = f"frames must not go back, got {row.frame} after {self._frame}"
            raise ValueError(f"{self.path}: {text}")
        if row.frame > self._frame:
            self._images.append(self._image(row).encode())
            self._frame = row.frame
        self._file.append((COMMA if self._count else b"") + self._text(row).encode())
        self._count += 1

    def _image(self, row: Row) -> str:
        width, height = self.frame_size
        values = {
            "id": row.frame + 1,
            "width": width,
            "height": height,
            "file_name": f"{row.frame:06d}.jpg",
            "frame_index": row.frame,
            "time": row.time,
        }
        return json.dumps(values) + ",\n"  # comma included, so that moving adds no bytes

    def _text(self, row: Row) -> str:
        values = {
            "id": self._count + 1,
            "image_id": row.frame + 1,
            "category_id": 1,
            "bbox": row.box_xywh,
            "area": round(row.box_xywh[2] * row.box_xywh[3], 3),
            "iscrowd": 0,
            "score": row.score,
            "track_id": row.target,
            "lost": row.lost,
        }
        return json.dumps(values | ({"name": row.name} if row.name else {}))

    def close(self) -> None:
        """Finish the document.

        Raises:
            OSError: the file cannot be written, see `TableSink`.
        """
        with self._files:  # closed here; a second close finds nothing to do
            if self._file.closed:
                return
            self._reserve.close()  # frees the bytes that closing adds
            before = BETWEEN
            while images := self._pop_images():
                self._file.append(before + images.removesuffix(COMMA))
                before = COMMA
            self._file.append(TAIL if before is COMMA else BETWEEN + TAIL)

    def _pop_images(self) -> bytes:
        """Cut up to a block of images from the end of the temporary file and return them."""
        begin = max(0, self._images.size - BLOCK)
        images = self._images.read_from(begin)
        if begin:  # most likely in the middle of a line
            whole = images.index(b"\n") + 1
            begin, images = begin + whole, images[whole:]
        self._images.cut(begin)
        return images
