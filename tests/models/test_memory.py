"""Keeping freed memory, if the C library supports it."""

import ctypes
import platform
import sys

import pytest
import torch

from siamcorr.models import keep_freed_memory

GLIBC = platform.libc_ver()[0] == "glibc"


@pytest.mark.skipif(not GLIBC, reason="another C library")
def test_glibc_supports_it():
    assert keep_freed_memory()
    assert keep_freed_memory()  # as often as one likes
    for _ in range(3):  # large blocks come and go as before
        assert torch.ones(1 << 24).sum() == 1 << 24


class Library:
    """A C library whose mallopt takes the first few of its calls."""

    def __init__(self, takes):
        self.takes, self.asked = takes, []

    def mallopt(self, option, value):
        self.asked.append((option, value))
        return int(len(self.asked) <= self.takes)


@pytest.mark.parametrize(("takes", "kept"), [(0, False), (1, False), (2, True)])
def test_the_library_result_is_returned(takes, kept, monkeypatch):
    library = Library(takes)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert keep_freed_memory() == kept
    assert library.asked[0] == (-4, 0)


@pytest.mark.parametrize("system", ["win32", "darwin", "linux"])
def test_other_libraries_are_not_called(system, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()
