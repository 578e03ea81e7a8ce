"""Head of siamcorr-lite 0.1: depthwise correlation, separable towers, and a quality branch."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers.blocks import SepConv
from siamcorr.layers.heads.prediction import Prediction
from siamcorr.layers.necks import center_crop
from siamcorr.ops import xcorr_depthwise

TYPICAL = 32.0  # typical distance from a target's centre to its sides, in search crop pixels


class LiteMaps(NamedTuple):
    """The head's maps before score and quality are combined, for training.

    logits: (B, 1, S, S), target or background, before sigmoid.
    boxes: (B, 4, S, S), distances in pixels, > 0.
    quality: (B, 1, S, S), expected IoU of the box, before sigmoid.
    """

    logits: Tensor
    boxes: Tensor
    quality: Tensor


class LiteHead(nn.Module):
    """Anchor-free head; its score is the geometric mean of target probability and box quality.

    Score and box have their own separable necks for search and template, because they need
    different features: the score distinguishes the target, the box finds its edges.

    Args:
        in_channels: of the features.
        channels: of the correlations and towers.
        depth: SepConv blocks in a tower.
        crop: cells per side of the template to correlate, even. 6 of 8 contain a target that is
            twice as high as wide; 4 cut off its ends.

    Shapes: features (B, C, 16, 16) and template (B, C, 8, 8) -> Prediction on (17, 17), whose
        middle cell is at the centre of the crop; logits (B, 1, 17, 17).

    Keys: {cls, box}_{kernel, search}.op (the necks), {cls, box}_norm, {cls, box}_tower.N.op,
    {cls, box, quality}_pred.
    """

    def __init__(
        self, in_channels: int, channels: int = 128, depth: int = 2, crop: int = 6
    ) -> None:
        super().__init__()
        self.crop = crop
        for side in ("cls", "box"):
            self.add_module(f"{side}_kernel", SepConv(in_channels, channels, 3, repeats=1))
            self.add_module(f"{side}_search", SepConv(in_channels, channels, 3, repeats=1))
            self.add_module(f"{side}_norm", nn.BatchNorm2d(channels))
            tower = [SepConv(channels, channels, 3, repeats=1) for _ in range(depth)]
            self.add_module(f"{side}_tower", nn.Sequential(*tower))
        self.cls_pred = nn.Conv2d(channels, 1, 1)
        self.box_pred = nn.Conv2d(channels, 4, 1)
        self.quality_pred = nn.Conv2d(channels, 1, 1)
        nn.init.constant_(_bias(self.cls_pred), -math.log(99))  # initial probability 1 %
        nn.init.constant_(_bias(self.box_pred), math.log(TYPICAL))
        nn.init.normal_(self.box_pred.weight, std=0.01)

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, 8, 8) to the kernels of score and box."""
        return tuple(
            center_crop(self.get_submodule(f"{side}_kernel")(features), self.crop)
            for side in ("cls", "box")
        )

    def maps(self, features: Tensor, template: tuple[Tensor, ...]) -> LiteMaps:
        """All three maps, for the losses."""
        score = self._compare("cls", features, template[0])
        box = self._compare("box", features, template[1])
        distances = self.box_pred(box).clamp(max=math.log(1000)).exp()
        return LiteMaps(self.cls_pred(score), distances, self.quality_pred(box))

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, 16, 16), with the kernels from `template`."""
        logits, boxes, quality = self.maps(features, template)
        return Prediction(score_times_quality(torch.cat([logits, quality], dim=1)), boxes)

    def _compare(self, side: str, features: Tensor, kernel: Tensor) -> Tensor:
        adapted = self.get_submodule(f"{side}_search")(features)
        cells = kernel.shape[-1] * kernel.shape[-2]
        response = xcorr_depthwise(adapted, kernel, padding=self.crop // 2, scale=1 / cells)
        normed = self.get_submodule(f"{side}_norm")(response)
        out: Tensor = self.get_submodule(f"{side}_tower")(normed)
        return out


def score_times_quality(logits: Tensor) -> Tensor:
    """The logit of sqrt(p q), from the logits of p and q: (B, 2, S, S) -> (B, 1, S, S)."""
    return score_of_negative(-logits)


def score_of_negative(logits: Tensor) -> Tensor:
    """`score_times_quality` of logits with the opposite sign.

    With s = sqrt(p q), the logit of s is -log(1/s - 1), and log(1/s) is the mean over both logits x
    of log(1 + exp(-x)). So p and q are not rounded to 0 or 1.
    """
    log = F.softplus(logits).sum(dim=1, keepdim=True) / 2  # log(1/s); a sum is faster than a mean
    largest = math.log(torch.finfo(log.dtype).max) - 0.1
    return -torch.log(torch.expm1(log.clamp(1e-6, largest)))


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
