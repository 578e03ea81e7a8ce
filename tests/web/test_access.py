"""Access checks: accepted and refused requests."""

import re
import socket

import pytest

from siamcorr.web.access import Access, host_name, is_loopback


@pytest.mark.parametrize(
    ("bound", "header", "comes_in"),
    [
        ("127.0.0.1", "127.0.0.1:8000", True),
        ("127.0.0.1", "localhost:9000", True),  # through a tunnel from another port
        ("127.0.0.1", "LOCALHOST", True),
        ("127.0.0.1", "[::1]:8000", True),
        ("127.0.0.1", "evil.example:8000", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "192.168.0.7:8000", False),
        ("127.0.0.1", f"{socket.gethostname()}:8000", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", None, False),
        ("127.0.0.1", "[", False),
        ("0.0.0.0", "localhost:8000", True),
        ("0.0.0.0", "192.168.0.7:8000", True),
        ("0.0.0.0", "[fe80::1]:8000", True),
        ("0.0.0.0", f"{socket.gethostname()}:8000", True),
        ("0.0.0.0", f"{socket.gethostname()}.local", True),
        ("0.0.0.0", "evil.example:8000", False),
        ("0.0.0.0", "", False),
        ("box.example", "Box.Example:8000", True),
        ("box.example", "evil.example", False),
    ],
)
def test_host(bound, header, comes_in):
    access = Access(bound)
    if comes_in:
        access.check_host(header)
    else:
        said = re.escape(f"Host must be this machine, got {header or ''!r}")
        with pytest.raises(PermissionError, match=said):
            access.check_host(header)


@pytest.mark.parametrize(
    ("origin", "comes_in"),
    [
        ("http://localhost:8000", True),
        ("https://localhost:8000", True),
        ("HTTP://localhost:8000".lower(), True),
        (None, True),  # no browser
        ("http://localhost:3000", False),  # another server of this machine
        ("http://127.0.0.1:8000", False),
        ("http://evil.example", False),
        ("http://localhost:8000.evil.example", False),
        ("file://localhost:8000", False),
        ("null", False),
        ("", False),
    ],
)
def test_origin(origin, comes_in):
    access = Access("127.0.0.1")
    if comes_in:
        access.check_origin(origin, "LocalHost:8000")
    else:
        with pytest.raises(PermissionError, match="Origin must be this server, got "):
            access.check_origin(origin, "LocalHost:8000")


@pytest.mark.parametrize("given", [None, "", "secre", "secret!", "Secret", "sécret", "\udc80"])
def test_wrong_token(given):
    with pytest.raises(PermissionError, match="token missing or wrong"):
        Access("0.0.0.0", "secret").check_token(given)


@pytest.mark.parametrize("token", ["secret", "sécret"])
def test_right_token(token):
    Access("0.0.0.0", token).check_token(token)


def test_no_token_is_required_without_one():
    Access("127.0.0.1").check_token(None)


def test_names():
    assert host_name("user@host:80") == "host"
    assert [is_loopback(name) for name in ("127.8.0.1", "::1", "0.0.0.0", "", "host")] == [
        True,
        True,
        False,
        False,
        False,
    ]
