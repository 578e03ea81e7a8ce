"""MobileNetV2 at total stride 8, 1.4 times as wide: the light backbone of SiamRPN++."""

from collections.abc import Sequence

from torch import Tensor, nn

from siamcorr.models.multi_level import Staged

# Expansion, channels before widening, blocks, stride and dilation of each stage.
STAGES = (
    (1, 16, 1, 1, 1),
    (6, 24, 2, 2, 1),
    (6, 32, 3, 2, 1),
    (6, 64, 4, 1, 2),
    (6, 96, 3, 1, 2),
    (6, 160, 3, 1, 4),
    (6, 320, 1, 1, 4),
)


class MobileNetV2(Staged):
    """Inverted residuals; later stages dilate instead of striding.

    Args:
        levels: stages to return, 1 to 7.
        width: multiplies all channels; the product is truncated, not rounded to a multiple of 8.

    Shapes: (B, 3, 127, 127) -> (B, C, 15, 15); (B, 3, 255, 255) -> (B, C, 31, 31), C = 44, 134
        and 448 for levels 3, 5 and 7.

    Keys: layer0.{0, 1}, layer{1..7}.N.conv.{0, 3, 6} convolutions, .{1, 4, 7} norms.

    Reference:
        Sandler et al., 2018, arXiv:1801.04381. The layout is pysot's.
    """

    def __init__(self, levels: Sequence[int] = (3, 5, 7), width: float = 1.4) -> None:
        super().__init__(levels, len(STAGES))
        into = int(32 * width)
        self.layer0 = nn.Sequential(*_conv_bn(3, into, 3, stride=2), nn.ReLU6(inplace=True))
        last, widths = 1, []
        for index, (expand, channels, blocks, stride, dilation) in enumerate(STAGES, start=1):
            out = int(channels * width)
            # The first block of a stage that increases the dilation uses half of it.
            first = dilation if dilation == last else max(dilation // 2, 1)
            layers = [InvertedResidual(into, out, expand, stride, first)]
            layers += [InvertedResidual(out, out, expand, 1, dilation) for _ in range(blocks - 1)]
            self.add_module(f"layer{index}", nn.Sequential(*layers))
            into, last = out, dilation
            widths.append(out)
        self.channels = tuple(widths[level - 1] for level in self.levels)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features of images (B, 3, H, W) at every requested level."""
        return self.through_stages(self.layer0(image))


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter depthwise, narrow by 1x1; add the input where shapes allow."""

    def __init__(
        self, in_channels: int, out_channels: int, expand: int, stride: int, dilation: int
    ) -> None:
        super().__init__()
        hidden = in_channels * expand
        padding = dilation if dilation > 1 else 2 - stride
        self.conv = nn.Sequential(
            *_conv_bn(in_channels, hidden, 1),
            nn.ReLU6(inplace=True),
            *_conv_bn(hidden, hidden, 3, stride, padding, dilation, groups=hidden),
            nn.ReLU6(inplace=True),
            *_conv_bn(hidden, out_channels, 1),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H', W')."""
        out: Tensor = self.conv(features)
        return features + out if self.residual else out


def _conv_bn(
    in_channels: int,
    channels: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> list[nn.Module]:
    conv = nn.Conv2d(
        in_channels, channels, kernel, stride, padding, dilation, groups=groups, bias=False
    )
    return [conv, nn.BatchNorm2d(channels)]
