"""Head of siamcorr-lite 0.1: depthwise correlation, separable towers, and a quality branch."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from siamcorr.layers.blocks import SepConv
from siamcorr.layers.heads.prediction import Prediction
from siamcorr.layers.necks import center_crop
from siamcorr.ops import xcorr_depthwise

FARTHEST = 1000.0  # largest distance from a target's centre to its sides, in search crop pixels
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
        nn.init.constant_(bias_of(self.cls_pred), -math.log(99))  # initial probability 1 %
        nn.init.constant_(bias_of(self.box_pred), math.log(TYPICAL))
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
        distances = self.box_pred(box).clamp(max=math.log(FARTHEST)).exp()
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
    both = torch.cat([logits, logits.sum(dim=1, keepdim=True)], dim=1)
    return logit_of_root(bounded_exp(-both)).to(logits.dtype)


def bounded_exp(exponents: Tensor) -> Tensor:
    """exp, finite and above 0 for any exponent; half precision becomes float32."""
    wide = torch.promote_types(exponents.dtype, torch.float32)
    return exponents.to(wide).clamp(-80, 80).exp()


def logit_of_root(terms: Tensor) -> Tensor:
    """The logit of s = sqrt(p q), from exp(-a), exp(-b), exp(-a - b); a, b are the logits of p, q.

    Their sum t is 1 / s^2 - 1, and the logit of s is log(s / (1 - s)) = log((sqrt(1 + t) + 1) / t).
    So p and q are not rounded to 0 or 1.

    Shapes: (B, 3, S, S) -> (B, 1, S, S).
    """
    total = terms.sum(dim=1, keepdim=True)
    return torch.log((torch.sqrt(total + 1) + 1) / total)


def bias_of(conv: nn.Conv2d) -> Tensor:
    """The bias of a convolution that has one."""
    assert conv.bias is not None
    return conv.bias
