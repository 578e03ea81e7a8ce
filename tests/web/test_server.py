"""Sockets: tracking, several sessions, limits."""

import asyncio
import threading
from socket import SHUT_RDWR

import numpy as np
import pytest

pytest.importorskip("aiohttp")

from aiohttp import WSMsgType
from aiohttp.test_utils import TestClient, TestServer
from visiting import meet, page

from siamcorr.web import Limits, Networks, Session
from siamcorr.web.access import Access
from siamcorr.web.server import Server

MODEL, OTHER = "siamcorr-lite", "nanotrack-v2"


async def ask(socket, message):
    """Send a JPEG or a command, and return the answer."""
    await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_json(message))
    return await socket.receive_json()


async def track(socket, clip):
    """Boxes of a clip's target; other tasks run between its frames."""
    boxes = []
    for data, box in clip:
        answer = await ask(socket, data)
        boxes += [target["box"] for target in answer["targets"]]
        if answer["frame"] == 0:
            assert (await ask(socket, {"type": "add", "box": box}))["type"] == "added"
    return boxes


def alone(expected, clip):
    return [r[0].box_xywh for r in expected(clip, {0: clip[0][1]})[1:]]


# tracking


def test_boxes_are_those_of_the_tracker(make_server, clip, expected):
    async def work(client):
        async with page(client) as socket:
            return await track(socket, clip)

    boxes = meet(make_server(), work)
    np.testing.assert_allclose(boxes, alone(expected, clip), atol=1e-3)


def test_sessions_do_not_disturb_each_other(make_server, clip, other_clip, expected):
    async def work(client):
        async with page(client) as one, page(client) as other:
            return await asyncio.gather(track(one, clip), track(other, other_clip))

    one, other = meet(make_server(), work)
    np.testing.assert_allclose(one, alone(expected, clip), atol=1e-3)
    np.testing.assert_allclose(other, alone(expected, other_clip), atol=1e-3)


class Waiting:
    """A network that blocks until it is released."""

    def __init__(self, network):
        self.network, self.called, self.go = network, threading.Event(), threading.Event()
        self.preset, self.device, self.template = network.preset, network.device, network.template

    def search(self, *arguments):
        self.called.set()
        self.go.wait(20)
        return self.network.search(*arguments)


def test_a_slow_network_holds_up_its_own_session_only(loaded, clip):
    slow = Waiting(loaded[OTHER])
    networks = Networks([MODEL, OTHER], ["cpu"], lambda m, d: slow if m == OTHER else loaded[m])
    server = Server(networks, Access("127.0.0.1"), MODEL, "cpu", Limits(sessions=2))

    async def work(client):
        async with page(client) as one, page(client) as other:
            await ask(one, {"type": "model", "model": OTHER, "device": "cpu"})
            await ask(one, clip[0][0])
            await ask(one, {"type": "add", "box": clip[0][1]})
            stuck = asyncio.create_task(ask(one, clip[1][0]))
            while not slow.called.is_set():
                await asyncio.sleep(0.01)
            boxes = await track(other, clip)
            assert (await client.get("/clip/0.jpg")).status == 200
            assert not stuck.done()
            slow.go.set()
            return boxes, await stuck

    boxes, answer = meet(server, work)
    assert len(boxes) == 7
    assert len(answer["targets"]) == 1


# limits


def test_errors_are_sent_and_the_session_continues(make_server, clip, expected):
    bad = [
        (b"no picture", "frame: must be a complete JPEG"),
        (clip[0][0][:-99] + b"\0" * 9, "frame: must be a complete JPEG"),
        ({"type": "add", "box": [5, 5, 0, 0]}, "box must have a size, got w 0 and h 0"),
        ({"type": "add"}, "box: must be four numbers"),
        (["add"], "command: must be an object"),
    ]

    async def work(client):
        async with page(client) as socket:
            boxes = []
            for index, (data, box) in enumerate(clip):
                boxes += [target["box"] for target in (await ask(socket, data))["targets"]]
                if index == 0:
                    await ask(socket, {"type": "add", "box": box})
                message, text = bad[index % len(bad)]
                answer = await ask(socket, message)
                assert answer["type"] == "error"
                assert answer["text"].startswith(text)
            await socket.send_str("{")
            assert (await socket.receive_json())["text"] == "command: must be JSON, got '{'"
            return boxes

    np.testing.assert_allclose(meet(make_server(), work), alone(expected, clip), atol=1e-3)


def test_out_of_memory_is_an_error_message(make_server, clip, monkeypatch):
    def fail(session, data):
        raise RuntimeError("out of\nmemory")

    async def work(client):
        async with page(client) as socket:
            monkeypatch.setattr(Session, "_track", fail)
            assert await ask(socket, clip[0][0]) == {"type": "error", "text": "out of memory"}
            return await ask(socket, {"type": "clear"})

    assert meet(make_server(), work) == {"type": "cleared"}


def test_a_server_bug_ends_its_session_only(make_server, clip, monkeypatch, caplog):
    def fail(session, command):
        raise KeyError("never to happen")

    monkeypatch.setattr(Session, "_execute", fail)

    async def work(client):
        async with page(client) as kept, page(client) as socket:
            answer = await ask(socket, {"type": "clear"})
            assert answer == {"type": "error", "text": "the server failed, see its log"}
            message = await socket.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1011)
            return await ask(kept, clip[0][0])

    assert meet(make_server(), work)["type"] == "result"
    assert "never to happen" in caplog.text  # the server's log has it


def test_a_message_that_is_too_large_ends_the_session(make_server, clip):
    async def work(client):
        async with page(client) as kept, page(client) as socket:
            await socket.send_bytes(b"\xff" * 20_001)
            message = await socket.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)
            return await ask(kept, clip[0][0])

    assert meet(make_server(message_bytes=20_000), work)["type"] == "result"


def test_a_flood_ends_the_session(make_server, clip):
    async def work(client):
        async with page(client) as kept, page(client) as socket:
            for _ in range(12):
                await socket.send_bytes(clip[0][0])
            messages = [message async for message in socket]
            assert socket.close_code == 1008
            text = "flood: more than 3 messages sent without waiting for an answer"
            assert messages[-1].json() == {"type": "error", "text": text}
            assert len(messages) < 5
            return await ask(kept, clip[0][0])

    answer = meet(make_server(waiting=3, messages_per_second=2), work)
    assert answer["type"] == "result"


def test_messages_wait_for_their_turn(make_server):
    """Six messages at 10 per second from a page that waits for answers: it is not refused."""

    async def work(client):
        async with page(client) as socket:
            begin = asyncio.get_running_loop().time()
            answers = [await ask(socket, {"type": "clear"}) for _ in range(6)]
            assert all(answer["type"] == "cleared" for answer in answers)
            return asyncio.get_running_loop().time() - begin

    assert meet(make_server(messages_per_second=10), work) >= 0.49


def test_number_of_sessions_is_limited(make_server):
    server = make_server(sessions=2)

    async def work(client):
        async with page(client):
            async with page(client), client.ws_connect("/ws") as third:
                text = "full: all 2 sessions are taken, try again later"
                assert await third.receive_json() == {"type": "error", "text": text}
                assert (await third.receive()).data == 1013
            while len(server.open) > 1:
                await asyncio.sleep(0.01)
            async with page(client):
                assert len(server.open) == 2

    meet(server, work)


def test_a_lost_connection_frees_its_session(make_server, clip):
    server = make_server(sessions=1)

    async def work(client):
        socket = await client.ws_connect("/ws")
        await socket.send_bytes(clip[0][0])
        wire = socket.get_extra_info("socket")
        wire.shutdown(SHUT_RDWR)  # without closing the socket
        while server.open:
            await asyncio.sleep(0.01)
        async with page(client) as again:
            return await ask(again, clip[0][0])

    assert meet(server, work)["type"] == "result"


def test_network_that_cannot_be_built_is_an_error_message(make_server):
    server = make_server()
    server.model = "gone"

    async def work(client):
        async with client.ws_connect("/ws") as socket:
            answer = await socket.receive_json()
            assert (await socket.receive()).type == WSMsgType.CLOSE
            return answer

    text = f"model: must be one of {MODEL}, {OTHER}, got gone"
    assert meet(server, work) == {"type": "error", "text": text}
    assert not server.open


def test_shutdown_closes_the_sockets(make_server):
    server = make_server()

    async def run():
        async with TestClient(TestServer(server.app())) as client:
            socket = await client.ws_connect("/ws")
            await socket.receive_json()
            await client.server.close()
            message = await socket.receive()
            return message.type, message.data, message.extra

    assert asyncio.run(run()) == (WSMsgType.CLOSE, 1001, "the server ended")
    with pytest.raises(RuntimeError, match="after shutdown"):
        server.pool.submit(print)
