"""Heads: from the features of both sides to scores and boxes on the response map."""

from typing import NamedTuple

from torch import Tensor, nn

from siamcorr.layers.correlation import PixelwiseCorrelation


class Prediction(NamedTuple):
    """What a network says about a search image, at every cell of the response map.

    logits: (B, 2, S, S), background and target, before softmax.
    distances: (B, 4, S, S), from the cell's point to the box's left, top, right and bottom
        sides, in pixels of the search crop, > 0.
    """

    logits: Tensor
    distances: Tensor


class PixelwiseHead(nn.Module):
    """Anchor-free head on two pixel-wise correlations, one for the score, one for the box.

    Args:
        in_channels: channels of the backbone's features.
        channels: width of the two towers.
        cells: h*w of the template's features.
        depth: depthwise-separable blocks in a tower.

    Shapes: features (B, C, H, W) and a template of two kernels -> Prediction on (H, W).

    Keys: corr_pw_{reg, cls}, {cls, bbox}_pw_tower.N, cls_pred.0, bbox_pred.0.

    Reference:
        NanoTrack (version 2), github.com/HonglinChu/SiamTrackers; after Yan et al.,
        LightTrack, 2021, arXiv:2104.14545.
    """

    def __init__(
        self, in_channels: int = 48, channels: int = 96, cells: int = 64, depth: int = 6
    ) -> None:
        super().__init__()
        self.corr_pw_reg = PixelwiseCorrelation(in_channels, cells)
        self.corr_pw_cls = PixelwiseCorrelation(in_channels, cells)
        self.cls_pw_tower = _separable_tower(cells, channels, depth)
        self.bbox_pw_tower = _separable_tower(cells, channels, depth)
        self.cls_pred = nn.Sequential(nn.Conv2d(channels, 2, 1))
        self.bbox_pred = nn.Sequential(nn.Conv2d(channels, 4, 1))

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, h, w) to the kernels of score and box, each (B, C, h, w)."""
        return self.corr_pw_cls.kernel(features), self.corr_pw_reg.kernel(features)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, H, W), with the kernels that `template` gave."""
        kernel_cls, kernel_reg = template
        score = self.cls_pw_tower(self.corr_pw_cls(features, kernel_cls))
        box = self.bbox_pw_tower(self.corr_pw_reg(features, kernel_reg))
        return Prediction(self.cls_pred(score), self.bbox_pred(box).exp())


def _separable_tower(in_channels: int, channels: int, depth: int) -> nn.Sequential:
    """Depth times depthwise 3x3, pointwise, BN, ReLU6."""
    layers: list[nn.Module] = []
    for width in [in_channels, *[channels] * (depth - 1)]:
        layers += [
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.Conv2d(width, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU6(inplace=True),
        ]
    return nn.Sequential(*layers)
