"""A column, then a row: reference values, and each step pads only its own axis."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call

from siamcorr.layers import SpatialSeparableConv2d, same_pad


def build(*args, **options) -> SpatialSeparableConv2d:
    torch.manual_seed(0)
    return SpatialSeparableConv2d(*args, **options).double()


def features(channels: int = 3, height: int = 9, width: int = 10) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, channels, height, width, generator=generator, dtype=torch.float64)


def laid(x: Tensor, padding, kernel: int, stride: int) -> Tensor:
    """Zeros around by hand."""
    if padding == "valid":
        return x
    height, width = x.shape[-2:]
    if padding == "same":
        rows, columns = same_pad(height, kernel, stride), same_pad(width, kernel, stride)
    else:
        top, left = padding if isinstance(padding, tuple) else (padding, padding)
        rows, columns = (top, top), (left, left)
    return F.pad(x, (*columns, *rows))


paddings = pytest.mark.parametrize("padding", ["same", "valid", 2, (1, 3)])
kernels = pytest.mark.parametrize("kernel", [3, 4])
strides = pytest.mark.parametrize("stride", [1, 2])


@paddings
@kernels
@strides
def test_two_convolutions_by_hand(padding, kernel, stride):
    module, x = build(3, 4, kernel, stride, padding), features()
    padded = laid(x, padding, kernel, stride)
    column = F.conv2d(padded, module.vertical.weight, stride=(stride, 1))
    row = F.conv2d(column, module.horizontal.weight, module.horizontal.bias, (1, stride))
    assert module.horizontal.bias.abs().min() > 0
    torch.testing.assert_close(module(x), row, rtol=1e-12, atol=1e-12)


@paddings
@kernels
@strides
def test_rank_one_kernel(padding, kernel, stride):
    """Column, then row equal one convolution with their outer product."""
    module, x = build(1, 1, kernel, stride, padding, bias=False), features(1)
    full = torch.outer(module.vertical.weight.flatten(), module.horizontal.weight.flatten())
    expected = F.conv2d(laid(x, padding, kernel, stride), full[None, None], stride=stride)
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


def test_all_channels():
    """Both steps mix channels: together a full kernel of as many terms as lie between them."""
    module, x = build(3, 4, 3, bias=False), features()
    full = torch.einsum(
        "opj,pci->ocij", module.horizontal.weight[:, :, 0], module.vertical.weight[..., 0]
    )
    torch.testing.assert_close(module(x), F.conv2d(x, full, padding=1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "expected"),
    [
        (7, 1, "same", (31, 20)),
        (7, 2, "same", (16, 10)),
        (4, 1, "same", (31, 20)),
        (4, 2, "same", (16, 10)),
        (7, 1, "valid", (25, 14)),
        (7, 2, "valid", (13, 7)),
        (4, 2, "valid", (14, 9)),
        (7, 1, 3, (31, 20)),
        (7, 2, 3, (16, 10)),
        (3, 1, 0, (29, 18)),
        (3, 1, (0, 1), (29, 20)),
        (1, 2, "same", (16, 10)),
    ],
)
def test_shapes(kernel, stride, padding, expected):
    module = SpatialSeparableConv2d(3, 4, kernel, stride, padding)
    assert module(torch.rand(2, 3, 31, 20)).shape == (2, 4, *expected)


def test_keys():
    shapes = {key: tuple(value.shape) for key, value in build(3, 4, 5).state_dict().items()}
    assert shapes == {
        "vertical.weight": (4, 3, 5, 1),
        "horizontal.weight": (4, 4, 1, 5),
        "horizontal.bias": (4,),
    }
    assert set(build(3, 4, 5, bias=False).state_dict()) == set(shapes) - {"horizontal.bias"}
    assert [type(child) for child in build(3, 4, 5).children()] == [nn.Conv2d, nn.Conv2d]


@pytest.mark.parametrize(("kernel", "stride"), [(2, 1), (3, 2)])
def test_gradcheck(kernel, stride):
    module, x = build(2, 2, kernel, stride), features(2, 4, 5).requires_grad_()
    names, weights = zip(*module.named_parameters(), strict=True)

    def call(x: Tensor, *weights: Tensor) -> Tensor:
        return functional_call(module, dict(zip(names, weights, strict=True)), (x,))

    assert gradcheck(call, (x, *weights))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kernel_size": 0}, "kernel_size, stride, dilation and depth_multiplier must be >= 1"),
        ({"stride": 0}, "must be >= 1"),
        ({"padding": "full"}, "padding must be .*got 'full'"),
        ({"padding": -1}, "padding must be"),
        ({"padding": (1,)}, "padding must be"),
    ],
)
def test_errors(options, text):
    with pytest.raises(ValueError, match=f"^SpatialSeparableConv2d: .*{text}"):
        SpatialSeparableConv2d(3, 4, **({"kernel_size": 3} | options))
