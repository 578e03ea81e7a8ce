"""Frames selected from a source: which ones, how large, how many and how fast."""

import numpy as np
import pytest

from siamcorr.cli.frame_selection import select_frames
from siamcorr.cli.interrupts import StopRequest
from siamcorr.media import Frame, SourceError


class Source:
    """Frames of 80x60, numbered, that have their number for a colour."""

    name, fps, dropped, reconnects = "source", 30.0, 0, 0

    def __init__(self, count=10, announced=None, live=False):
        self.count, self.frame_count, self.live = count, announced, live

    def __iter__(self):
        for index in range(self.count):
            yield Frame(index, index / 30, np.full((60, 80, 3), index, np.uint8))


def cut(source, **options):
    with StopRequest() as stop:
        selection = select_frames(source, stop, **options)
        return selection, [selection.first, *selection.rest]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({}, range(10)),
        ({"every": 3}, (0, 3, 6, 9)),
        ({"limit": 4}, range(4)),
        ({"limit": 1}, (0,)),
        ({"every": 4, "limit": 2}, (0, 4)),
    ],
)
def test_which_frames(options, numbers):
    _, frames = cut(Source(), **options)
    assert [frame.index for frame in frames] == list(numbers)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == list(numbers)


@pytest.mark.parametrize(
    ("max_side", "shape", "shrink"),
    [(None, (60, 80, 3), 1), (40, (30, 40, 3), 0.5), (1, (1, 1, 3), 1 / 80), (99, (60, 80, 3), 1)],
)
def test_how_large(max_side, shape, shrink):
    """Never larger than they are, never nothing; the source's own size is kept in mind."""
    selection, frames = cut(Source(), max_side=max_side)
    assert {frame.image.shape for frame in frames} == {shape}
    assert selection.shrink == pytest.approx(shrink)
    assert selection.size == (80, 60)


@pytest.mark.parametrize(
    ("announced", "options", "total"),
    [
        (None, {}, None),
        (0, {}, None),
        (10, {}, 10),
        (10, {"every": 3}, 4),
        (10, {"limit": 6}, 6),
        (10, {"limit": 60}, 10),
        (None, {"limit": 6}, 6),
    ],
)
def test_how_many_are_announced(announced, options, total):
    assert cut(Source(announced=announced), **options)[0].total == total


def test_how_fast():
    assert cut(Source())[0].fps == 30
    assert cut(Source(), every=3, speed=2)[0].fps == 20
    with pytest.raises(ValueError, match="--speed is for files"):
        cut(Source(live=True), speed=2)
    assert cut(Source(live=True))[0].fps == 30


def test_no_frame():
    with pytest.raises(SourceError, match="source: has no readable frame"):
        cut(Source(count=0))


def test_no_frames_after_a_stop_request():
    with StopRequest() as stop:
        selection = select_frames(Source(), stop)
        assert next(selection.rest).index == 1
        stop.requested = True
        assert list(selection.rest) == []
