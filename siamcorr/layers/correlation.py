"""Correlation modules with parameters: convolutions around an operator.

All work in two steps, because one template serves many searches: `kernel` processes the template
once per target; every `forward` takes its result.
"""

from torch import Tensor, nn

from siamcorr.layers.channel_attention import ChannelAttention
from siamcorr.ops import xcorr_depthwise, xcorr_pixelwise


class PixelwiseCorrelation(nn.Module):
    """1x1 convolution of both branches, pixel-wise correlation, attention over template cells.

    Args:
        channels: C of both branches.
        cells: h*w of the template; the parameters depend on it.

    Shapes: kernel (B, C, h, w) -> (B, C, h, w); forward (B, C, H, W) -> (B, h*w, H, W).

    Keys: conv_kernel.{0 convolution, 1 BN}, conv_search likewise, CA_layer.{fc1, fc2}.

    Reference:
        Yan et al., LightTrack, 2021, arXiv:2104.14545; the layout is NanoTrack's (version 2).
    """

    def __init__(self, channels: int, cells: int = 64) -> None:
        super().__init__()
        self.conv_kernel = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))
        self.conv_search = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))
        self.CA_layer = ChannelAttention(cells)

    def kernel(self, template: Tensor) -> Tensor:
        """The template's side: features (B, C, h, w) to what `forward` correlates with."""
        adapted: Tensor = self.conv_kernel(template)
        return adapted

    def forward(self, search: Tensor, kernel: Tensor) -> Tensor:
        """Correlate search features (B, C, H, W) with a kernel of batch B or 1."""
        response = xcorr_pixelwise(self.conv_search(search), kernel)
        weighted: Tensor = self.CA_layer(response)
        return weighted


class DepthwiseCorrelation(nn.Module):
    """Convolution of both branches, depthwise correlation, then two 1x1 convolutions.

    Args:
        in_channels: C of both branches.
        hidden: channels of the correlation.
        out_channels: O of the map.
        kernel_size: of the first convolutions, which have no padding.

    Shapes: kernel (B, C, h, w) -> (B, hidden, h - 2, w - 2);
        forward (B, C, H, W) -> (B, O, H - h + 1, W - w + 1), for kernel_size 3.

    Keys: conv_kernel.{0 convolution, 1 BN}, conv_search likewise, head.{0 convolution, 1 BN,
    3 convolution with bias}.

    Reference:
        Li et al., SiamRPN++, 2018, arXiv:1812.11703; the layout is pysot's.
    """

    def __init__(
        self, in_channels: int, hidden: int, out_channels: int, kernel_size: int = 3
    ) -> None:
        super().__init__()
        self.conv_kernel = conv_bn_relu(in_channels, hidden, kernel_size)
        self.conv_search = conv_bn_relu(in_channels, hidden, kernel_size)
        self.head = nn.Sequential(
            *conv_bn_relu(hidden, hidden, 1), nn.Conv2d(hidden, out_channels, 1)
        )

    def kernel(self, template: Tensor) -> Tensor:
        """The template's side: features (B, C, h, w) to what `forward` correlates with."""
        adapted: Tensor = self.conv_kernel(template)
        return adapted

    def forward(self, search: Tensor, kernel: Tensor) -> Tensor:
        """Correlate search features (B, C, H, W) with a kernel of batch B or 1."""
        response = xcorr_depthwise(self.conv_search(search), kernel)
        out: Tensor = self.head(response)
        return out


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel_size: int, dilation: int | tuple[int, int] = 1
) -> nn.Sequential:
    """Convolution without padding, norm, ReLU. Keys: 0, 1."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))
