"""Anchor-free heads on pixel-wise correlation: NanoTrack's first and second version."""

from collections.abc import Sequence

from torch import Tensor, nn

from siamcorr.layers.channel_attention import ChannelAttention
from siamcorr.layers.correlation import PixelwiseCorrelation
from siamcorr.layers.heads.prediction import Prediction
from siamcorr.ops import xcorr_pixelwise


class PixelwiseHead(nn.Module):
    """Two pixel-wise correlations, one for the score, one for the box, each with a light tower.

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
        self.cls_pw_tower = _separable_tower(cells, channels, [3] * depth)
        self.bbox_pw_tower = _separable_tower(cells, channels, [3] * depth)
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


class SharedPixelwiseHead(nn.Module):
    """One pixel-wise correlation of the backbone's features, shared by score and box.

    Args:
        channels: of the features; no parameter depends on it.
        cells: h*w of the template's features.

    Shapes: features (B, C, H, W) and a template of one kernel -> Prediction on (H, W).

    Keys: corr_pw.CA_layer, {cls, bbox}_tower.N, cls_logits.0, bbox_pred.0.

    Reference:
        NanoTrack (version 1), github.com/HonglinChu/SiamTrackers; after Yan et al.,
        LightTrack, 2021, arXiv:2104.14545.
    """

    def __init__(self, channels: int = 48, cells: int = 64) -> None:
        super().__init__()
        self.corr_pw = nn.ModuleDict({"CA_layer": ChannelAttention(cells)})
        self.cls_tower = _separable_tower(cells, 128, [5, 5, 3])
        self.bbox_tower = _separable_tower(cells, 96, [3, 3, 5, 5])
        self.cls_logits = nn.Sequential(nn.Conv2d(128, 2, 1))
        self.bbox_pred = nn.Sequential(nn.Conv2d(96, 4, 1))

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, h, w), unchanged."""
        return (features,)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, H, W), with the template features."""
        response = self.corr_pw["CA_layer"](xcorr_pixelwise(features, template[0]))
        score = self.cls_logits(self.cls_tower(response))
        return Prediction(score, self.bbox_pred(self.bbox_tower(response)).exp())


def _separable_tower(in_channels: int, channels: int, kernels: Sequence[int]) -> nn.Sequential:
    """For each kernel: depthwise, pointwise, BN, ReLU6."""
    layers: list[nn.Module] = []
    widths = [in_channels, *[channels] * (len(kernels) - 1)]
    for width, kernel in zip(widths, kernels, strict=True):
        layers += [
            nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False),
            nn.Conv2d(width, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU6(inplace=True),
        ]
    return nn.Sequential(*layers)
