"""View: shows a session in a window, and handles keys, mouse and pause."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from siamcorr.media import Frame, write_image
from siamcorr.media.display_window import Input
from siamcorr.tracking import Box, TrackResult
from siamcorr.tracking.boxes import Image
from siamcorr.viewer.canvas import cut_out, draw_targets, lay_crops, lay_heat, lay_lines, wrapped
from siamcorr.viewer.session import Session
from siamcorr.viewer.zoom import to_frame, to_window, zoom_of, zoomed

KEYS = {
    "space": "pause",
    "n": "next frame",
    "a": "add",
    "r": "re-draw",
    "d": "drop",
    "h": "heat-map",
    "t": "crops",
    "s": "snapshot",
    "q": "quit",
}
WAIT = 25  # milliseconds between two checks of the keys in a pause
NOTICE = 2.0  # seconds that a notice is shown


class Screen(Protocol):
    """Interface of the window, see `siamcorr.media.Window`."""

    def show(self, image: Image, wait_ms: int = 1) -> Input:
        """Show an image and return the user's input."""


class View:
    """Shows a session, and applies the user's input to it.

    The user can draw a box at any time; "a" and "r" hold the frame until a box is drawn.

    Args:
        window: shows the frames.
        folder: for snapshots.
        seconds: minimum time between two frames; 0 shows frames as fast as they are tracked.
        stopped: returns True if the caller wants to stop.
    """

    def __init__(
        self,
        window: Screen,
        folder: str | Path = ".",
        seconds: float = 0.0,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.window, self.folder, self.seconds = window, Path(folder), seconds
        self.stopped = stopped
        self.paused = self.heat = self.crops = False
        self._redraw: int | None = None  # target that gets the next box
        self._marking = False  # hold the frame until a box is drawn
        self._notice, self._notice_until = "", 0.0
        self._last = time.monotonic()
        self._due = self._fps = 0.0

    def show(self, session: Session, frame: Frame) -> bool:
        """Show a frame with the session's results; False if the user wants to stop."""
        self._keep_time()
        while True:
            picture = self._picture(session, frame)
            done = to_frame(self.window.show(picture, self._wait()), zoom_of(frame.image))
            quits = done.key == "q" or (done.key == "escape" and not self._marking)
            if quits or done.closed or self.stopped():
                return False
            self._handle(done, session, frame)
            if not self._marking and (done.key == "n" or not (self.paused or done.drawing)):
                return True

    def ask(self, session: Session, frame: Frame) -> bool:
        """Hold a frame until a target is marked in it; False if the user cancels."""
        self._marking = True
        return self.show(session, frame) and bool(session.results)

    def _handle(self, done: Input, session: Session, frame: Frame) -> None:
        if done.drawn is not None:
            self._mark(done.drawn, session, frame)
        chosen = session.at(*done.mouse)
        match done.key:
            case " ":
                self.paused = not self.paused
            case "n" if not self._marking:
                self.paused = True
            case "a":
                self._marking, self._redraw = True, None
            case "r" if chosen is not None:
                self._marking, self._redraw = True, chosen
            case "d" if chosen is not None:
                session.drop(chosen)
            case "h":
                self.heat = not self.heat
            case "t":
                self.crops = not self.crops
            case "s":
                self._snapshot(session, frame)
            case "escape":
                self._marking, self._redraw = False, None

    def _mark(self, box: Box, session: Session, frame: Frame) -> None:
        """Add a target, or give the chosen target its new box."""
        try:
            if self._redraw in session.results:
                session.renew(self._redraw, frame, box)
            else:
                session.add(frame, box)
        except ValueError as error:
            self._notify(str(error))
            return
        self._marking, self._redraw = False, None

    def _snapshot(self, session: Session, frame: Frame) -> None:
        path = self.folder / f"snapshot-{frame.index:06d}.png"
        try:
            write_image(path, draw_targets(frame.image, session.results, session.trails))
        except OSError as error:
            self._notify(f"{path}: {error.strerror or error}")
        else:
            self._notify(f"written to {path}")

    def _picture(self, session: Session, frame: Frame) -> Image:
        """The frame, scaled for the window, with everything drawn over it."""
        zoom = zoom_of(frame.image)
        image = zoomed(frame.image)
        results = {number: to_window(result, zoom) for number, result in session.results.items()}
        if self.heat:
            for result in results.values():
                lay_heat(image, result)
        trails = {n: [(x * zoom, y * zoom) for x, y in t] for n, t in session.trails.items()}
        canvas = draw_targets(image, results, trails)
        chosen = max(results, default=None)
        if self.crops and chosen is not None:
            search = cut_out(frame.image, session.results[chosen].region)
            lay_crops(canvas, [session.portraits[chosen], search])
        words = [f"{key}: {what}" for key, what in KEYS.items()]
        lay_lines(canvas, self._status(frame, results), wrapped(words, canvas.shape[1]))
        return canvas

    def _status(self, frame: Frame, results: Mapping[int, TrackResult]) -> str:
        if self._marking:
            return "draw a box around the target with the mouse   escape: cancel"
        if time.monotonic() < self._notice_until:
            return self._notice
        lost = sum(result.lost for result in results.values())
        parts = [f"frame {frame.index}", f"{self._fps:.0f} fps", "paused" if self.paused else ""]
        return "   ".join(filter(None, [*parts, f"{lost} LOST" if lost else ""]))

    def _notify(self, text: str) -> None:
        self._notice, self._notice_until = text, time.monotonic() + NOTICE

    def _keep_time(self) -> None:
        """Update the frame rate and the time of the next frame."""
        now = time.monotonic()
        spent = max(now - self._last, 1e-3)
        self._due = max(self._due + self.seconds, now)
        self._fps = 1 / spent if not self._fps else 0.9 * self._fps + 0.1 / spent
        self._last = now

    def _wait(self) -> int:
        """Milliseconds to wait for a key: until the next frame is due."""
        if self.paused or self._marking:
            return WAIT
        return max(1, round((self._due - time.monotonic()) * 1000))
