"""Pixel-wise and depthwise correlation side by side: NanoTrack's third version."""

import torch
from torch import Tensor, nn

from siamcorr.layers.correlation import PixelwiseCorrelation
from siamcorr.layers.heads.prediction import Prediction
from siamcorr.layers.necks import center_crop
from siamcorr.ops import xcorr_depthwise


class PixelwiseDepthwiseHead(nn.Module):
    """Score and box, each from a pixel-wise and a depthwise correlation, concatenated.

    The pixel-wise correlation takes the whole template, the depthwise one its middle 4 x 4 cells.

    Args:
        channels: C of both branches, also of the towers.
        cells: h*w of the template's features.
        depth: blocks in a tower.

    Shapes: (B, C, 16, 16) and template (B, C, 8, 8) -> Prediction on (15, 15).

    Keys: corr_{pw, dw}_{reg, cls}, down_{reg, cls}.0, {cls, bbox}_tower.N, cls_logits.0,
    bbox_pred.0.

    Reference:
        NanoTrack (version 3), github.com/HonglinChu/SiamTrackers.
    """

    def __init__(self, channels: int = 96, cells: int = 64, depth: int = 6) -> None:
        super().__init__()
        for side in ("reg", "cls"):
            self.add_module(f"corr_pw_{side}", _ReducedPixelwise(channels, cells))
            self.add_module(f"corr_dw_{side}", _PaddedDepthwise(channels))
            down = nn.Sequential(nn.Conv2d(cells + channels, channels, 1))
            self.add_module(f"down_{side}", down)
        self.cls_tower = _tower(channels, depth)
        self.bbox_tower = _tower(channels, depth)
        self.cls_logits = nn.Sequential(nn.Conv2d(channels, 2, 1))
        self.bbox_pred = nn.Sequential(nn.Conv2d(channels, 4, 1))

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, 8, 8) to two kernels for the score and two for the box."""
        return (*self._kernels("cls", features), *self._kernels("reg", features))

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, 16, 16), with the kernels from `template`."""
        score = self.cls_tower(self._compare("cls", features, template[:2]))
        box = self.bbox_tower(self._compare("reg", features, template[2:]))
        return Prediction(self.cls_logits(score), self.bbox_pred(box).exp())

    def _kernels(self, side: str, features: Tensor) -> tuple[Tensor, Tensor]:
        whole = self.get_submodule(f"corr_pw_{side}.conv_kernel")(features)
        middle = self.get_submodule(f"corr_dw_{side}.conv_kernel")(center_crop(features, 4))
        return whole, middle

    def _compare(self, side: str, features: Tensor, kernels: tuple[Tensor, ...]) -> Tensor:
        whole = self.get_submodule(f"corr_pw_{side}")(features, kernels[0])
        middle = self.get_submodule(f"corr_dw_{side}")(features, kernels[1])
        together: Tensor = self.get_submodule(f"down_{side}")(torch.cat([whole, middle], dim=1))
        return together


class _ReducedPixelwise(PixelwiseCorrelation):
    """A pixel-wise correlation; a 2x2 convolution makes its map one cell smaller.

    Keys: those of `PixelwiseCorrelation`, conv.{0 depthwise 2x2, 1 BN, 3 pointwise, 4 BN}.
    """

    def __init__(self, channels: int, cells: int) -> None:
        super().__init__(channels, cells)
        self.conv = nn.Sequential(
            nn.Conv2d(cells, cells, 2, groups=cells, bias=False),
            nn.BatchNorm2d(cells),
            nn.ReLU6(inplace=True),
            nn.Conv2d(cells, cells, 1),
            nn.BatchNorm2d(cells),
        )

    def forward(self, search: Tensor, kernel: Tensor) -> Tensor:
        """(B, C, 16, 16) -> (B, cells, 15, 15)."""
        reduced: Tensor = self.conv(super().forward(search, kernel))
        return reduced


class _PaddedDepthwise(nn.Module):
    """1x1 convolution and BN of both branches, then depthwise correlation with zero padding."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_kernel = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))
        self.conv_search = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, search: Tensor, kernel: Tensor) -> Tensor:
        """(B, C, 16, 16) and (B or 1, C, 4, 4) -> (B, C, 15, 15)."""
        return xcorr_depthwise(self.conv_search(search), kernel, padding=1)


def _tower(channels: int, depth: int) -> nn.Sequential:
    """`depth` times: depthwise 3x3, BN, ReLU6, pointwise, BN."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU6(inplace=True),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        ]
    return nn.Sequential(*layers)
