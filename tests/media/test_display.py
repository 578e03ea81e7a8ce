"""Display: without one, the answer is no, and the calling process survives."""

import subprocess
import sys

import pytest

from siamcorr.media import display, display_available

pytestmark = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="DISPLAY says nothing about a screen there"
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    """No display, and an empty cache before and after the test."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)  # "offscreen" would always succeed
    display_available.cache_clear()
    yield
    display_available.cache_clear()


@pytest.mark.parametrize("value", [None, ""])
def test_without_display_nothing_is_tried(monkeypatch, value):
    def started(*args, **kwargs):
        raise AssertionError("a child process was started")

    monkeypatch.setattr(display.subprocess, "run", started)
    if value is not None:
        monkeypatch.setenv("DISPLAY", value)
    assert display_available() is False


def test_display_that_does_not_answer(monkeypatch):
    """Qt aborts the process here; only the child process may die."""
    monkeypatch.setenv("DISPLAY", ":77")
    assert display_available() is False


@pytest.mark.parametrize(("code", "expected"), [(0, True), (-6, False), (1, False)])
def test_the_child_decides(monkeypatch, code, expected):
    calls = []

    def run(command, **kwargs):
        calls.append(command)
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setattr(display.subprocess, "run", run)
    assert [display_available(), display_available()] == [expected] * 2
    assert len(calls) == 1  # cached
    assert calls[0][0] == sys.executable


@pytest.mark.parametrize("error", [OSError("no"), subprocess.TimeoutExpired("python", 30)])
def test_child_that_cannot_start_or_hangs(monkeypatch, error):
    def run(command, **kwargs):
        raise error

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(display.subprocess, "run", run)
    assert display_available() is False
