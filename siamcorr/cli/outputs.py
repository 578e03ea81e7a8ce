"""Where `siamcorr track` sends what it finds: a table, a video, a window."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from siamcorr.media import Frame, TableSink, VideoSink, draw_result, open_table
from siamcorr.media.sinks.video_sink import CRF
from siamcorr.tracking import TrackResult
from siamcorr.viewer import Session, View

LONGEST = 5.0  # seconds that a live video stands still where nothing came


@dataclass(frozen=True)
class Outputs:
    """Whatever of table, video and window was asked for.

    shrink: frame pixels to a pixel of the source; tables are in the source's.
    live: in the video a frame stands for those that were left out before it, too, so that it
        plays as fast as things happened.
    names: of targets that have one, in place of their numbers.
    """

    table: TableSink | None = None
    video: VideoSink | None = None
    view: View | None = None
    shrink: float = 1.0
    live: bool = False
    names: Mapping[int, str] = field(default_factory=dict)
    clock: dict[str, float] = field(default_factory=dict)

    def write(self, frame: Frame, session: Session) -> bool:
        """Pass a frame and its results on to all; False once the person wants to stop."""
        # The window first: a target that is marked in this frame is written with it.
        go_on = self.view.show(session, frame) if self.view else True
        self.write_results(frame, session.results)
        return go_on

    def write_results(self, frame: Frame, results: Mapping[int, TrackResult]) -> None:
        """Pass a frame and its results on to table and video."""
        for number, result in sorted(results.items()):
            x, y, w, h = (value / self.shrink for value in result.box_xywh)
            if self.table:
                row = (frame.index, frame.time, (x, y, w, h), result.score)
                name = self.names.get(number, "")
                self.table.write(*row, target=number, lost=result.lost, name=name)
        if self.video:
            image = frame.image
            for number, result in results.items():
                label = f"{self.names.get(number, number)}  {result.score:.2f}"
                image = draw_result(image, result.box_xywh, result.score, label, result.lost)
            for _ in range(self._repeats(frame)):
                self.video.write(image)

    def _repeats(self, frame: Frame) -> int:
        """How often a frame is written: as long as it took to come, up to some seconds."""
        if not self.live or self.video is None:
            return 1
        passed = min(frame.time - self.clock.get("last", frame.time), LONGEST)
        self.clock["last"] = frame.time
        self.clock["due"] = self.clock.get("due", 0.0) + passed * self.video.fps
        return max(1, round(self.clock["due"]) + 1 - self.video.frames)


def open_outputs(
    stack: ExitStack,
    video: str | None,
    table: str | None,
    fps: float,
    size: tuple[int, int],
    audio: tuple[str, float] | None = None,
    crf: int = CRF,
) -> Outputs:
    """Open what has a name; the stack closes it.

    Args:
        stack: of what is open.
        video: a path, or None for no video.
        table: a path for the boxes, or None.
        fps: of the video.
        size: (width, height) of the source's frames, in pixels.
        audio: the file whose sound the video keeps, and the second where it begins.
        crf: quality of the video, see `VideoSink`.

    Raises:
        OSError: it cannot be written.
        ValueError: a suffix that is not known.
    """
    sound, start = audio or (None, 0.0)
    sink = VideoSink(video, fps, audio_from=sound, start=start, crf=crf) if video else None
    if sink:
        stack.enter_context(sink)
    rows = stack.enter_context(open_table(table, size)) if table else None
    return Outputs(rows, sink)


def refuse_overwriting(source: str, *outputs: str | None) -> None:
    """See that no output is the source, and none the other.

    Raises:
        ValueError: one is.
    """
    file = Path(url2pathname(urlsplit(source).path) if source.startswith("file:") else source)
    for output in filter(None, outputs):
        if Path(output).exists() and file.exists() and Path(output).samefile(file):
            raise ValueError(f"{output}: is the source itself")
    paths = [Path(output).resolve() for output in outputs if output]
    if len(set(paths)) < len(paths):
        raise ValueError(f"{paths[0]}: the video and the table cannot be one file")
