"""Head with pixel-wise and depthwise correlation side by side, for score and box at once.

The pixel-wise response shows which part of the template is where; the depthwise response shows how
well the whole template matches.
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
    """Anchor-free head; its score is the geometric mean of target probability and box quality.

    Score and box have separate channels throughout, the first and the second half of one tensor.
    So each layer runs once, not once per branch.

    Args:
        in_channels: of the features.
        channels: of each half.
        depth: blocks in the tower.
        crop: cells per side of the template for the depthwise correlation, even.
        cells: h*w of the template's features.

    Shapes: features (B, C, 16, 16) and template (B, C, 8, 8) -> Prediction on (15, 15), whose
        middle cell is at the centre of the crop; logits (B, 1, 15, 15).

    Keys: {kernel, search}.{0 depthwise, 1 pointwise, 2 BN}, attention.{fc1, fc2},
    reduce.{0, 1 BN}, merge.{0, 1 BN}, tower.N.{0 depthwise, 1 BN, 3 pointwise, 4 BN},
    pred (six channels: score, four sides, quality).
    """

    def __init__(
        self,
        in_channels: int,
        channels: int = 96,
        depth: int = 3,
        crop: int = 4,
        cells: int = 64,
    ) -> None:
        super().__init__()
        self.crop, both = crop, 2 * channels
        self.kernel, self.search = (_neck(in_channels, both) for _ in range(2))
        self.attention = ChannelAttention(2 * cells)
        self.reduce = nn.Sequential(  # from 16 to 15 cells per side
            nn.Conv2d(2 * cells, 2 * cells, 2, groups=2 * cells, bias=False),
            nn.BatchNorm2d(2 * cells),
            nn.ReLU(),
        )
        self.merge = nn.Sequential(
            nn.Conv2d(2 * cells + both, both, 1, groups=2, bias=False), nn.BatchNorm2d(both)
        )
        self.tower = nn.Sequential(*(_block(both) for _ in range(depth)))
        self.pred = nn.Conv2d(both, 6, 1)
        nn.init.normal_(self.pred.weight, std=0.01)
        rare = [-math.log(99)]  # initial probability 1 %
        self.pred.bias = nn.Parameter(torch.tensor(rare + 4 * [math.log(TYPICAL)] + [0.0]))

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, 8, 8) to three kernels: pixel-wise score and box, depthwise.

        They are scaled here, once for all searches, so that the correlations are means.
        """
        kernel = self.kernel(features)
        score, box = kernel.mul(2 / kernel.shape[1]).chunk(2, dim=1)
        return score, box, center_crop(kernel, self.crop) / self.crop**2

    def maps(self, features: Tensor, template: tuple[Tensor, ...]) -> LiteMaps:
        """All three maps, for the losses."""
        search = self.search(features)
        halves = zip(search.chunk(2, dim=1), template[:2], strict=True)
        cells = torch.cat([xcorr_pixelwise(half, kernel) for half, kernel in halves], dim=1)
        whole = xcorr_depthwise(search, template[2], padding=self.crop // 2 - 1)
        (cells_score, cells_box), (whole_score, whole_box) = (
            part.chunk(2, dim=1) for part in (self.reduce(self.attention(cells)), whole)
        )
        merged = self.merge(torch.cat([cells_score, whole_score, cells_box, whole_box], dim=1))
        predicted = self.pred(self.tower(merged))
        logits, sides, quality = predicted.split([1, 4, 1], dim=1)
        return LiteMaps(logits, sides.clamp(max=math.log(1000)).exp(), quality)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, 16, 16), with the kernels from `template`."""
        maps = self.maps(features, template)
        return Prediction(score_times_quality(maps.logits, maps.quality), maps.boxes)


def _neck(in_channels: int, out_channels: int) -> nn.Sequential:
    """Depthwise, pointwise, norm; no ReLU in front, because the features end in a norm."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def _block(channels: int) -> nn.Sequential:
    """Depthwise 5x5, norm, ReLU, 1x1 within each half, norm."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1, groups=2, bias=False),
        nn.BatchNorm2d(channels),
    )
