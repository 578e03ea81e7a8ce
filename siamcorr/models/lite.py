"""The backbone of our own model: MobileNetV2 as trained on ImageNet, cut at stride 16."""

from collections.abc import Mapping

from torch import Tensor, nn

# Expansion, channels, blocks and stride of each stage; the two behind them are left away.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
STEM = 32
# ImageNet's statistics, for pixels of 0..255.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class LiteBackbone(nn.Module):
    """MobileNetV2's first fourteen layers, padded as ImageNet's classifiers are.

    Images are 0..255 less their mean; the division by the deviation is in the first convolution,
    once `load_imagenet` has put it there.

    Args:
        level: the last layer, 1 to 13; 6 is the last of stride 8, 13 the last of stride 16.

    Shapes: (B, 3, 255, 255) -> (B, 96, 16, 16) for level 13, (B, 32, 32, 32) for level 6.

    Keys: features.0.{0, 1}, features.N.conv.M, as tonylins/pytorch-mobilenet-v2 has them.

    Reference:
        Sandler et al., 2018, arXiv:1801.04381.
    """

    def __init__(self, level: int = 13) -> None:
        super().__init__()
        stem = nn.Sequential(*_conv_bn(3, STEM, 3, stride=2), nn.ReLU6(inplace=True))
        layers: list[nn.Module] = [stem]
        widths, into = [STEM], STEM
        for expand, channels, blocks, stride in STAGES:
            for block in range(blocks):
                step = stride if block == 0 else 1
                layers.append(PaddedResidual(into, channels, expand, step))
                into = channels
                widths.append(into)
        if not 1 <= level < len(layers):
            raise ValueError(f"level must be in 1..{len(layers) - 1}, got {level}")
        self.features = nn.Sequential(*layers[: level + 1])
        self.channels = widths[level]

    def forward(self, image: Tensor) -> Tensor:
        """Features of images (B, 3, H, W)."""
        out: Tensor = self.features(image)
        return out

    def load_imagenet(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take an ImageNet classifier's weights, for inputs scaled by mean and deviation.

        Raises:
            KeyError: a tensor is missing.
        """
        own = {key: state_dict[key].clone() for key in self.state_dict()}
        deviation = own["features.0.0.weight"].new_tensor(STD)[None, :, None, None]
        own["features.0.0.weight"] /= deviation
        self.load_state_dict(own)


class PaddedResidual(nn.Module):
    """Widen by 1x1, filter depthwise, narrow by 1x1; add the input where shapes allow."""

    def __init__(self, in_channels: int, out_channels: int, expand: int, stride: int) -> None:
        super().__init__()
        hidden = in_channels * expand
        widen = [*_conv_bn(in_channels, hidden, 1), nn.ReLU6(inplace=True)] if expand > 1 else []
        self.conv = nn.Sequential(
            *widen,
            *(*_conv_bn(hidden, hidden, 3, stride, groups=hidden), nn.ReLU6(inplace=True)),
            *_conv_bn(hidden, out_channels, 1),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H / stride, W / stride), rounded up."""
        out: Tensor = self.conv(features)
        return features + out if self.residual else out


def _conv_bn(
    in_channels: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(channels)]
