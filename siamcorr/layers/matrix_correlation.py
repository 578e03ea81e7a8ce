"""Matrix correlation: three depthwise correlations of encodings with different dilations."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from siamcorr.layers.correlation import conv_bn_relu
from siamcorr.layers.necks import fuse_levels
from siamcorr.ops import xcorr_depthwise

DILATIONS = {"11": (1, 1), "12": (2, 1), "21": (1, 2)}


class MatrixEncoding(nn.Module):
    """Encode both branches by 3x3 convolutions with dilation (1, 1), (2, 1) and (1, 2).

    Args:
        in_channels: C of both branches.
        out_channels: O of the encodings.

    Shapes: (B, C, 7, 7) -> (B, O, 5, 5), (B, O, 3, 5), (B, O, 5, 3); likewise any other size.

    Keys: matrix{11, 12, 21}_{k, s}.{0 convolution, 1 BN}; k is the template branch.

    Reference:
        Zhang et al., Ocean, 2020, arXiv:2006.10721.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        for name, dilation in DILATIONS.items():
            for side in ("k", "s"):
                encoder = conv_bn_relu(in_channels, out_channels, 3, dilation)
                self.add_module(f"matrix{name}_{side}", encoder)

    def kernel(self, template: Tensor) -> tuple[Tensor, ...]:
        """Template branch: features (B, C, h, w) to three encodings."""
        return tuple(self.get_submodule(f"matrix{name}_k")(template) for name in DILATIONS)

    def forward(self, search: Tensor) -> tuple[Tensor, ...]:
        """Search branch: features (B, C, H, W) to three encodings."""
        return tuple(self.get_submodule(f"matrix{name}_s")(search) for name in DILATIONS)


class MatrixCorrelation(nn.Module):
    """Correlate three encodings depthwise, and sum the responses with learned softmax weights.

    An encoding shrinks both branches by the same number of cells, so the three responses have the
    same size.

    Shapes: three of (B, C, …) and three of (B or 1, C, …) -> (B, C, H', W').

    Keys: weight (3).

    Reference:
        Zhang et al., Ocean, 2020, arXiv:2006.10721 (there GroupDW).
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(len(DILATIONS)))

    def forward(self, search: Sequence[Tensor], kernel: Sequence[Tensor]) -> Tensor:
        """Correlate the encodings that `MatrixEncoding` computed for search and template."""
        responses = [xcorr_depthwise(x, z) for x, z in zip(search, kernel, strict=True)]
        return fuse_levels(responses, self.weight)
