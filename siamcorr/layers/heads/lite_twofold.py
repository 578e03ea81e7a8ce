"""The second head of our own: two correlations side by side, and one tower for all that is asked.

Cell by cell, it is seen which part of the template lies where; depthwise, how much of it there is.
"""

import math

import torch
from torch import Tensor, nn

from siamcorr.layers.correlation import ChannelAttention
from siamcorr.layers.heads.lite import TYPICAL, LiteMaps, score_times_quality
from siamcorr.layers.heads.prediction import Prediction
from siamcorr.layers.necks import center_crop
from siamcorr.ops import xcorr_depthwise, xcorr_pixelwise


class LiteTwofoldHead(nn.Module):
    """Anchor-free head whose score is the chance of a target times the quality of its box.

    Both correlations look at the same two separable necks, and score, box and quality come out of
    one tower: half the layers of a head with a branch for each.

    Args:
        in_channels: of the features.
        hidden: of the necks.
        channels: of the tower.
        depth: blocks in the tower.
        crop: cells a side of the template that are correlated depthwise, even.
        cells: h*w of the template's features.

    Shapes: features (B, C, 16, 16) and template (B, C, 8, 8) -> Prediction on (15, 15), whose
        middle cell looks at the middle of the crop; logits (B, 1, 15, 15).

    Keys: {kernel, search}.{0 depthwise, 1 pointwise, 2 BN}, attention, reduce, norm, merge.{0, 1},
    tower.N.{0 depthwise, 1 pointwise, 2 BN}, pred (six channels: score, four sides, quality).
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int = 96,
        channels: int = 128,
        depth: int = 4,
        crop: int = 6,
        cells: int = 64,
    ) -> None:
        super().__init__()
        self.crop = crop
        self.kernel, self.search = (_separable(in_channels, hidden, 3) for _ in range(2))
        self.attention = ChannelAttention(cells)
        self.reduce = nn.Conv2d(cells, cells, 2, groups=cells)  # from 16 cells a side to 15
        self.merge = nn.Sequential(
            nn.Conv2d(cells + hidden, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        blocks = (_separable(channels, channels, 5).append(nn.ReLU()) for _ in range(depth))
        self.tower = nn.Sequential(*blocks)
        self.pred = nn.Conv2d(channels, 6, 1)
        nn.init.normal_(self.pred.weight, std=0.01)
        rare = [-math.log(99)]  # one cell in a hundred
        bias = torch.tensor(rare + 4 * [math.log(TYPICAL)] + [0.0])
        self.pred.bias = nn.Parameter(bias)

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, 8, 8) to the kernels of both correlations.

        They are scaled here, once for all searches, so that the correlations are means.
        """
        kernel = self.kernel(features)
        middle = center_crop(kernel, self.crop)
        return kernel / kernel.shape[1], middle / self.crop**2

    def maps(self, features: Tensor, template: tuple[Tensor, ...]) -> LiteMaps:
        """All three maps, as the losses want them."""
        search = self.search(features)
        cells = self.reduce(self.attention(xcorr_pixelwise(search, template[0])))
        whole = xcorr_depthwise(search, template[1], padding=self.crop // 2 - 1)
        seen = self.tower(self.merge(torch.cat([cells, whole], dim=1)))
        logits, sides, quality = self.pred(seen).split([1, 4, 1], dim=1)
        return LiteMaps(logits, sides.clamp(max=math.log(1000)).exp(), quality)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, 16, 16), with the kernels that `template` gave."""
        maps = self.maps(features, template)
        return Prediction(score_times_quality(maps.logits, maps.quality), maps.boxes)


def _separable(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """Depthwise, pointwise, norm: without a ReLU before it, for features end in a norm."""
    padding = kernel // 2
    return nn.Sequential(
        nn.Conv2d(
            in_channels, in_channels, kernel, padding=padding, groups=in_channels, bias=False
        ),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )
