"""The outputs of `siamcorr track`: a table, a video and a window."""

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

LONGEST = 5.0  # seconds; a longer gap between live frames is shortened to this in the video


@dataclass(frozen=True)
class Outputs:
    """The requested ones of table, video and window.

    shrink: side of a tracked frame over that of the source's frame; tables have the source's
        pixels.
    live: repeat frames in the video where frames were dropped, so that it plays in real time.
    names: names of targets by number, for targets that have one.
    """

    table: TableSink | None = None
    video: VideoSink | None = None
    view: View | None = None
    shrink: float = 1.0
    live: bool = False
    names: Mapping[int, str] = field(default_factory=dict)
    clock: dict[str, float] = field(default_factory=dict)

    def write(self, frame: Frame, session: Session) -> bool:
        """Write a frame and its results to all outputs. Return False if the user wants to stop."""
        # The window first: a target that is marked in this frame is then written, too.
        go_on = self.view.show(session, frame) if self.view else True
        self.write_results(frame, session.results)
        return go_on

    def write_results(self, frame: Frame, results: Mapping[int, TrackResult]) -> None:
        """Write a frame and its results to the table and the video."""
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
        """Return how often to write a frame: as long as the wait for it, up to `LONGEST`."""
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
    """Open the video and the table; the stack closes them.

    Args:
        stack: closes the outputs.
        video: path of the video, or None.
        table: path of the table, or None.
        fps: frames per second of the video.
        size: (width, height) of the source's frames, in pixels.
        audio: file with the sound for the video, and the second where it begins.
        crf: quality of the video, see `VideoSink`.

    Raises:
        OSError: a file cannot be written.
        ValueError: a suffix is unknown.
    """
    sound, start = audio or (None, 0.0)
    sink = VideoSink(video, fps, audio_from=sound, start=start, crf=crf) if video else None
    if sink:
        stack.enter_context(sink)
    rows = stack.enter_context(open_table(table, size)) if table else None
    return Outputs(rows, sink)


def refuse_overwriting(source: str, *outputs: str | None) -> None:
    """Check that no output is the source, and that the outputs are different files.

    Raises:
        ValueError: an output is the source or another output.
    """
    file = Path(url2pathname(urlsplit(source).path) if source.startswith("file:") else source)
    for output in filter(None, outputs):
        if Path(output).exists() and file.exists() and Path(output).samefile(file):
            raise ValueError(f"{output}: is the source itself")
    paths = [Path(output).resolve() for output in outputs if output]
    if len(set(paths)) < len(paths):
        raise ValueError(f"{paths[0]}: the video and the table cannot be the same file")
