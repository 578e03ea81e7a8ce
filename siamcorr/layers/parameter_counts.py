"""Compute and count the parameters of convolutions.

A convolution from c_in to c_out channels has k * k weights for each pair of channels that it
connects. With groups, it connects only channels of the same group:

    3 x 3, 4 -> 8                4 * 8 * 9      = 288
    the same with groups=2       2 * (2 * 4) * 9 = 144
    depthwise, then 1 x 1        4 * 9 + 4 * 8  = 36 + 32 = 68

(The widely copied numbers 388 and 194 for the first two are wrong.)
"""

from torch import nn


def conv_parameters(
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int],
    groups: int = 1,
    bias: bool = False,
) -> int:
    """Parameters of a convolution: c_in / groups * c_out * kh * kw, plus c_out for a bias.

    Raises:
        ValueError: groups does not divide the channels.

    Example:
        >>> conv_parameters(4, 8, 3), conv_parameters(4, 8, 3, groups=2)
        (288, 144)
        >>> conv_parameters(4, 4, 3, groups=4) + conv_parameters(4, 8, 1)
        68
    """
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise ValueError(
            f"conv_parameters: groups={groups} must divide both channels, got {in_channels} and "
            f"{out_channels}"
        )
    height, width = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    weights = in_channels // groups * out_channels * height * width
    return weights + (out_channels if bias else 0)


def count_parameters(module: nn.Module, trainable: bool = False) -> int:
    """Count a module's parameters, each once, without buffers such as running means.

    Args:
        module: any module.
        trainable: count only parameters that require a gradient.

    Example:
        >>> count_parameters(nn.Conv2d(4, 8, 3, groups=2, bias=False))
        144
    """
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)
