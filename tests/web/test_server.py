"""The server as pages meet it: sockets, bounds, and who is let in."""

import asyncio
import re
import threading
from contextlib import asynccontextmanager
from socket import SHUT_RDWR

import numpy as np
import pytest

pytest.importorskip("aiohttp")

from aiohttp import WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient, TestServer

from siamcorr.data import ClipConfig, render_clip
from siamcorr.web import Limits, Networks, Session
from siamcorr.web.access import Access
from siamcorr.web.clip import Clip
from siamcorr.web.messages import decode_frame
from siamcorr.web.server import PAGE, Server, bind

MODEL, OTHER = "siamcorr-lite", "nanotrack-v2"


def meet(server, work):
    """Run `work(client)` while the server runs."""

    async def run():
        async with asyncio.timeout(30), TestClient(TestServer(server.app())) as client:
            return await work(client)

    return asyncio.run(run())


@asynccontextmanager
async def page(client, path="/ws", **options):
    """A socket that has been greeted; what it was sent is `page.hello`."""
    async with client.ws_connect(path, max_msg_size=0, **options) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        yield socket


async def ask(socket, message):
    """Send a JPEG or a command, and return the answer."""
    await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_json(message))
    return await socket.receive_json()


async def track(socket, clip):
    """Boxes of the target that a clip begins with; others get their turn after each frame."""
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
    """A network that stands still until it may go on."""

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


# bounds


def test_errors_are_told_and_the_session_goes_on(make_server, clip, expected):
    bad = [
        (b"no picture", "frame: must be a whole JPEG"),
        (clip[0][0][:-99] + b"\0" * 9, "frame: must be a whole JPEG"),
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


def test_a_network_out_of_memory_is_told(make_server, clip, monkeypatch):
    def fail(session, data):
        raise RuntimeError("out of\nmemory")

    async def work(client):
        async with page(client) as socket:
            monkeypatch.setattr(Session, "_track", fail)
            assert await ask(socket, clip[0][0]) == {"type": "error", "text": "out of memory"}
            return await ask(socket, {"type": "clear"})

    assert meet(make_server(), work) == {"type": "cleared"}


def test_a_fault_of_ours_ends_that_session_only(make_server, clip, monkeypatch, caplog):
    def fail(session, command):
        raise KeyError("never to happen")

    monkeypatch.setattr(Session, "_obey", fail)

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
    """Six messages at ten a second; the page waits for each answer, and is not sent away."""

    async def work(client):
        async with page(client) as socket:
            begin = asyncio.get_running_loop().time()
            answers = [await ask(socket, {"type": "clear"}) for _ in range(6)]
            assert all(answer["type"] == "cleared" for answer in answers)
            return asyncio.get_running_loop().time() - begin

    assert meet(make_server(messages_per_second=10), work) >= 0.49


def test_sessions_are_bounded_and_places_come_free(make_server):
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


def test_a_page_that_breaks_off_gives_its_place_back(make_server, clip):
    server = make_server(sessions=1)

    async def work(client):
        socket = await client.ws_connect("/ws")
        await socket.send_bytes(clip[0][0])
        wire = socket.get_extra_info("socket")
        wire.shutdown(SHUT_RDWR)  # without a word of farewell
        while server.open:
            await asyncio.sleep(0.01)
        async with page(client) as again:
            return await ask(again, clip[0][0])

    assert meet(server, work)["type"] == "result"


def test_a_network_that_cannot_be_had_is_told(make_server):
    server = make_server()
    server.model = "gone"

    async def work(client):
        async with client.ws_connect("/ws") as socket:
            answer = await socket.receive_json()
            assert (await socket.receive()).type == WSMsgType.CLOSE
            return answer

    text = f"model: one of {MODEL}, {OTHER}, got gone"
    assert meet(server, work) == {"type": "error", "text": text}
    assert not server.open


def test_the_end_of_the_server_is_told(make_server):
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


# who is let in


async def status(client, path, **headers):
    """The status of a request, or of a socket's handshake."""
    if not path.startswith("/ws"):
        return (await client.get(path, headers=headers)).status
    try:
        async with page(client, path, headers=headers):
            return 101
    except WSServerHandshakeError as error:
        return error.status


@pytest.mark.parametrize(
    ("path", "without", "wrong", "right"),
    [
        ("/", 403, 403, 200),
        ("/ws", 403, 403, 101),
        ("/clip/0.jpg", 403, 403, 200),
        ("/page/app.js", 200, 200, 200),
    ],
)
def test_token(path, without, wrong, right, make_server):
    async def work(client):
        queries = ("", "?token=geheimnis", "?token=sesame")
        return [await status(client, path + query) for query in queries]

    assert meet(make_server(token="sesame"), work) == [without, wrong, right]


def test_a_wrong_token_says_what_to_do(make_server):
    async def work(client):
        return await (await client.get("/")).text()

    said = meet(make_server(token="sesame"), work)
    assert said == "token missing or wrong: open the address that the server told\n"


@pytest.mark.parametrize("path", ["/", "/ws", "/clip/0.jpg", "/page/app.js", "/nowhere"])
def test_a_foreign_host_is_refused_everywhere(path, make_server):
    async def work(client):
        return await status(client, path, Host=f"rebound.example:{client.port}")

    assert meet(make_server(), work) == 403


def test_origin(make_server):
    async def work(client):
        own = f"http://127.0.0.1:{client.port}"
        origins = (own, "http://evil.example", f"http://localhost:{client.port}", "null")
        return [await status(client, "/ws", Origin=origin) for origin in origins]

    assert meet(make_server(), work) == [101, 403, 403, 403]


# the page


def test_nothing_but_the_page_s_files_is_served(make_server):
    async def work(client):
        names = [path.name for path in PAGE.iterdir() if path.name != "index.html"]
        found = [await status(client, f"/page/{name}") for name in names]
        paths = ("/page/index.html", "/page/..%2fserver.py", "/page/%2fetc%2fpasswd", "/page/")
        return found, [await status(client, path) for path in paths]

    found, others = meet(make_server(), work)
    assert found == [200] * len(found) != []
    assert others == [404] * 4


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/clip/0.jpg", "/nowhere"])
def test_headers_allow_our_own_files_only(path, make_server):
    async def work(client):
        return (await client.get(path)).headers

    headers = meet(make_server(), work)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"unsafe|\*|http", policy)
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_holds_no_inline_script_and_nothing_from_elsewhere():
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>[^<]+", html) == []
    assert re.findall(r"\s(on\w+|style)=", html) == []
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}, path.name
        assert len(text.splitlines()) < 200, path.name


@pytest.mark.parametrize(
    ("name", "kind"),
    [("app.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
def test_types_do_not_hang_on_the_machine(name, kind, make_server):
    async def work(client):
        return (await client.get(f"/page/{name}")).content_type

    assert meet(make_server(), work) == kind


# the built-in clip


def test_clip_has_its_frames_and_no_more(make_server):
    config = ClipConfig(frames=3, width=160, height=120, target=40)
    clip = Clip(config)

    async def work(client):
        paths = [f"/clip/{index}.jpg" for index in (2, 0, 3, 999999, "a", "-1")]
        answers = [await client.get(path) for path in paths]
        assert answers[0].headers["Clip-Frames"] == "3"
        return [answer.status for answer in answers], await answers[0].read()

    found, last = meet(make_server(clip=clip), work)
    assert found == [200, 200, 404, 404, 404, 404]
    assert last == clip.picture(2)
    for index, (image, _) in enumerate(render_clip(config)):
        shown = decode_frame(clip.picture(index), Limits())
        assert abs(shown.astype(float) - image).mean() < 4


# where it listens


def test_a_taken_port_is_named():
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(OSError, match="Address already in use") as caught:
            bind("127.0.0.1", port)
    assert caught.value.filename == f"127.0.0.1:{port}"
