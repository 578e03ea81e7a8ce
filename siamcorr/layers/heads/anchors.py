"""Anchor-based heads: k anchor boxes at every cell, each with a score and a correction."""

from torch import Tensor, nn

from siamcorr.layers.correlation import DepthwiseCorrelation
from siamcorr.layers.heads.prediction import Prediction
from siamcorr.ops import xcorr_batched


class UpChannelHead(nn.Module):
    """Up-channel correlation: the template has 2*k*C channels for scores and 4*k*C for boxes.

    Args:
        in_channels: C of both branches.
        anchors: k.

    Shapes: (B, C, 24, 24) and template (B, C, 6, 6) -> logits (B, 2*k, 19, 19),
        boxes (B, 4*k, 19, 19); the kernels are (B, 2*k*C, 4, 4) and (B, 4*k*C, 4, 4).

    Keys: {template, search}_{cls, loc}_conv.{weight, bias}, loc_adjust.{weight, bias}.

    Reference:
        Li et al., High Performance Visual Tracking with Siamese Region Proposal Network,
        CVPR 2018; the layout is pysot's.

    Example:
        >>> import torch
        >>> head = UpChannelHead(8)
        >>> head(torch.rand(2, 8, 24, 24), head.template(torch.rand(2, 8, 6, 6))).boxes.shape
        torch.Size([2, 20, 19, 19])
    """

    def __init__(self, in_channels: int = 256, anchors: int = 5) -> None:
        super().__init__()
        self.template_cls_conv = nn.Conv2d(in_channels, in_channels * 2 * anchors, 3)
        self.template_loc_conv = nn.Conv2d(in_channels, in_channels * 4 * anchors, 3)
        self.search_cls_conv = nn.Conv2d(in_channels, in_channels, 3)
        self.search_loc_conv = nn.Conv2d(in_channels, in_channels, 3)
        self.loc_adjust = nn.Conv2d(4 * anchors, 4 * anchors, 1)

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, h, w) to the kernels of score and box."""
        return self.template_cls_conv(features), self.template_loc_conv(features)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, H, W), with the kernels that `template` gave."""
        score = xcorr_batched(self.search_cls_conv(features), template[0])
        box = xcorr_batched(self.search_loc_conv(features), template[1])
        return Prediction(score, self.loc_adjust(box))


class DepthwiseHead(nn.Module):
    """Two depthwise correlations, one for the score, one for the box; it returns the raw maps.

    Keys: {cls, loc}, see `DepthwiseCorrelation`.
    """

    def __init__(self, in_channels: int, hidden: int, logits: int, boxes: int) -> None:
        super().__init__()
        self.cls = DepthwiseCorrelation(in_channels, hidden, logits)
        self.loc = DepthwiseCorrelation(in_channels, hidden, boxes)

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, h, w) to the kernels of score and box."""
        return self.cls.kernel(features), self.loc.kernel(features)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, H, W), with the kernels that `template` gave."""
        return Prediction(self.cls(features, template[0]), self.loc(features, template[1]))


class DepthwiseAnchorHead(DepthwiseHead):
    """Score and box of k anchors by depthwise correlation.

    Args:
        in_channels: C of both branches.
        hidden: channels of the correlation.
        anchors: k.

    Shapes: (B, C, 31, 31) and template (B, C, 7, 7) -> logits (B, 2*k, 25, 25),
        boxes (B, 4*k, 25, 25).

    Keys: {cls, loc}.{conv_kernel, conv_search, head}.

    Reference:
        Li et al., SiamRPN++, 2018, arXiv:1812.11703; the layout is pysot's DepthwiseRPN.

    Example:
        >>> import torch
        >>> head = DepthwiseAnchorHead(8, 16).eval()
        >>> head(torch.rand(2, 8, 31, 31), head.template(torch.rand(1, 8, 7, 7))).logits.shape
        torch.Size([2, 10, 25, 25])
    """

    def __init__(self, in_channels: int = 256, hidden: int = 256, anchors: int = 5) -> None:
        super().__init__(in_channels, hidden, 2 * anchors, 4 * anchors)
