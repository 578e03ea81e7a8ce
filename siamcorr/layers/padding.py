"""Padding "same" as TensorFlow defines it: ceil(size / stride) cells come out, whatever goes in."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]
Padding = Literal["same", "valid"] | int | Pair


def same_pad(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> Pair:
    """Zeros before and behind one side so that ceil(size / stride) cells come out.

    total = max((ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)

    The smaller half stands before: an even kernel pads one more behind. PyTorch's own
    padding="same" refuses any stride but 1.

    Args:
        size: of the input along that side, in cells.
        kernel: >= 1.
        stride: >= 1.
        dilation: >= 1.

    Returns:
        (before, behind), in cells.

    Example:
        >>> same_pad(32, kernel=16)
        (7, 8)
        >>> same_pad(224, kernel=3, stride=2)
        (0, 1)
    """
    cells = -(-size // stride)
    total = max((cells - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def pad_input(
    features: Tensor, padding: Padding, kernel: Pair, stride: Pair, dilation: Pair
) -> tuple[Tensor, Pair]:
    """Lay zeros around features (B, C, H, W) as far as a convolution cannot do it itself.

    Returns:
        Features, and the padding that is left for the convolution: both sides alike.
    """
    if padding == "valid":
        return features, (0, 0)
    if isinstance(padding, int):
        return features, (padding, padding)
    if isinstance(padding, tuple):
        return features, padding
    height, width = features.shape[-2:]
    top, bottom = same_pad(height, kernel[0], stride[0], dilation[0])
    left, right = same_pad(width, kernel[1], stride[1], dilation[1])
    if (top, left) == (bottom, right):
        return features, (top, left)
    return F.pad(features, (left, right, top, bottom)), (0, 0)


def pair(value: int | Pair) -> Pair:
    """A size for both sides from one or two numbers."""
    return (value, value) if isinstance(value, int) else value


def check_sizes(
    name: str,
    kernel: int | Pair,
    stride: int | Pair,
    padding: Padding,
    dilation: int | Pair = 1,
    depth_multiplier: int = 1,
) -> None:
    """Refuse options that no convolution here takes.

    Raises:
        ValueError: a padding that is neither "same", "valid", an int >= 0 nor two of them,
            sizes below 1, or stride together with dilation.
    """
    borders = padding if isinstance(padding, tuple) and len(padding) == 2 else (padding,)
    if padding not in ("same", "valid") and not all(type(b) is int and b >= 0 for b in borders):
        raise ValueError(f'{name}: padding must be "same", "valid" or an int >= 0, got {padding!r}')
    sizes = (*pair(kernel), *pair(stride), *pair(dilation), depth_multiplier)
    if min(sizes) < 1:
        raise ValueError(
            f"{name}: kernel_size, stride, dilation and depth_multiplier must be >= 1, got "
            f"{kernel}, {stride}, {dilation}, {depth_multiplier}"
        )
    if max(pair(stride)) > 1 and max(pair(dilation)) > 1:
        raise ValueError(
            f"{name}: stride > 1 with dilation > 1 is refused, as Keras documents it: cells "
            f"would be skipped twice over, got stride={stride}, dilation={dilation}"
        )
