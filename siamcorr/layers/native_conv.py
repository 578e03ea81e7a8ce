"""Convolution and the activation after it as one matrix product of the C++ kernels, on a CPU.

In channels_last, a cell of a 1x1 convolution reads neighbouring numbers, and so does a row of the
kernel of a first convolution. Then no patches have to be copied, and there is one call where
PyTorch needs several.
"""

from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers.native_layer import NativeLayer, Step, activation_name
from siamcorr.layers.padding import Pair, pair
from siamcorr.layers.pointwise import PointwiseConv2d
from siamcorr.ops import kernels, layer_kernels
from siamcorr.ops.layer_kernels import MatrixShape, PackedLayerJob

FEW_CHANNELS = 4  # of the images that a first convolution takes
MAX_OUTPUT = 2**20  # numbers of a 1x1 convolution's response; PyTorch is faster for larger ones


class NativeConv2d(NativeLayer):
    """Replaces a 1x1 nn.Conv2d, or one of up to four input channels, for inference.

    Results are equal up to rounding. `plain` computes what the kernels do not support: other
    types than float32, gradients, autocast, tracing, export, other devices; and 1x1 convolutions
    of features that are not channels_last.

    Shapes: as the convolution, (B, C, H, W) -> (B, O, H', W') in channels_last.

    Example:
        >>> conv = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        >>> NativeConv2d.of(conv, nn.ReLU())(torch.rand(1, 3, 31, 31)).shape
        torch.Size([1, 16, 16, 16])
    """

    bias: Tensor

    def __init__(self, conv: nn.Conv2d, activation: str | None) -> None:
        super().__init__(activation)
        self.pointwise = conv.kernel_size == (1, 1)
        self.plain: nn.Module = PointwiseConv2d.of(conv) if self.pointwise else conv
        self.groups, self.outputs = conv.groups, conv.out_channels // conv.groups
        self.kernel_size, self.stride = pair(conv.kernel_size), pair(conv.stride)  # type: ignore[arg-type]
        self.padding = (0, 0) if self.pointwise else pair(conv.padding)  # type: ignore[arg-type]
        bias = conv.bias if conv.bias is not None else conv.weight.new_zeros(conv.out_channels)
        for name, parameter in (("weight", conv.weight), ("bias", bias)):
            blocks = self._blocks(parameter.detach().resolve_neg())
            self.register_buffer(name, blocks, persistent=False)

    @classmethod
    def of(cls, conv: nn.Conv2d, activation: nn.Module | None = None) -> Self:
        """Convert a convolution and the activation after it.

        Raises:
            ValueError: another convolution, or an activation other than ReLU, ReLU6 and Hardswish.
        """
        if type(conv) is nn.Conv2d and conv.kernel_size == (1, 1):
            PointwiseConv2d.of(conv)  # refuses stride and padding
        elif (
            type(conv) is not nn.Conv2d
            or conv.in_channels > FEW_CHANNELS
            or conv.groups > 1
            or conv.dilation != (1, 1)
            or conv.padding_mode != "zeros"
            or isinstance(conv.padding, str)
        ):
            raise ValueError(f"NativeConv2d: takes a 1x1 or a first convolution, got {conv}")
        return cls(conv, activation_name(activation))

    def step(self, features: Tensor) -> Step | None:
        """Prepare a job; None for what the kernels do not support."""
        if not self._fits(features):
            return None
        if self.pointwise:
            job = self._job(features)
            return partial(layer_kernels.run_matrix, job, weight=self.weight, bias=self.bias)
        job = self._job(pad_last(self.padding, features))
        return partial(run_padded, self.padding, job, self.weight, self.bias)

    def compute_plain(self, features: Tensor) -> Tensor:
        """Convolve by PyTorch, without the activation."""
        out: Tensor = self.plain(features)
        return out

    def extra_repr(self) -> str:
        """The activation, as repr shows it."""
        return f"activation={self.activation}"

    def _fits(self, features: Tensor) -> bool:
        """Whether the kernels support features; the fallback reports wrong shapes."""
        channels, sides = features.shape[1], features.shape[2:]
        return (
            features.dtype == self.weight.dtype == self.bias.dtype == torch.float32
            and kernels.available(self.weight.device.type)
            and min(sides) > 0
            and channels == self.groups * self.weight.shape[1] // self.kernel_cells
            and (not self.pointwise or self._fits_pointwise(features))
            and all(
                s + 2 * p >= k
                for s, p, k in zip(sides, self.padding, self.kernel_size, strict=True)
            )
        )

    def _fits_pointwise(self, features: Tensor) -> bool:
        outputs = features.numel() // features.shape[1] * self.outputs * self.groups
        last = features.is_contiguous(memory_format=torch.channels_last)
        return last and outputs <= MAX_OUTPUT

    @property
    def kernel_cells(self) -> int:
        """Cells of the kernel."""
        return self.kernel_size[0] * self.kernel_size[1]

    def _job(self, features: Tensor) -> PackedLayerJob:
        count, channels, height, width = features.shape
        rows, columns = (
            (side - size) // step + 1
            for side, size, step in zip(
                features.shape[2:], self.kernel_size, self.stride, strict=True
            )
        )
        row, group = width * channels, channels // self.groups
        shape = count, self.groups * self.outputs, rows, columns
        cells = count, rows, columns
        steps = height * row, self.stride[0] * row, self.stride[1] * channels
        if self.pointwise:  # one row of cells
            cells, steps = (1, 1, count * rows * columns), (0, 0, channels)
        reads = self.kernel_size[0], row, self.kernel_size[1] * group
        job = MatrixShape(cells, steps, self.groups, group, reads, self.outputs)
        return layer_kernels.pack_matrix(job, shape, kernels.ACTIVATIONS.index(self.activation))

    def _blocks(self, parameter: Tensor) -> Tensor:
        """Weights (O, C, h, w) as (blocks, h * w * C, BLOCK), biases (O,) as (blocks, 1, BLOCK).

        The last block of a group ends with its last channel; fewer channels are filled up with
        zeros.
        """
        outputs, size = self.outputs, layer_kernels.BLOCK
        rows = parameter.permute(0, 2, 3, 1) if parameter.dim() == 4 else parameter
        grouped = rows.reshape(self.groups, outputs, -1)
        starts = [min(first, max(outputs - size, 0)) for first in range(0, outputs, size)]
        blocks = torch.stack([grouped[:, first : first + size] for first in starts], dim=1)
        filled = F.pad(blocks, (0, 0, 0, size - blocks.shape[2]))
        return filled.flatten(0, 1).transpose(1, 2).contiguous()


def run_padded(
    padding: Pair, job: PackedLayerJob, weight: Tensor, bias: Tensor, features: Tensor
) -> Tensor:
    """Run a job on padded features."""
    return layer_kernels.run_matrix(job, pad_last(padding, features), weight, bias)


def pad_last(padding: Pair, features: Tensor) -> Tensor:
    """Put zeros around features (B, C, H, W); the result is channels_last."""
    (top, left), (count, channels, height, width) = padding, features.shape
    padded = features.new_zeros(count, height + 2 * top, width + 2 * left, channels)
    padded[:, top : top + height, left : left + width] = features.permute(0, 2, 3, 1)
    return padded.permute(0, 3, 1, 2)
