"""HTTP: access checks, the page's files, the built-in clip."""

import re
import socket

import pytest

pytest.importorskip("aiohttp")

from aiohttp import WSServerHandshakeError
from visiting import meet, page

from siamcorr.data import ClipConfig, render_clip
from siamcorr.web import Limits
from siamcorr.web.clip import Clip
from siamcorr.web.messages import decode_frame
from siamcorr.web.server import PAGE, bind


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
    assert said == "token missing or wrong: open the URL that the server printed\n"


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
def test_content_types_do_not_depend_on_the_machine(name, kind, make_server):
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


def test_error_of_an_unknown_name_is_the_system_s(monkeypatch):
    """socket.create_server raises OSError with a number that is not an errno."""

    def bind_to(self, address):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket.socket, "bind", bind_to)
    with pytest.raises(OSError, match="Name or service not known") as caught:
        bind("nosuch.invalid", 80)
    assert caught.value.filename == "nosuch.invalid:80"
    assert caught.value.strerror == "Name or service not known"
