"""Servers on free ports, and clients."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("aiohttp")

from aiohttp import web

from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import Network, build_model
from siamcorr.tracking import MultiTracker, TrackResult
from siamcorr.web import Limits, Networks
from siamcorr.web.access import Access
from siamcorr.web.clip import Clip
from siamcorr.web.networks import load_network
from siamcorr.web.server import Server, bind

MODEL, OTHER = "siamcorr-lite", "nanotrack-v2"

Pictures = list[tuple[bytes, tuple[float, ...]]]


def packed(image: np.ndarray) -> bytes:
    """Encode an RGB image as JPEG."""
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def unpacked(data: bytes) -> np.ndarray:
    """Decode a JPEG to RGB."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="session")
def jpeg() -> Callable[[np.ndarray], bytes]:
    return packed


@pytest.fixture(scope="session")
def clip() -> Pictures:
    """JPEGs and ground truth boxes of a clip."""
    frames = render_clip(ClipConfig(frames=8, width=160, height=120, target=40))
    return [(packed(image), box) for image, box in frames]


@pytest.fixture(scope="session")
def other_clip() -> Pictures:
    """Another clip, of another size."""
    frames = render_clip(ClipConfig(frames=8, width=200, height=140, target=44, seed=5))
    return [(packed(image), box) for image, box in frames]


@pytest.fixture(scope="session")
def loaded() -> dict[str, Network]:
    """The shipped network, and one with random weights, by model and device."""
    torch.manual_seed(0)
    return {MODEL: load_network(MODEL, "cpu"), OTHER: build_model(OTHER)}


@pytest.fixture
def networks(loaded) -> Networks:
    """Both networks, offered to the page."""
    return Networks(list(loaded), ["cpu"], lambda model, device: loaded[model])


@pytest.fixture
def expected(loaded) -> Callable[..., list[dict[int, TrackResult]]]:
    """Results of a MultiTracker for a clip's JPEGs; boxes are added at their frames."""

    def results(clip: Pictures, boxes: dict[int, tuple[float, ...]], model: str = MODEL):
        recover = loaded[model].preset.recipe.lost_below > 0
        tracker, found = MultiTracker(loaded[model], recover=recover), []
        for index, (data, _) in enumerate(clip):
            frame = unpacked(data)
            found.append(tracker.update(frame, response=True) if len(tracker) else {})
            if index in boxes:
                tracker.add(frame, boxes[index])
        return found

    return results


@pytest.fixture
def make_server(networks) -> Callable[..., Server]:
    """A server with networks that are already loaded."""

    def make(
        token: str | None = None, host: str = "127.0.0.1", clip: Clip | None = None, **limits: float
    ) -> Server:
        return Server(networks, Access(host, token), MODEL, "cpu", Limits(**limits), clip)

    return make


@pytest.fixture
def serve() -> Iterator[Callable[[Server], str]]:
    """Run servers in threads and return their addresses; all stop at the end of the test."""
    running = []

    def start(server: Server) -> str:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=2.0)
        running.append((loop, runner, thread))
        listening = bind("127.0.0.1", 0)
        asyncio.run_coroutine_threadsafe(begin(runner, listening), loop).result(20)
        return f"http://127.0.0.1:{listening.getsockname()[1]}/"

    async def begin(runner: web.AppRunner, listening: socket.socket) -> None:
        await runner.setup()
        await web.SockSite(runner, listening).start()

    yield start
    for loop, runner, thread in running:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
