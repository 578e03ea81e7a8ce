"""Head with a pixel-wise and a depthwise correlation, for score and box at once.

The pixel-wise response shows which part of the template is where; the depthwise response shows how
well the whole template matches.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from siamcorr.layers.heads.lite import FARTHEST, TYPICAL, LiteMaps, score_times_quality
from siamcorr.layers.heads.prediction import Prediction
from siamcorr.layers.necks import center_crop
from siamcorr.ops import xcorr_depthwise, xcorr_pixelwise


class LitePixelwiseHead(nn.Module):
    """Anchor-free head; its score is the geometric mean of target probability and box quality.

    Score branch and box branch have separate channels up to the prediction, the first and the
    second half of one tensor (convolutions with two groups). So each layer runs once, not once per
    branch.

    Args:
        in_channels: of the features, and of the pixel-wise correlation of each branch.
        channels: of each branch, for each block of the tower.
        whole: channels of the depthwise correlation of each branch.
        crop: cells per side of the template for the depthwise correlation, odd.
        cells: h*w of the template's features.

    Shapes: features (B, C, H, W) and template (B, C, h, w) -> Prediction on (H, W); logits
        (B, 1, H, W).

    Keys: {kernel, search}.{0 depthwise, 1 pointwise, 2 BN}, tower.N.{0 depthwise, 1 pointwise,
    2 BN}, pred (six channels: score, four sides, quality).
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = 6 * (96,),
        whole: int = 16,
        crop: int = 5,
        cells: int = 64,
    ) -> None:
        super().__init__()
        self.crop, self.parts = crop, [in_channels, in_channels, 2 * whole]
        self.kernel, self.search = (_neck(in_channels, sum(self.parts)) for _ in range(2))
        self.score_cells, self.box_cells = PixelwiseResponse(), PixelwiseResponse()
        widths = [2 * (cells + whole), *(2 * count for count in channels)]
        self.tower = nn.Sequential(*(_block(*sizes) for sizes in pairwise(widths)))
        self.pred = nn.Conv2d(widths[-1], 6, 1)
        nn.init.normal_(self.pred.weight, std=0.01)
        rare = [-math.log(99)]  # initial probability 1 %
        self.pred.bias = nn.Parameter(torch.tensor(rare + 4 * [math.log(TYPICAL)] + [0.0]))

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, h, w) to three kernels: pixel-wise score and box, depthwise.

        They are scaled here, once for all searches: divided by the square root of the number of
        products in a sum, so that responses vary as much as their inputs.
        """
        score, box, whole = self.kernel(features).split(self.parts, dim=1)
        scale = self.parts[0] ** -0.5
        return score * scale, box * scale, center_crop(whole, self.crop) / self.crop

    def maps(self, features: Tensor, template: tuple[Tensor, ...]) -> LiteMaps:
        """All three maps, for the losses."""
        score, box, whole = self.search(features).split(self.parts, dim=1)
        wholes = xcorr_depthwise(whole, template[2], padding=self.crop // 2).chunk(2, dim=1)
        cells = self.score_cells(score, template[0]), self.box_cells(box, template[1])
        response = torch.cat([cells[0], wholes[0], cells[1], wholes[1]], dim=1)
        logits, sides, quality = self.pred(self.tower(response)).split([1, 4, 1], dim=1)
        return LiteMaps(logits, sides.clamp(max=math.log(FARTHEST)).exp(), quality)

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, H, W), with the kernels from `template`."""
        maps = self.maps(features, template)
        both = torch.cat([maps.logits, maps.quality], dim=1)
        return Prediction(score_times_quality(both), maps.boxes)


class PixelwiseResponse(nn.Module):
    """`xcorr_pixelwise` as a module, so that training can name its output.

    NanoTrack multiplies the response's h*w channels by a channel attention. In the trained network
    its weights are almost constant, so it is left out: necks and tower can learn the same scale.

    Shapes: search (B, C, H, W) and kernel (B, C, h, w) -> (B, h*w, H, W).
    """

    def forward(self, search: Tensor, kernel: Tensor) -> Tensor:
        """Correlate."""
        return xcorr_pixelwise(search, kernel)


def _neck(in_channels: int, out_channels: int) -> nn.Sequential:
    """Depthwise, pointwise, norm; no ReLU in front, because the features end in a norm."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Depthwise 3x3, 1x1 within each half, norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, groups=2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
