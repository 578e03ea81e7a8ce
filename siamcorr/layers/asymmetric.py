"""Asymmetric convolution: replaces a correlation by convolutions with fixed kernels."""

from torch import Tensor, nn

from siamcorr.layers.correlation import conv_bn_relu


class AsymmetricCorrelation(nn.Module):
    """Two learned convolutions instead of a correlation: one per branch, then their sum.

    The template is reduced to one cell, which is added to every cell of the search features, with
    an encoding of the target's width and height. So no convolution kernel depends on the target.

    Args:
        in_channels: C of both branches.
        hidden: channels of the sum.
        out_channels: O of the map.

    Shapes: kernel (B, C, 7, 7) and size (B, 2) -> (B, hidden, 1, 1);
        forward (B, C, H, W) -> (B, O, H - 6, W - 6).

    Keys: conv_{kernel, search}.{0, 1}, xorr_{kernel, search}, xorr_bbox.{0, 1, 3, 4, 6},
    xorr_activate.{0, 2, 3}, head.{0, 1, 3}.

    Reference:
        Han et al., Learning to Fuse Asymmetric Feature Maps in Siamese Trackers, 2021,
        arXiv:2012.02776; the layout is that of SiamBAN-ACM.
    """

    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__()
        self.conv_kernel = conv_bn_relu(in_channels, hidden, 3)
        self.conv_search = conv_bn_relu(in_channels, hidden, 3)
        self.xorr_kernel = nn.Conv2d(hidden, hidden, 5)
        self.xorr_search = nn.Conv2d(hidden, hidden, 5, bias=False)
        self.xorr_bbox = nn.Sequential(
            *(nn.Linear(2, 32), nn.BatchNorm1d(32), nn.ReLU()),
            *(nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU()),
            nn.Linear(32, hidden, bias=False),
        )
        self.xorr_activate = nn.Sequential(
            *(nn.BatchNorm2d(hidden), nn.ReLU()),
            *(nn.Conv2d(hidden, hidden, 3, padding=1), nn.BatchNorm2d(hidden), nn.ReLU()),
        )
        self.head = nn.Sequential(
            *(nn.Conv2d(hidden, hidden, 3, padding=1), nn.BatchNorm2d(hidden), nn.ReLU()),
            nn.Conv2d(hidden, out_channels, 3, padding=1),
        )

    def kernel(self, template: Tensor, size: Tensor) -> Tensor:
        """Template branch: features (B, C, 7, 7), and the target's width and height (B, 2).

        Raises:
            ValueError: features of another size, which would not reduce to one cell, or a size
                that is not (B, 2).
        """
        if template.shape[-2:] != (7, 7):
            raise ValueError(
                f"AsymmetricCorrelation: template must be (B, C, 7, 7), got {tuple(template.shape)}"
            )
        if size.shape != (len(template), 2):
            raise ValueError(
                "AsymmetricCorrelation: size must be (B, 2), width and height of each template, "
                f"got {tuple(size.shape)} for template {tuple(template.shape)}"
            )
        code: Tensor = self.xorr_bbox(size)[:, :, None, None]
        cell: Tensor = self.xorr_kernel(self.conv_kernel(template))
        return cell + code

    def forward(self, search: Tensor, kernel: Tensor) -> Tensor:
        """Compare search features (B, C, H, W) with a kernel of batch B or 1.

        Raises:
            ValueError: the kernel's batch is neither 1 nor B.
        """
        if len(kernel) not in (1, len(search)):
            raise ValueError(
                f"AsymmetricCorrelation: the kernel's batch must be 1 or {len(search)}, "
                f"got {tuple(kernel.shape)} for search {tuple(search.shape)}"
            )
        summed = self.xorr_search(self.conv_search(search)) + kernel
        out: Tensor = self.head(self.xorr_activate(summed))
        return out
