"""ResNet-50 at total stride 8: the last two stages dilate instead of striding."""

from collections.abc import Sequence

from torch import Tensor, nn

from siamcorr.models.multi_level import Staged

# Blocks, width of the 3x3 convolution, stride and dilation of each stage.
STAGES = ((3, 64, 1, 1), (4, 128, 2, 1), (6, 256, 1, 2), (3, 512, 1, 4))
EXPANSION = 4


class ResNet50(Staged):
    """The backbone of SiamRPN++ and SiamBAN; torchvision's weights do not fit it.

    The stem and the strided convolutions have no padding, and a stage that strides or dilates has
    a 3x3 convolution as its shortcut.

    Args:
        levels: stages to return, 1 to 4.

    Shapes: (B, 3, 127, 127) -> (B, C, 15, 15); (B, 3, 255, 255) -> (B, C, 31, 31), C = 512, 1024
        and 2048 for levels 2, 3 and 4.

    Keys: conv1, bn1, layer{1..4}.N.{conv, bn}{1, 2, 3}, layer{1..4}.0.downsample.{0, 1}.

    Reference:
        He et al., 2015, arXiv:1512.03385; Li et al., SiamRPN++, 2018, arXiv:1812.11703. The
        layout is pysot's.
    """

    def __init__(self, levels: Sequence[int] = (2, 3, 4)) -> None:
        super().__init__(levels, len(STAGES))
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        into = 64
        for index, (blocks, width, stride, dilation) in enumerate(STAGES, start=1):
            self.add_module(f"layer{index}", _stage(into, blocks, width, stride, dilation))
            into = width * EXPANSION
        self.channels = tuple(STAGES[level - 1][1] * EXPANSION for level in self.levels)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features of images (B, 3, H, W) at every requested level."""
        return self.through_stages(self.maxpool(self.relu(self.bn1(self.conv1(image)))))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and the shortcut. Keys: {conv, bn}{1, 2, 3}, downsample.{0, 1}."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Sequential | None = None,
    ) -> None:
        super().__init__()
        out = width * EXPANSION
        padding = dilation if dilation > 1 else 2 - stride
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 * width, H', W')."""
        out = self.relu(self.bn1(self.conv1(features)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        shortcut = features if self.downsample is None else self.downsample(features)
        summed: Tensor = self.relu(out + shortcut)
        return summed


def _stage(into: int, blocks: int, width: int, stride: int, dilation: int) -> nn.Sequential:
    """The first block changes the width, and has half the dilation of the other blocks."""
    out = width * EXPANSION
    first = max(dilation // 2, 1)
    if stride == dilation == 1:
        conv = nn.Conv2d(into, out, 1, bias=False)
    else:
        padding = first if dilation > 1 else 0
        conv = nn.Conv2d(into, out, 3, stride, padding, first, bias=False)
    shortcut = nn.Sequential(conv, nn.BatchNorm2d(out))
    rest = [Bottleneck(out, width, dilation=dilation) for _ in range(blocks - 1)]
    return nn.Sequential(Bottleneck(into, width, stride, first, shortcut), *rest)
