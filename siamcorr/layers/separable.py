"""Depthwise and depthwise-separable convolution, numerically equal to Keras.

"Separable" has two meanings:

    depthwise-separable   k x k on each channel by itself, then 1 x 1 across channels
    spatially separable   k x 1, then 1 x k, each across all channels

The first is here, the second in `spatial_separable.py`.
"""

from typing import Any, Self

import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers.keras_weights import copy_depthwise, copy_separable, keras_options
from siamcorr.layers.padding import Padding, Pair, check_sizes, pad_input, pair


class DepthwiseConv2d(nn.Conv2d):
    """Convolve each channel with its own filters, as keras.layers.DepthwiseConv2D.

    Args:
        channels: C of the input.
        kernel_size: k or (kh, kw); may be even.
        stride: one number, or (height, width).
        padding: "same" as in TensorFlow, "valid", or zeros on both sides.
        dilation: one number, or (height, width); > 1 only with stride 1.
        depth_multiplier: M filters per channel.
        bias: one per output channel.
        device: of the parameters.
        dtype: of the parameters.

    Shapes: (B, C, H, W) -> (B, C*M, H', W'), H' = ceil(H / stride) for "same". Output channel
    c*M + m is filter m of input channel c.

    Keys: weight (C*M, 1, kh, kw), bias (C*M).

    Raises:
        ValueError: stride with dilation, an unknown padding, sizes below 1.

    Example:
        >>> import torch
        >>> DepthwiseConv2d(8, 3, stride=2)(torch.rand(2, 8, 17, 17)).shape
        torch.Size([2, 8, 9, 9])
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: Padding = "same",
        dilation: int | Pair = 1,
        depth_multiplier: int = 1,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        check_sizes(type(self).__name__, kernel_size, stride, padding, dilation, depth_multiplier)
        super().__init__(
            channels,
            channels * depth_multiplier,
            pair(kernel_size),
            pair(stride),
            dilation=pair(dilation),
            groups=channels,
            bias=bias,
            device=device,
            dtype=dtype,
        )
        self.border = padding

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features (B, C, H, W)."""
        kernel, stride, dilation = pair(self.kernel_size), pair(self.stride), pair(self.dilation)  # type: ignore[arg-type]
        padded, padding = pad_input(features, self.border, kernel, stride, dilation)
        return F.conv2d(padded, self.weight, self.bias, stride, padding, dilation, self.groups)

    def extra_repr(self) -> str:
        """The options that differ from a plain convolution's, as repr shows them."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}, padding={self.border!r}, dilation={self.dilation}"
        return text + ("" if self.bias is not None else ", bias=False")

    def load_keras_weights(self, kernel: Any, bias: Any = None) -> None:
        """Load a Keras layer's arrays: kernel (kh, kw, C, M), bias (C*M).

        Raises:
            ValueError: other shapes, or only one of module and weights has a bias.
        """
        copy_depthwise(self, kernel, bias)

    @classmethod
    def from_keras(cls, layer: Any) -> Self:
        """Convert a built keras.layers.DepthwiseConv2D with its weights.

        Raises:
            ValueError: another kind of layer, not built, or with an activation (add it after this
                module).
        """
        options, weights = keras_options(layer, kernels=1)
        module = cls(weights[0].shape[2], **options)
        module.load_keras_weights(*weights)
        return module


class SeparableConv2d(nn.Module):
    """Depthwise convolution, then 1x1: equal to keras.layers.SeparableConv2D up to rounding.

    Many modules of this name have a bias, a norm or an activation between the two steps; this one
    has none, as in Keras and in the paper.

    Args:
        in_channels: C of the input.
        out_channels: O of the output.
        kernel_size: k or (kh, kw) of the depthwise step; may be even.
        stride: of the depthwise step.
        padding: "same" as in TensorFlow, "valid", or zeros on both sides.
        dilation: of the depthwise step; > 1 only with stride 1.
        depth_multiplier: M depthwise filters per channel.
        bias: one per output channel, after the 1x1 convolution.
        device: of the parameters.
        dtype: of the parameters.

    Shapes: (B, C, H, W) -> (B, O, H', W'), H' = ceil(H / stride) for "same".

    Keys: depthwise.weight (C*M, 1, kh, kw), pointwise.{weight (O, C*M, 1, 1), bias}.

    Raises:
        ValueError: stride with dilation, an unknown padding, sizes below 1.

    Reference:
        Chollet, Xception, 2016, arXiv:1610.02357.

    Example:
        >>> import torch
        >>> SeparableConv2d(32, 64, (1, 16))(torch.rand(1, 32, 1, 100)).shape
        torch.Size([1, 64, 1, 100])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: Padding = "same",
        dilation: int | Pair = 1,
        depth_multiplier: int = 1,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_sizes(type(self).__name__, kernel_size, stride, padding, dilation, depth_multiplier)
        place = {"device": device, "dtype": dtype}
        self.depthwise = DepthwiseConv2d(
            in_channels, kernel_size, stride, padding, dilation, depth_multiplier, False, **place
        )
        width = in_channels * depth_multiplier
        self.pointwise = nn.Conv2d(width, out_channels, 1, bias=bias, **place)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features (B, C, H, W)."""
        filtered = self.depthwise(features)  # (B, C*M, H', W')
        mixed: Tensor = self.pointwise(filtered)
        return mixed

    def load_keras_weights(self, depthwise: Any, pointwise: Any, bias: Any = None) -> None:
        """Load a Keras layer's arrays: (kh, kw, C, M), (1, 1, C*M, O) and (O).

        Keras has these shapes for both of its data formats.

        Raises:
            ValueError: other shapes, or only one of module and weights has a bias.
        """
        copy_separable(self.depthwise, self.pointwise, depthwise, pointwise, bias)

    @classmethod
    def from_keras(cls, layer: Any) -> Self:
        """Convert a built keras.layers.SeparableConv2D with its weights.

        The result takes (B, C, H, W), whatever the layer's data_format is.

        Raises:
            ValueError: another kind of layer, not built, or with an activation (add it after this
                module).

        Example:
            SeparableConv2d.from_keras(model.get_layer("block2_sepconv1"))
        """
        options, weights = keras_options(layer, kernels=2)
        module = cls(weights[0].shape[2], weights[1].shape[3], **options)
        module.load_keras_weights(*weights)
        return module
