"""The COCO format: one JSON document, streamed, and whole however the run ends.

The document has two lists that grow, and only one of them can stand at the end of a file. So the
annotations go into the file itself, the images into a nameless one beside it, and closing moves
them over.
"""

import json
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryFile

from siamcorr.media.append_file import GrowingFile
from siamcorr.media.tables.rows import Row, TableSink

RESERVE = 1 << 16  # bytes kept back on the disk, for what closing adds and for rounding to blocks
BLOCK = 1 << 24  # bytes of images that are moved at once
COMMA, BETWEEN, TAIL = b",\n", b'\n],\n"images": [\n', b"\n]\n}\n"


class CocoSink(TableSink):
    """A COCO document: an image a frame, an annotation a row, one category.

    Images carry frame_index (from 0) and time (seconds) beside COCO's own keys, annotations
    score, track_id (the target's number), lost and, if it has one, name. The ids of images,
    annotations and the category count from 1; file_name is a name by number, as for frames yet to
    be extracted.

    Until it is closed the file is no whole document. A full disk does not keep it from being
    closed. Only a killed process leaves it without its images.

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
        with ExitStack() as stack:  # closes what is open already, should one of these fail
            stack.callback(self._file.close)
            self._reserve = stack.enter_context(closing(self._nameless()))
            self._images = stack.enter_context(closing(self._nameless()))
            self._reserve.append(b" " * RESERVE)
            self._files = stack.pop_all()

    def _nameless(self) -> GrowingFile:
        """A file on the same disk that is gone once it is closed, or the process ends."""
        return GrowingFile(TemporaryFile(buffering=0, dir=self.path.parent), self.path)

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
        return json.dumps(values) + ",\n"  # with the comma, so that it does not grow when moved

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
            OSError: it cannot be, see `TableSink`.
        """
        with self._files:  # closed here; a second close finds nothing to do
            if self._file.closed:
                return
            self._reserve.close()  # room for what is added, beside what is only moved
            before = BETWEEN
            while images := self._last_images():
                self._file.append(before + images.removesuffix(COMMA))
                before = COMMA
            self._file.append(TAIL if before is COMMA else BETWEEN + TAIL)

    def _last_images(self) -> bytes:
        """Take up to a block of images off the end of their file, which makes room for them."""
        begin = max(0, self._images.size - BLOCK)
        images = self._images.read_from(begin)
        if begin:  # most likely within a line
            whole = images.index(b"\n") + 1
            begin, images = begin + whole, images[whole:]
        self._images.cut(begin)
        return images
