"""Padding "same": what TensorFlow pads, found by counting cells rather than by its formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamcorr.layers import same_pad
from siamcorr.layers.padding import pad_input

sizes = {
    "size": st.integers(1, 64),
    "kernel": st.integers(1, 20),
    "stride": st.integers(1, 5),
    "dilation": st.integers(1, 4),
}


def cells_that_fit(length: int, kernel: int, stride: int, dilation: int) -> int:
    """Windows that lie within so many cells, one stride apart."""
    cells, last = 0, (kernel - 1) * dilation
    while last < length:
        cells, last = cells + 1, last + stride
    return cells


def counted_pad(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros laid behind and before in turn until each stride's first cell has its window."""
    wanted = len(range(0, size, stride))
    before = behind = 0
    while cells_that_fit(before + size + behind, kernel, stride, dilation) < wanted:
        if behind == before:
            behind += 1
        else:
            before += 1
    return before, behind


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((32, 16), (7, 8)),  # the widely quoted (8, 7) is wrong
        ((1, 16), (7, 8)),
        ((9, 1), (0, 0)),
        ((9, 2), (0, 1)),
        ((9, 3), (1, 1)),
        ((9, 4), (1, 2)),
        ((224, 3, 2), (0, 1)),
        ((225, 3, 2), (1, 1)),
        ((224, 7, 2), (2, 3)),
        ((10, 4, 3), (1, 2)),
        ((11, 4, 3), (1, 1)),
        ((12, 4, 3), (0, 1)),
        ((10, 1, 3), (0, 0)),  # a stride past the kernel leaves cells out, and pads none
        ((12, 1, 3), (0, 0)),
        ((9, 3, 1, 2), (2, 2)),
        ((9, 4, 1, 3), (4, 5)),
        ((7, 2, 2, 3), (1, 2)),
    ],
)
def test_known_values(options, expected):
    assert same_pad(*options) == expected


def test_every_small_size_is_what_counting_gives():
    for size in range(1, 20):
        for kernel in range(1, 8):
            for stride in range(1, 5):
                for dilation in range(1, 4):
                    options = (size, kernel, stride, dilation)
                    assert same_pad(*options) == counted_pad(*options), options


@settings(max_examples=300, deadline=None)
@given(**sizes)
def test_properties(size, kernel, stride, dilation):
    before, behind = same_pad(size, kernel, stride, dilation)
    assert 0 <= before <= behind <= before + 1
    padded = before + size + behind
    assert cells_that_fit(padded, kernel, stride, dilation) == -(-size // stride)
    if before + behind:  # and no zero too many
        assert cells_that_fit(padded - 1, kernel, stride, dilation) < -(-size // stride)


@pytest.mark.parametrize(
    ("padding", "kernel", "stride", "border", "left"),
    [  # border: what is laid around, top, bottom, left, right; left: what the convolution pads
        ("valid", (3, 4), (1, 1), (0, 0, 0, 0), (0, 0)),
        (2, (3, 4), (1, 1), (0, 0, 0, 0), (2, 2)),
        ((1, 2), (3, 4), (1, 1), (0, 0, 0, 0), (1, 2)),
        ("same", (3, 5), (1, 1), (0, 0, 0, 0), (1, 2)),
        ("same", (1, 16), (1, 1), (0, 0, 7, 8), (0, 0)),
        ("same", (4, 3), (1, 1), (1, 2, 1, 1), (0, 0)),
        ("same", (3, 2), (2, 1), (1, 1, 0, 1), (0, 0)),
        ("same", (4, 3), (1, 2), (1, 2, 0, 1), (0, 0)),
    ],
)
def test_pad_input(padding, kernel, stride, border, left):
    """Only borders that are not alike are laid by hand; otherwise nothing is copied."""
    features = torch.rand(2, 3, 5, 6) + 1
    padded, rest = pad_input(features, padding, kernel, stride, (1, 1))
    top, bottom, first, last = border
    assert rest == left
    assert (padded is features) == (not any(border))
    assert padded.shape == (2, 3, 5 + top + bottom, 6 + first + last)
    assert torch.equal(padded[..., top : top + 5, first : first + 6], features)
    assert padded.count_nonzero() == features.numel()
