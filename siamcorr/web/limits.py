"""How much one person, and all together, may ask of the server."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Bounds, all of them at least 1.

    sessions: pages connected at once.
    targets: followed at once in a session.
    frame_pixels: width * height of a frame.
    frame_side: longer side of a frame, in pixels.
    messages_per_second: taken from a session; more of them wait.
    waiting: messages of a session that may wait; one more is a flood, which ends the session.
    message_bytes: size of a message, nearly always a frame; a larger one ends the session.
    command_characters: size of a message that is text.
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
    """Spread events so that no more than `rate` come in a second.

    Example:
        >>> pace = Pace(rate=10)
        >>> [round(pace.delay(now), 2) for now in (5.0, 5.0, 5.04, 9.0)]
        [0.0, 0.1, 0.16, 0.0]
    """

    def __init__(self, rate: float) -> None:
        self.step = 1 / rate
        self._free = 0.0

    def delay(self, now: float) -> float:
        """Seconds that an event at time `now` has to wait."""
        wait = max(0.0, self._free - now)
        self._free = now + wait + self.step
        return wait
