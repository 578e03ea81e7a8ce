"""Downloads: complete, interrupted and resumed; never a wrong file under the final name."""

import errno
import hashlib
import re
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from siamcorr.models import download, find_weights, load_preset
from siamcorr.models.download import CHUNK

MODULE = sys.modules["siamcorr.models.download"]  # its name in the package is the function's
CONTENT = bytes(range(251)) * 1000  # almost four chunks
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "nanotrackv2.pth"


class Server(ThreadingHTTPServer):
    """Sends CONTENT[:cut] in some manner, and records the requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.manner, self.cut, self.status = "", None, 0
        self.ranges: list[str | None] = []
        self.released = threading.Event()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        manner, wanted = self.server.manner, self.headers["Range"]
        self.server.ranges.append(wanted)
        start = int(wanted[6:-1]) if wanted and manner != "no ranges" else 0
        if self.server.status:
            self.send_error(self.server.status)
        elif manner == "moved" and self.path == "/file":
            self.send_response(302)
            self.send_header("Location", "/there")
            self.end_headers()
        elif start >= len(CONTENT):
            self.send_error(416)
        else:
            self.send_response(206 if start else 200)
            kind = "text/html; charset=utf-8" if manner == "page" else "application/octet-stream"
            self.send_header("Content-Type", kind)
            if manner != "no length":
                self.send_header("Content-Length", len(CONTENT) - start)
            self.end_headers()
            self.wfile.write(CONTENT[start : self.server.cut])
            if manner == "silent":
                self.server.released.wait(30)


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def preset(server):
    base = load_preset("nanotrack-v2")
    url = f"http://127.0.0.1:{server.server_port}/file"
    return replace(base, weights=replace(base.weights, url=url, sha256=SHA256))


def other(preset, **changes):
    return replace(preset, weights=replace(preset.weights, **changes))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("manner", ["", "no ranges", "no length", "moved"])
def test_complete(manner, preset, server, tmp_path):
    server.manner = manner
    seen = []
    path = download(preset, tmp_path / "new" / "folder", lambda *numbers: seen.append(numbers))
    assert path == tmp_path / "new" / "folder" / FILE
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == [FILE]
    assert set(server.ranges) == {None}
    done, totals = zip(*seen, strict=True)
    assert list(done) == [CHUNK, 2 * CHUNK, 3 * CHUNK, len(CONTENT)]
    assert set(totals) == {None if manner == "no length" else len(CONTENT)}


def test_into_the_cache(preset, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert download(preset) == tmp_path / "siamcorr" / FILE
    assert (tmp_path / "siamcorr" / FILE).read_bytes() == CONTENT


@pytest.mark.parametrize("manner", ["", "no ranges", "moved"])
def test_interrupted_and_resumed(manner, preset, server, tmp_path):
    """If the server ignores the range, the download restarts; the bytes are right both ways."""
    server.manner, server.cut = manner, 100_000
    partial = tmp_path / f"{FILE}.part"
    text = f"cut off after 100000 of {len(CONTENT)} bytes; run it again to go on"
    with pytest.raises(OSError, match=text):
        download(preset, tmp_path)
    assert names(tmp_path) == [partial.name]
    assert partial.read_bytes() == CONTENT[:100_000]
    server.cut, server.ranges, seen = None, [], []
    path = download(preset, tmp_path, lambda *numbers: seen.append(numbers))
    assert set(server.ranges) == {"bytes=100000-"}
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == [FILE]
    first = CHUNK if manner == "no ranges" else 100_000 + CHUNK
    assert seen[0] == (first, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_interrupted_twice(preset, server, tmp_path):
    for server.cut in (100_000, 170_000):
        with pytest.raises(OSError, match=f"after {server.cut} of {len(CONTENT)} bytes"):
            download(preset, tmp_path)
    server.cut = None
    assert download(preset, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=170000-"]


def test_part_that_is_already_complete(preset, server, tmp_path):
    (tmp_path / f"{FILE}.part").write_bytes(CONTENT)
    assert download(preset, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]
    assert names(tmp_path) == [FILE]


@pytest.mark.parametrize("part", [b"", b"another file", b"x" * len(CONTENT)])
def test_wrong_bytes_leave_nothing(part, preset, tmp_path):
    """Downloaded now or before: resuming a wrong file can never succeed."""
    (tmp_path / f"{FILE}.part").write_bytes(part)
    wanted = SHA256 if part else "0" * 64
    with pytest.raises(ValueError, match=rf"not the published file .* not {wanted}\)"):
        download(other(preset, sha256=wanted), tmp_path)
    assert names(tmp_path) == []


def test_existing_file(preset, server, tmp_path):
    path = tmp_path / FILE
    path.write_bytes(CONTENT)
    assert download(preset, tmp_path) == path
    path.write_bytes(b"my own")
    assert download(other(preset, sha256=""), tmp_path) == path
    with pytest.raises(ValueError, match=r"exists, but is not the published file"):
        download(preset, tmp_path)
    assert path.read_bytes() == b"my own"
    assert server.ranges == []


@pytest.mark.parametrize("status", [403, 404, 416, 500])
def test_answers_that_are_errors(status, preset, server, tmp_path):
    """416 too: without a range, the file cannot be complete already."""
    server.status = status
    with pytest.raises(OSError, match=rf"^{preset.weights.url}: {status} \w+"):
        download(preset, tmp_path)
    assert names(tmp_path) == []


def test_error_keeps_what_has_arrived(preset, server, tmp_path):
    server.cut = 70_000
    for server.status in (0, 503):
        with pytest.raises(OSError, match=preset.weights.url):
            download(preset, tmp_path)
    assert (tmp_path / f"{FILE}.part").read_bytes() == CONTENT[:70_000]


def test_web_page(preset, server, tmp_path):
    server.manner = "page"
    with pytest.raises(ValueError, match="sent a web page, not a file; download it by hand"):
        download(other(preset, sha256=""), tmp_path)
    assert names(tmp_path) == []


def test_no_server(preset, server, tmp_path):
    with Server() as closed:
        url = f"http://127.0.0.1:{closed.server_port}/file"
    with pytest.raises(OSError, match=rf"^{url}: .*refused$") as caught:
        download(other(preset, url=url), tmp_path)
    assert "\n" not in str(caught.value)


def test_timeout(preset, server, tmp_path, monkeypatch):
    monkeypatch.setattr(MODULE, "TIMEOUT", 0.2)
    server.manner, server.cut = "silent", 2 * CHUNK
    with pytest.raises(OSError, match=r"the connection was cut off \(timed out\); run it again"):
        download(preset, tmp_path)
    assert (tmp_path / f"{FILE}.part").read_bytes() == CONTENT[: 2 * CHUNK]


def test_preset_without_a_url(tmp_path, monkeypatch):
    for name in ("SIAMCORR_SHARED", "SIAMCORR_WEIGHTS", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    preset = load_preset("siamfc-alexnet")
    text = f"siamfc-alexnet: download {preset.weights.file} by hand, from {preset.weights.page}"
    with pytest.raises(ValueError, match=re.escape(text)):
        download(preset, tmp_path)


def test_shipped_weights_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("SIAMCORR_WEIGHTS", str(tmp_path))
    preset = load_preset("siamcorr-lite")
    assert preset.weights.url == ""
    assert download(preset) == find_weights(preset)
    own = tmp_path / preset.weights.file
    own.write_bytes(b"my own")
    assert download(preset) == own


class FullDisk:
    """A file that has room for one chunk."""

    def __init__(self, file):
        self.file, self.room = file, 1

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, chunk):
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.file.write(chunk)


def test_full_disk(preset, server, tmp_path, monkeypatch):
    real = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode: FullDisk(real(path, mode)))
        with pytest.raises(OSError, match="No space left on device"):
            download(preset, tmp_path)
    assert (tmp_path / f"{FILE}.part").read_bytes() == CONTENT[:CHUNK]
    assert download(preset, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={CHUNK}-"]
