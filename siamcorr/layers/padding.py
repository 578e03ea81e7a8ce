"""Padding "same" as TensorFlow defines it: the output has ceil(size / stride) cells."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]
Padding = Literal["same", "valid"] | int | Pair


def same_pad(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> Pair:
    """Zeros before and after one axis, so that the output has ceil(size / stride) cells.

    total = max((ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)

    The smaller half comes first: an even kernel has one more zero after than before. PyTorch's own
    padding="same" supports only stride 1.

    Args:
        size: of the input along this axis, in cells.
        kernel: >= 1.
        stride: >= 1.
        dilation: >= 1.

    Returns:
        (before, after), in cells.

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
    """Pad features (B, C, H, W) with zeros if the convolution cannot do it itself.

    Returns:
        Features, and the symmetric padding that remains for the convolution.
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
    """Expand one number to (height, width)."""
    return (value, value) if isinstance(value, int) else value


def check_sizes(
    name: str,
    kernel: int | Pair,
    stride: int | Pair,
    padding: Padding,
    dilation: int | Pair = 1,
    depth_multiplier: int = 1,
) -> None:
    """Check the options of a convolution.

    Raises:
        ValueError: padding is not "same", "valid", an int >= 0 or two of them; sizes below 1; or
            stride > 1 together with dilation > 1.
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
            f"{name}: stride > 1 with dilation > 1 is refused, as in Keras, because it would skip "
            f"cells twice, got stride={stride}, dilation={dilation}"
        )
