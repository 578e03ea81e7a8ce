"""`LitePixelwiseHead` for inference: the same maps with fewer operators."""

import copy
from typing import TypeGuard, cast

import torch
from torch import Tensor, nn

from siamcorr.layers.heads.lite import FARTHEST, bias_of, bounded_exp, logit_of_root
from siamcorr.layers.heads.lite_pixelwise import LitePixelwiseHead
from siamcorr.layers.heads.prediction import Prediction
from siamcorr.layers.necks import center_crop
from siamcorr.ops import xcorr_depthwise


class FoldedPixelwiseHead(nn.Module):
    """A `LitePixelwiseHead` whose 1x1 convolution of the search is part of the template's kernel.

    Convolution and pixel-wise correlation are both sums over channels, so one product computes
    both: with features f, template cells k, and the convolution's weight W and bias b,

        k' (W f + b) = (W' k)' f + k' b          (' transposes)

    The same product computes the channels of the depthwise correlation, where the kernel is W'
    itself. In the response they lie between score and box: score cells, both whole parts, box
    cells.

    Args:
        head: without norms, see `foldable`; it does not change.

    Shapes: those of the head. Its template is the kernel (B, C, N), the bias (B, N, 1, 1) and the
        depthwise kernel, with N channels of the response.
    """

    weights: Tensor

    def __init__(self, head: LitePixelwiseHead) -> None:
        super().__init__()
        head = copy.deepcopy(head)
        self.crop, self.parts, self.kernel = head.crop, head.parts, head.kernel
        self.depthwise, pointwise = _convolutions(head.search)
        columns = [pointwise.weight.detach().flatten(1), bias_of(pointwise).detach()[:, None]]
        self.register_buffer("weights", torch.cat(columns, dim=1))
        depthwise, pointwise = _convolutions(head.tower[0])
        whole, half = head.parts[2] // 2, depthwise.in_channels // 2
        self.cells = half - whole
        box = pointwise.out_channels // 2
        with torch.no_grad():
            depthwise.weight[half:] = depthwise.weight[half:].roll(whole, 0)
            pointwise.weight[box:] = pointwise.weight[box:].roll(whole, 1)
        self.tower = nn.Sequential(head.tower, _exponents(head.pred))

    def template(self, features: Tensor) -> tuple[Tensor, ...]:
        """Template features (B, C, h, w) to the folded kernel, its bias, the depthwise kernel."""
        *cells, whole = self.kernel(features).split(self.parts, dim=1)
        weights = torch.split(self.weights, self.parts)
        scale = self.parts[0] ** -0.5
        score, box = (cell.flatten(2) * scale for cell in cells)  # (B, C, h*w)
        count = features.shape[0]  # len is a constant in an export
        parts = [weights[0].T @ score, weights[2].T.expand(count, -1, -1), weights[1].T @ box]
        folded = torch.cat(parts, dim=2)  # (B, C + 1, N)
        middle = center_crop(whole, self.crop) / self.crop
        return folded[:, :-1], folded[:, -1, :, None, None], middle

    def forward(self, features: Tensor, template: tuple[Tensor, ...]) -> Prediction:
        """Search features (B, C, H, W), with the kernels from `template`."""
        kernel, bias, middle = template
        cells = _products(self.depthwise(features), kernel) + bias
        score, whole, box = torch.split(cells, [self.cells, self.parts[2], self.cells], dim=1)
        whole = xcorr_depthwise(whole, middle, padding=self.crop // 2)
        response = torch.cat([score, whole, box], dim=1)
        exponents = self.tower(response)
        terms, sides = torch.split(bounded_exp(exponents), [3, 4], dim=1)
        logits, boxes = logit_of_root(terms), sides.clamp(max=FARTHEST)
        return Prediction(logits.to(exponents.dtype), boxes.to(exponents.dtype))


def _products(features: Tensor, kernel: Tensor) -> Tensor:
    """(B, C, H, W) and (B or 1, C, N) -> (B, N, H, W), in the layout of features."""
    count, _, height, width = features.shape
    if features.is_contiguous(memory_format=torch.channels_last):
        places = features.permute(0, 2, 3, 1).flatten(1, 2)  # (B, H*W, C)
        cells = places @ kernel
        return cells.reshape(count, height, width, -1).permute(0, 3, 1, 2)
    return (kernel.transpose(1, 2) @ features.flatten(2)).reshape(count, -1, height, width)


def _exponents(pred: nn.Conv2d) -> nn.Conv2d:
    """The prediction as seven exponents: three for `logit_of_root`, four sides."""
    changed = nn.Conv2d(pred.in_channels, 7, 1).to(pred.weight).requires_grad_(False)
    for new, old in ((changed.weight, pred.weight), (bias_of(changed), bias_of(pred))):
        score, sides, quality = torch.split(old.detach(), [1, 4, 1])
        new.copy_(torch.cat([-score, -quality, -score - quality, sides]))
    return changed


def foldable(head: object) -> TypeGuard[LitePixelwiseHead]:
    """Whether a head is a `LitePixelwiseHead` with plain convolutions, whose norms are folded."""
    if type(head) is not LitePixelwiseHead or len(head.tower) == 0:
        return False
    chains = head.search, cast("nn.Sequential", head.tower[0])
    layers = [*_convolutions(chains[0]), *_convolutions(chains[1]), head.pred]
    folded = all(type(chain[2]) is nn.Identity for chain in chains)
    return folded and all(type(layer) is nn.Conv2d for layer in layers)


def _convolutions(chain: nn.Module) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The depthwise and the 1x1 convolution of a neck or a block."""
    depthwise, pointwise, *_ = chain.children()
    return cast("nn.Conv2d", depthwise), cast("nn.Conv2d", pointwise)
