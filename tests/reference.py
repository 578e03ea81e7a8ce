"""Oracles: the same results by plain loops, slow and easy to believe."""

import numpy as np
import torch
from torch import Tensor


def correlate_plane(search: Tensor, template: Tensor) -> Tensor:
    """One (H, W) with one (h, w), no padding, no flip."""
    h, w = template.shape
    rows, columns = search.shape[0] - h + 1, search.shape[1] - w + 1
    response = search.new_zeros(rows, columns)
    for i in range(rows):
        for j in range(columns):
            response[i, j] = (search[i : i + h, j : j + w] * template).sum()
    return response


def dilated(template: Tensor, dilation: int) -> Tensor:
    """The template with dilation - 1 zeros between its cells, one cell at a time."""
    h, w = template.shape[2:]
    shape = *template.shape[:2], (h - 1) * dilation + 1, (w - 1) * dilation + 1
    wide = template.new_zeros(shape)
    for u in range(h):
        for v in range(w):
            wide[:, :, u * dilation, v * dilation] = template[:, :, u, v]
    return wide


def naive(search: Tensor, template: Tensor) -> Tensor:
    """Every search with every template, channels summed."""
    return torch.stack(
        [
            torch.stack(
                [
                    sum(correlate_plane(x[c], z[c]) for c in range(len(x)))  # type: ignore[misc]
                    for z in template
                ]
            )
            for x in search
        ]
    )


def batched(search: Tensor, template: Tensor) -> Tensor:
    """Search b with its own O templates, channels summed."""
    channels = search.shape[1]
    own = [template[b % len(template)] for b in range(len(search))]  # batch 1 serves all
    return torch.cat(
        [
            naive(x[None], z.reshape(-1, channels, *z.shape[1:]))
            for x, z in zip(search, own, strict=True)
        ]
    )


def depthwise(search: Tensor, template: Tensor) -> Tensor:
    """Search b with template b, channel by channel."""
    own = [template[b % len(template)] for b in range(len(search))]
    return torch.stack(
        [
            torch.stack([correlate_plane(x[c], z[c]) for c in range(len(x))])
            for x, z in zip(search, own, strict=True)
        ]
    )


def pixelwise(search: Tensor, template: Tensor) -> Tensor:
    """Every template cell a 1x1 kernel, cells in row-major order."""
    batch, _, rows, columns = search.shape
    h, w = template.shape[2:]
    response = search.new_zeros(batch, h * w, rows, columns)
    for b in range(batch):
        z = template[b % len(template)]
        for u in range(h):
            for v in range(w):
                for i in range(rows):
                    for j in range(columns):
                        response[b, u * w + v, i, j] = (search[b, :, i, j] * z[:, u, v]).sum()
    return response


def crop(frame: np.ndarray, left: int, top: int, side: int, fill: np.ndarray) -> np.ndarray:
    """A square of the frame, pixel by pixel; what lies outside has the colour fill."""
    out = np.zeros((side, side, 3), np.uint8)
    for row in range(side):
        for column in range(side):
            y, x = top + row, left + column
            inside = 0 <= y < frame.shape[0] and 0 <= x < frame.shape[1]
            out[row, column] = frame[y, x] if inside else fill
    return out
