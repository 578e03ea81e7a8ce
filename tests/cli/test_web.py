"""`siamcorr web`: printed addresses, exit code, and errors."""

import re
import signal
import subprocess
import sys
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest

from siamcorr.cli import main
from siamcorr.cli.web import address


@pytest.fixture
def started(monkeypatch):
    """Servers that would run now."""
    pytest.importorskip("aiohttp")
    from siamcorr.web import server

    servers = []
    monkeypatch.setattr(server, "run", lambda it, listening: servers.append(it))
    return servers


def run(*arguments):
    return main(["web", "--port", "0", *arguments])


def test_no_token_on_the_loopback(started, capsys):
    assert run() == 130
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", line)
    (server,) = started
    assert (server.access.host, server.access.token) == ("127.0.0.1", None)
    assert (server.model, server.device, server.limits.sessions) == ("siamcorr-lite", "cpu", 4)
    assert "siamcorr-lite" in server.networks.models


def test_random_token_for_other_addresses(started, capsys):
    tokens = []
    for _ in range(2):
        assert run("--host", "0.0.0.0", "--max-sessions", "2") == 130
        first, hint, tunnel = capsys.readouterr().out.splitlines()
        (token,) = parse_qs(urlsplit(first).query)["token"]
        port = urlsplit(first).port
        assert f"ssh -L {port}:localhost:{port} " in hint
        assert tunnel == f"http://localhost:{port}/?token={token}"
        tokens.append(token)
    assert [server.access.token for server in started] == tokens
    assert len(set(tokens)) == 2
    assert min(map(len, tokens)) > 20
    assert started[0].limits.sessions == 2


def test_token_of_the_user(started, capsys):
    assert run("--token", "a b&c") == 130
    line = capsys.readouterr().out.strip()
    assert parse_qs(urlsplit(line).query) == {"token": ["a b&c"]}
    assert started[0].access.token == "a b&c"


@pytest.mark.parametrize(
    ("host", "start"), [("::1", "http://[::1]:80/"), ("box.example", "http://box.example:80/")]
)
def test_address(host, start):
    assert address(host, 80, None) == start


ERRORS = {
    "port": (["--port", "65536"], "--port must be 0 to 65535, got 65536"),
    "sessions": (["--max-sessions", "0"], "--max-sessions must be >= 1, got 0"),
    "token": (["--token", ""], "--token must not be empty"),
    "model": (["--model", "nonsense"], "nonsense"),
    "device": (["--device", "tpu"], "device must be auto, cpu, cuda or cuda:N, got tpu"),
    "host": (["--host", "203.0.113.1"], "203.0.113.1:0: "),
}


@pytest.mark.parametrize(("arguments", "text"), ERRORS.values(), ids=ERRORS)
def test_errors_are_one_line_and_code_2(arguments, text, started, capsys):
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"siamcorr: .+\n", err)
    assert text in err
    assert started == []


def test_a_model_without_weights_says_where_to_get_them(started, monkeypatch, tmp_path, capsys):
    for name in ("SIAMCORR_WEIGHTS", "SIAMCORR_SHARED", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert run("--model", "nanotrack-v2") == 2
    assert "no weights for nanotrack-v2 on this machine" in capsys.readouterr().err


def test_a_taken_port(started, capsys):
    from siamcorr.web.server import bind

    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert main(["web", "--port", str(port)]) == 2
    assert capsys.readouterr().err == f"siamcorr: 127.0.0.1:{port}: Address already in use\n"


def test_without_aiohttp(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    for name in ("siamcorr.web.server", "siamcorr.web.sockets"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr("siamcorr.web.server", raising=False)
    assert run() == 2
    text = "siamcorr: web: aiohttp is missing: pip install 'siamcorr[web]'\n"
    assert capsys.readouterr().err == text


def test_it_serves_until_ctrl_c():
    pytest.importorskip("aiohttp")
    with subprocess.Popen(
        [sys.executable, "-m", "siamcorr", "web", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(url, timeout=20) as answer:
                assert b"<title>siamcorr</title>" in answer.read()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, "", "")
