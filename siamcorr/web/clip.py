"""The built-in clip as JPEG images, for use without camera or video."""

from threading import Lock

import cv2

from siamcorr.data import ClipConfig, render_clip

QUALITY = 90


class Clip:
    """A rendered clip; frames are rendered on first use and cached.

    Args:
        config: of the clip.
    """

    def __init__(self, config: ClipConfig | None = None) -> None:
        self.config = config or ClipConfig(frames=300)
        self._rest = render_clip(self.config)
        self._pictures: list[bytes] = []
        self._lock = Lock()

    def picture(self, index: int) -> bytes:
        """Frame `index` as JPEG. Thread-safe.

        Raises:
            IndexError: there is no such frame.
        """
        if not 0 <= index < self.config.frames:
            raise IndexError(f"clip: frames 0 to {self.config.frames - 1}, got {index}")
        with self._lock:
            while len(self._pictures) <= index:
                image, _ = next(self._rest)
                quality = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
                bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
                self._pictures.append(cv2.imencode(".jpg", bgr, quality)[1].tobytes())
            return self._pictures[index]
