"""MobileNetV3-small, cut at stride 16: the backbone of NanoTrack."""

from typing import NamedTuple

from torch import Tensor, nn

from siamcorr.layers import SqueezeExcite


class Row(NamedTuple):
    """One inverted residual block, a row of the paper's table 2."""

    kernel: int
    expand: int
    channels: int
    squeeze: bool
    hardswish: bool
    stride: int


ROWS = (
    Row(3, 16, 16, True, False, 2),
    Row(3, 72, 24, False, False, 2),
    Row(3, 88, 24, False, False, 1),
    Row(5, 96, 40, True, True, 2),
    Row(5, 240, 40, True, True, 1),
    Row(5, 240, 40, True, True, 1),
    Row(5, 120, 48, True, True, 1),
    Row(5, 144, 48, True, True, 1),
)
WIDE_ROWS = (*ROWS, Row(5, 288, 96, True, True, 1))


class MobileNetV3Small(nn.Module):
    """The first nine stages of MobileNetV3-small, total stride 16, 48 channels; or ten, 96.

    Args:
        rows: the blocks after the stem; WIDE_ROWS has one more.

    Shapes: (B, 3, 255, 255) -> (B, C, 16, 16); (B, 3, 127, 127) -> (B, C, 8, 8).

    Keys: features.0.{0 convolution, 1 BN}; features.N.conv.M, see `InvertedResidual`.

    Reference:
        Howard et al., Searching for MobileNetV3, 2019, arXiv:1905.02244.
    """

    def __init__(self, rows: tuple[Row, ...] = ROWS) -> None:
        super().__init__()
        stem = nn.Sequential(*_conv_bn(3, 16, kernel=3, stride=2), nn.Hardswish(inplace=True))
        widths = [16, *(row.channels for row in rows)]
        blocks = (InvertedResidual(width, row) for width, row in zip(widths, rows, strict=False))
        self.features = nn.Sequential(stem, *blocks)
        self.channels = widths[-1]

    def forward(self, image: Tensor) -> Tensor:
        """Features of images (B, 3, H, W)."""
        features: Tensor = self.features(image)
        return features


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter depthwise, narrow by 1x1; add the input where shapes allow.

    Keys: conv.{0 widen, 1 BN, 3 depthwise, 4 BN, 5 squeeze, 7 narrow, 8 BN}; a block that does
    not widen has conv.{0 depthwise, 1 BN, 3 squeeze, 4 narrow, 5 BN}. The squeeze comes before the
    activation in the first form and after it in the second, as in the published weights.
    """

    def __init__(self, in_channels: int, row: Row) -> None:
        super().__init__()
        activation = nn.Hardswish if row.hardswish else nn.ReLU
        squeeze = (
            SqueezeExcite(row.expand, _multiple_of_8(row.expand / 4))
            if row.squeeze
            else nn.Identity()
        )
        depthwise = _conv_bn(row.expand, row.expand, row.kernel, row.stride, groups=row.expand)
        narrow = _conv_bn(row.expand, row.channels)
        if in_channels == row.expand:
            layers = [*depthwise, activation(inplace=True), squeeze, *narrow]
        else:
            widen = [*_conv_bn(in_channels, row.expand), activation(inplace=True)]
            layers = [*widen, *depthwise, squeeze, activation(inplace=True), *narrow]
        self.conv = nn.Sequential(*layers)
        self.residual = row.stride == 1 and in_channels == row.channels

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, row.channels, H / stride, W / stride), rounded up."""
        out: Tensor = self.conv(features)
        return features + out if self.residual else out


def _conv_bn(
    in_channels: int, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    padding = (kernel - 1) // 2
    conv = nn.Conv2d(in_channels, channels, kernel, stride, padding, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(channels)]


def _multiple_of_8(value: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth below value, and at least 8."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * value else rounded + 8
