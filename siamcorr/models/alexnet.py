"""AlexNet without padding, in two published layouts: SiamFC's and pysot's."""

from torch import Tensor, nn


class AlexNet(nn.Module):
    """SiamFC's backbone: five convolutions, two with pooling, three with two groups.

    Shapes: (B, 3, 127, 127) -> (B, 256, 6, 6); (B, 3, 255, 255) -> (B, 256, 22, 22). Total
    stride 8; without padding, a shift of the image is a shift of the features.

    Keys: conv{1..5}.0, conv{1..4}.1.

    Reference:
        Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012;
        Bertinetto et al., 2016, arXiv:1606.09549. The layout is that of siamfc-pytorch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _stage(3, 96, 11, stride=2, pool=True)
        self.conv2 = _stage(96, 256, 5, groups=2, pool=True)
        self.conv3 = _stage(256, 384, 3)
        self.conv4 = _stage(384, 384, 3, groups=2)
        self.conv5 = nn.Sequential(nn.Conv2d(384, 256, 3, groups=2))
        self.channels = 256

    def forward(self, image: Tensor) -> Tensor:
        """Features of images (B, 3, H, W)."""
        out: Tensor = self.conv5(self.conv4(self.conv3(self.conv2(self.conv1(image)))))
        return out


class AlexNetLegacy(nn.Module):
    """SiamRPN's backbone: `AlexNet` without groups, with pooling before ReLU and a final norm.

    Shapes: (B, 3, 127, 127) -> (B, 256, 6, 6); (B, 3, 287, 287) -> (B, 256, 26, 26).

    Keys: features.{0, 4, 8, 11, 14} convolutions, features.{1, 5, 9, 12, 15} norms.

    Reference:
        Li et al., SiamRPN, CVPR 2018. The layout is pysot's alexnetlegacy.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 96, 11, 2), nn.BatchNorm2d(96), nn.MaxPool2d(3, 2), nn.ReLU(True)),
            *(nn.Conv2d(96, 256, 5), nn.BatchNorm2d(256), nn.MaxPool2d(3, 2), nn.ReLU(True)),
            *(nn.Conv2d(256, 384, 3), nn.BatchNorm2d(384), nn.ReLU(True)),
            *(nn.Conv2d(384, 384, 3), nn.BatchNorm2d(384), nn.ReLU(True)),
            *(nn.Conv2d(384, 256, 3), nn.BatchNorm2d(256)),
        )
        self.channels = 256

    def forward(self, image: Tensor) -> Tensor:
        """Features of images (B, 3, H, W)."""
        out: Tensor = self.features(image)
        return out


def _stage(
    in_channels: int,
    channels: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    pool: bool = False,
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, stride, groups=groups),
        nn.BatchNorm2d(channels, eps=1e-6, momentum=0.05),
        nn.ReLU(inplace=True),
        *([nn.MaxPool2d(3, 2)] if pool else []),
    )
