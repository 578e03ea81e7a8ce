"""Limits of the server: for a session, and for all of them."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Upper limits, all at least 1.

    Args:
        sessions: pages connected at the same time.
        targets: per session.
        frame_pixels: width * height of a frame.
        frame_side: longer side of a frame, in pixels.
        messages_per_second: answered per session; further messages wait.
        waiting: messages of a session that may wait; one more ends the session as a flood.
        message_bytes: size of a message, usually a frame; a larger one ends the session.
        command_characters: length of a text message.
    """

    sessions: int = 4
    targets: int = 8
    frame_pixels: int = 1920 * 1080
    frame_side: int = 4096
    messages_per_second: float = 60.0
    waiting: int = 4
    message_bytes: int = 2 << 20
    command_characters: int = 2000

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} must be >= 1, got {getattr(self, field.name)}")


class Pace:
    """Limit the rate of events to `rate` per second.

    Example:
        >>> pace = Pace(rate=10)
        >>> [round(pace.delay(now), 2) for now in (5.0, 5.0, 5.04, 9.0)]
        [0.0, 0.1, 0.16, 0.0]
    """

    def __init__(self, rate: float) -> None:
        self.step = 1 / rate
        self._free = 0.0

    def delay(self, now: float) -> float:
        """Seconds that an event at time `now` must wait."""
        wait = max(0.0, self._free - now)
        self._free = now + wait + self.step
        return wait
