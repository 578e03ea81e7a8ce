"""Anchor-free heads: every cell predicts the distances from its point to the box's four sides."""

import torch
from torch import Tensor, nn

from siamcorr.layers.asymmetric import AsymmetricCorrelation
from siamcorr.layers.heads.anchors import DepthwiseHead
from siamcorr.layers.heads.prediction import Prediction
from siamcorr.layers.matrix_correlation import MatrixCorrelation, MatrixEncoding


class DepthwiseBoxHead(DepthwiseHead):
    """Score and distances by depthwise correlation.

    Args:
        in_channels: C of both sides.
        hidden: channels of the correlation.

    Shapes: (B, C, 31, 31) and template (B, C, 7, 7) -> logits (B, 2, 25, 25),
        boxes (B, 4, 25, 25), > 0.

    Keys: {cls, loc}.{conv_kernel, conv_search, head}.

    Reference:
        Chen et al., Siamese Box Adaptive Network, 2020, arXiv:2003.06761 (DepthwiseBAN).
    """

    def __init__(self, in_channels: int = 256, hidden: int = 256) -> None:
        super().__init__(in_channels, hidden, logits=2, boxes=4)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, H, W), with the kernels that `template` gave."""
        raw = super().forward(features, template)
        return Prediction(raw.logits, raw.boxes.exp())


class AsymmetricHead(nn.Module):
    """Score and distances by asymmetric convolution, which also takes the target's size.

    Args:
        in_channels: C of both sides.
        hidden: channels of the sum.

    Shapes: (B, C, 31, 31), template (B, C, 7, 7) and size (B, 2) -> logits (B, 2, 25, 25),
        boxes (B, 4, 25, 25), > 0.

    Keys: {cls, loc}, see `AsymmetricCorrelation`.

    Reference:
        Han et al., 2021, arXiv:2012.02776; the layout is that of SiamBAN-ACM.
    """

    def __init__(self, in_channels: int = 256, hidden: int = 256) -> None:
        super().__init__()
        self.cls = AsymmetricCorrelation(in_channels, hidden, 2)
        self.loc = AsymmetricCorrelation(in_channels, hidden, 4)

    def template(self, features: Tensor, size: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, 7, 7), the target's width and height in crop pixels (B, 2)."""
        return self.cls.kernel(features, size), self.loc.kernel(features, size)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, H, W), with the kernels from `template`."""
        score, box = self.cls(features, template[0]), self.loc(features, template[1])
        return Prediction(score, box.exp())


class MatrixHead(nn.Module):
    """Score and distances by matrix correlation, each followed by a tower of 3x3 convolutions.

    Args:
        in_channels: C of both sides.
        channels: of the encodings and the towers.
        depth: convolutions in a tower.

    Shapes: (B, C, 31, 31) and template (B, C, 7, 7) -> logits (B, 1, 25, 25) before sigmoid,
        boxes (B, 4, 25, 25), > 0.

    Keys: {cls, reg}_encode, {cls, reg}_dw.weight, {cls, bbox}_tower.N, {cls, bbox}_pred, adjust,
    bias.

    Reference:
        Zhang et al., Ocean, 2020, arXiv:2006.10721; the layout is that of its box_tower.
    """

    def __init__(self, in_channels: int = 256, channels: int = 256, depth: int = 4) -> None:
        super().__init__()
        self.cls_encode = MatrixEncoding(in_channels, channels)
        self.reg_encode = MatrixEncoding(in_channels, channels)
        self.cls_dw = MatrixCorrelation()
        self.reg_dw = MatrixCorrelation()
        self.cls_tower = _tower(channels, depth)
        self.bbox_tower = _tower(channels, depth)
        self.cls_pred = nn.Conv2d(channels, 1, 3, padding=1)
        self.bbox_pred = nn.Conv2d(channels, 4, 3, padding=1)
        self.adjust = nn.Parameter(torch.full((1,), 0.1))
        self.bias = nn.Parameter(torch.ones(1, 4, 1, 1))

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, h, w) to three encodings for the score and three for the box."""
        return (*self.cls_encode.kernel(features), *self.reg_encode.kernel(features))

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, H, W), with the encodings from `template`."""
        score = self.cls_tower(self.cls_dw(self.cls_encode(features), template[:3]))
        box = self.bbox_tower(self.reg_dw(self.reg_encode(features), template[3:]))
        distances = (self.adjust * self.bbox_pred(box) + self.bias).exp()
        return Prediction(0.1 * self.cls_pred(score), distances)


def _tower(channels: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        conv = nn.Conv2d(channels, channels, 3, padding=1)
        layers += [conv, nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers)
