"""Heads over several levels of a backbone: one head per level, and fusion of their maps."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from siamcorr.layers.heads.anchors import DepthwiseAnchorHead, DepthwiseHead
from siamcorr.layers.heads.prediction import Prediction
from siamcorr.layers.necks import fuse_levels

Levels = Sequence[Tensor]


class _MultiLevelHead(nn.Module):
    """Heads under the keys {prefix}2, {prefix}3, …, and the fusion weights of their maps."""

    def __init__(self, prefix: str, heads: Sequence[nn.Module], weighted: bool) -> None:
        super().__init__()
        self.names = [f"{prefix}{level}" for level in range(2, 2 + len(heads))]
        for name, head in zip(self.names, heads, strict=True):
            self.add_module(name, head)
        ones = torch.ones(len(heads))
        self.cls_weight = nn.Parameter(ones.clone()) if weighted else None
        self.loc_weight = nn.Parameter(ones.clone()) if weighted else None

    def template(self, features: Levels) -> tuple[Tensor, ...]:
        """Template features of every level to two kernels each, level by level."""
        heads = (self.get_submodule(name) for name in self.names)
        kernels = (
            head.template(level)  # type: ignore[operator]
            for head, level in zip(heads, features, strict=True)
        )
        return tuple(kernel for level in kernels for kernel in level)

    def forward(self, features: Levels, template: tuple[Tensor, ...]) -> Prediction:
        """Search features of every level, with the kernels from `template`."""
        heads = [self.get_submodule(name) for name in self.names]
        each = len(template) // len(heads)
        predictions = [
            head(level, template[each * index : each * (index + 1)])
            for index, (head, level) in enumerate(zip(heads, features, strict=True))
        ]
        boxes = [self._boxes(index, p.boxes) for index, p in enumerate(predictions)]
        logits = fuse_levels([p.logits for p in predictions], self.cls_weight)
        return Prediction(logits, fuse_levels(boxes, self.loc_weight))

    def _boxes(self, index: int, boxes: Tensor) -> Tensor:
        return boxes


class MultiLevelAnchorHead(_MultiLevelHead):
    """A `DepthwiseAnchorHead` for every level.

    Args:
        in_channels: of each level, also of its correlation.
        anchors: k.
        weighted: fuse by learned weights, or take the mean.

    Shapes: a list of (B, C, 31, 31) and one of (B, C, 7, 7) -> logits (B, 2*k, 25, 25),
        boxes (B, 4*k, 25, 25).

    Keys: rpn{2, 3, 4, …}.{cls, loc}; cls_weight and loc_weight (L) if weighted.

    Reference:
        Li et al., SiamRPN++, 2018, arXiv:1812.11703; the layout is pysot's MultiRPN.
    """

    def __init__(
        self, in_channels: Sequence[int] = (256, 256, 256), anchors: int = 5, weighted: bool = True
    ) -> None:
        heads = [DepthwiseAnchorHead(width, width, anchors) for width in in_channels]
        super().__init__("rpn", heads, weighted)


class MultiLevelBoxHead(_MultiLevelHead):
    """A depthwise anchor-free head for every level, with a learned scale of its distances.

    Args:
        in_channels: of each level, also of its correlation.
        weighted: fuse by learned weights, or take the mean.

    Shapes: a list of (B, C, 31, 31) and one of (B, C, 7, 7) -> logits (B, 2, 25, 25),
        boxes (B, 4, 25, 25), > 0.

    Keys: box{2, 3, 4, …}.{cls, loc}, loc_scale (L); cls_weight and loc_weight (L) if weighted.

    Reference:
        Chen et al., Siamese Box Adaptive Network, 2020, arXiv:2003.06761 (MultiBAN).
    """

    def __init__(self, in_channels: Sequence[int] = (256, 256, 256), weighted: bool = True) -> None:
        heads = [DepthwiseHead(width, width, logits=2, boxes=4) for width in in_channels]
        super().__init__("box", heads, weighted)
        self.loc_scale = nn.Parameter(torch.ones(len(in_channels)))

    def _boxes(self, index: int, boxes: Tensor) -> Tensor:
        """Scale the distances and make them positive before fusion."""
        return (boxes * self.loc_scale[index]).exp()
