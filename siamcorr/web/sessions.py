"""Session of one page: its last frame, its targets, its network."""

import base64
import time
from collections.abc import Callable

import numpy as np

from siamcorr.models import Network
from siamcorr.tracking import Box, MultiTracker, TrackResult, check_box
from siamcorr.tracking.boxes import Image
from siamcorr.web.limits import Limits
from siamcorr.web.messages import Message, decode_frame, read_box, read_command
from siamcorr.web.networks import Networks


class Session:
    """Takes frames and commands, and gives one answer to each.

    Independent of sockets. Not thread-safe.

    Args:
        networks: offered to the page.
        limits: see `Limits`.
        model: first model.
        device: first device.

    Raises:
        OSError, ValueError: the network cannot be built, see `Networks.get`.
    """

    def __init__(self, networks: Networks, limits: Limits, model: str, device: str) -> None:
        self._networks, self.limits = networks, limits
        self.model, self.device = model, device
        self._tracker = _build_tracker(networks.get(model, device))
        self._boxes: dict[int, Box] = {}  # by the page's number of the target
        self._inside: dict[int, int] = {}  # from the page's number to the tracker's
        self._next, self._frames, self._maps = 0, 0, False
        self._frame: Image | None = None
        self._commands: dict[str, Callable[[Message], Message]] = {
            "add": self._add,
            "remove": self._remove,
            "clear": self._clear,
            "model": self._choose,
            "maps": self._show_maps,
        }

    def hello(self) -> Message:
        """The first message to a page."""
        return {
            "type": "hello",
            "models": self._networks.models,
            "devices": self._networks.devices,
            "frame_pixels": self.limits.frame_pixels,
            "frame_side": self.limits.frame_side,
            **self._settings(),
        }

    def answer(self, message: str | bytes) -> Message:
        """Process a frame or a command.

        Raises:
            ValueError, OSError, RuntimeError: the message failed; the session is unchanged.
        """
        return self._track(message) if isinstance(message, bytes) else self._execute(message)

    def _execute(self, text: str) -> Message:
        command = read_command(text, self.limits)
        if command["type"] not in self._commands:
            known = ", ".join(self._commands)
            raise ValueError(f"type: must be one of {known}, got {command['type'][:40]!r}")
        return self._commands[command["type"]](command)

    def _track(self, data: bytes) -> Message:
        frame = decode_frame(data, self.limits)
        begin = time.perf_counter()
        results = self._tracker.update(frame, response=self._maps)
        seconds = time.perf_counter() - begin
        self._frame, index = frame, self._frames
        self._frames += 1
        targets = []
        for number, inside in self._inside.items():
            self._boxes[number] = results[inside].box_xywh
            targets.append(target_message(number, results[inside]))
        return {"type": "result", "frame": index, "ms": seconds * 1e3, "targets": targets}

    def _add(self, command: Message) -> Message:
        if self._frame is None:
            raise ValueError("add: send a frame first")
        if len(self._boxes) >= self.limits.targets:
            raise ValueError(f"add: at most {self.limits.targets} targets at once")
        box = check_box(read_box(command.get("box")), self._frame.shape[:2])
        number = self._next
        self._inside[number] = self._tracker.add(self._frame, box)
        self._boxes[number] = box
        self._next += 1
        return {"type": "added", "number": number, "box": box}

    def _remove(self, command: Message) -> Message:
        number = command.get("number")
        if type(number) is not int or number not in self._boxes:
            raise ValueError(f"remove: must be the number of a target, got {str(number)[:40]}")
        self._tracker.remove(self._inside.pop(number))
        del self._boxes[number]
        return {"type": "removed", "number": number}

    def _clear(self, command: Message) -> Message:
        """Remove all targets and the frame before another source is shown."""
        self._tracker = _build_tracker(self._tracker.model)
        self._boxes, self._inside, self._frame = {}, {}, None
        self._next, self._frames = 0, 0
        return {"type": "cleared"}

    def _choose(self, command: Message) -> Message:
        """Change the network; it starts all targets again from their boxes in the last frame."""
        model, device = command.get("model"), command.get("device")
        tracker = _build_tracker(self._networks.get(model, device))
        inside = {}
        if self._frame is not None:
            inside = {n: tracker.add(self._frame, box) for n, box in self._boxes.items()}
        self._tracker, self._inside = tracker, inside
        self.model, self.device = str(model), str(device)
        return {"type": "model", **self._settings()}

    def _show_maps(self, command: Message) -> Message:
        if type(command.get("on")) is not bool:
            raise ValueError(f"maps: on must be true or false, got {str(command.get('on'))[:40]}")
        self._maps = command["on"]
        return {"type": "maps", "on": self._maps}

    def _settings(self) -> Message:
        lost_below = self._tracker.recipe.config.lost_below
        return {"model": self.model, "device": self.device, "lost_below": lost_below}


def _build_tracker(network: Network) -> MultiTracker:
    """Build a tracker; it re-detects lost targets if the preset has a `lost_below` score."""
    return MultiTracker(network, recover=network.preset.recipe.lost_below > 0)


def target_message(number: int, result: TrackResult) -> Message:
    """A result for JSON: box and region in frame pixels, the map as base64; 255 is score 1."""
    message: Message = {
        "number": number,
        "box": result.box_xywh,
        "score": result.score,
        "lost": result.lost,
    }
    if result.response is not None:
        cells = np.round(np.clip(result.response, 0, 1) * 255).astype(np.uint8)
        data = base64.b64encode(cells.tobytes()).decode()
        message["map"] = {"cells": len(cells), "region": result.region, "data": data}
    return message
