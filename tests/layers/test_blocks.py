"""Blocks of architecture search: sizes, published keys, the order of layers, and the numbers."""

from functools import partial
from math import ceil

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from siamcorr.layers import ConvBNReLU, DilConv, ReLUConvBN, SepConv

BLOCKS = {
    "ConvBNReLU": ConvBNReLU,
    "ReLUConvBN": ReLUConvBN,
    "SepConv, once": partial(SepConv, repeats=1),
    "SepConv": SepConv,
    "SepConv, thrice": partial(SepConv, repeats=3),
    "DilConv": DilConv,
}
REPEATS = {"SepConv, once": 1, "SepConv": 2, "SepConv, thrice": 3, "DilConv": 1}
all_blocks = pytest.mark.parametrize("name", BLOCKS)


def features(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@all_blocks
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_shapes(name, kernel, stride):
    block = BLOCKS[name](4, 6, kernel, stride=stride).eval()
    for height, width in [(13, 13), (12, 12), (13, 12), (8, 15), (1, 2)]:
        expected = (2, 6, ceil(height / stride), ceil(width / stride))
        assert block(torch.rand(2, 4, height, width)).shape == expected


def filters(step: int, outputs: int, inputs: int, kernel: int) -> dict[str, tuple[int, ...]]:
    return {f"op.{step}.weight": (outputs, inputs, kernel, kernel)}


def norm(step: int, channels: int, affine: bool) -> dict[str, tuple[int, ...]]:
    sizes = {"running_mean": (channels,), "running_var": (channels,), "num_batches_tracked": ()}
    if affine:
        sizes |= {"weight": (channels,), "bias": (channels,)}
    return {f"op.{step}.{key}": size for key, size in sizes.items()}


def pair(start: int, outputs: int, affine: bool) -> dict[str, tuple[int, ...]]:
    """Depthwise of 4 channels, pointwise, norm."""
    mixing = filters(start + 1, outputs, 4, 1)
    return filters(start, 4, 1, 3) | mixing | norm(start + 2, outputs, affine)


@pytest.mark.parametrize("affine", [True, False])
def test_keys(affine):
    expected = {
        "ConvBNReLU": filters(0, 6, 4, 3) | norm(1, 6, affine),
        "ReLUConvBN": filters(1, 6, 4, 3) | norm(2, 6, affine),
        "SepConv, once": pair(1, 6, affine),
        "SepConv": pair(1, 4, affine) | pair(5, 6, affine),
        "SepConv, thrice": pair(1, 4, affine) | pair(5, 4, affine) | pair(9, 6, affine),
        "DilConv": pair(1, 6, affine),
    }
    for name, build in BLOCKS.items():
        block = build(4, 6, 3, affine=affine)
        assert {key: value.shape for key, value in block.state_dict().items()} == expected[name]
        assert affine or all(p.dim() == 4 for p in block.parameters())


def reference(name: str, weights: dict[str, Tensor], x: Tensor, stride: int, dilation: int):
    """The block written out, from its state_dict."""

    def conv(x: Tensor, key: str, stride: int, groups: int) -> Tensor:
        weight = weights[f"op.{key}.weight"]
        padded = F.pad(x, [dilation * (weight.shape[2] // 2)] * 4)
        return F.conv2d(padded, weight, None, stride, 0, dilation, groups)

    def norm(x: Tensor, key: str) -> Tensor:
        kinds = ("running_mean", "running_var", "weight", "bias")
        mean, variance, scale, shift = (
            weights[f"op.{key}.{kind}"][:, None, None] for kind in kinds
        )
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    if name == "ConvBNReLU":
        return norm(conv(x, "0", stride, 2), "1").clamp(min=0)
    if name == "ReLUConvBN":
        return norm(conv(x.clamp(min=0), "1", stride, 2), "2")
    for turn in range(REPEATS[name]):
        first = 1 + 4 * turn
        x = conv(x.clamp(min=0), str(first), stride if turn == 0 else 1, groups=4)
        x = norm(F.conv2d(x, weights[f"op.{first + 1}.weight"]), str(first + 2))
    return x


@all_blocks
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 2, 1), (3, 2, 3)])
def test_reference(name, kernel, stride, dilation, randomized):
    options = {} if name in REPEATS else {"groups": 2}
    block = randomized(BLOCKS[name](4, 6, kernel, stride=stride, dilation=dilation, **options))
    x = features(2, 4, 11, 8)
    expected = reference(name, block.state_dict(), x, stride, dilation)
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


def test_defaults(randomized):
    """Stride 1 and dilation 1, but DilConv's is 2."""
    x = features(1, 4, 9, 9)
    for name, build in BLOCKS.items():
        if name in REPEATS:
            block = randomized(build(4, 6, 3))
            dilation = 2 if name == "DilConv" else 1
            expected = reference(name, block.state_dict(), x, 1, dilation)
            torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


@all_blocks
def test_where_the_relu_stands(name, randomized):
    block = randomized(BLOCKS[name](4, 6, 3))
    negative, zeros = -features(2, 4, 9, 9).abs(), torch.zeros(2, 4, 9, 9, dtype=torch.float64)
    first = name != "ConvBNReLU"
    assert torch.equal(block(negative), block(zeros)) == first
    assert (block(features(2, 4, 9, 9)).min() < 0) == first


@all_blocks
def test_gradients_reach_every_parameter(name, randomized, unreached):
    block = randomized(BLOCKS[name](4, 6, 3))
    x = features(2, 4, 9, 9).requires_grad_()
    block(x).square().sum().backward()
    assert unreached(block) == []
    assert x.grad.isfinite().all()


@all_blocks
def test_input_is_left_alone(name):
    block = BLOCKS[name](4, 6, 3).double()
    x = features(2, 4, 9, 9)
    for mode in (True, False):
        block.train(mode)(x)
        assert torch.equal(x, features(2, 4, 9, 9))


@all_blocks
def test_layout_and_dtype(name, randomized):
    block = randomized(BLOCKS[name](4, 6, 3))
    x = features(2, 4, 9, 9)
    expected = block(x)
    last = torch.channels_last
    torch.testing.assert_close(block(x.contiguous(memory_format=last)), expected)
    torch.testing.assert_close(block.to(memory_format=last)(x), expected)
    half = block.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), expected, rtol=0.05, atol=0.1)


@pytest.mark.parametrize("build", [ConvBNReLU, ReLUConvBN, SepConv, DilConv])
def test_compile(build):
    block, x = build(4, 6, 3).eval(), features(2, 4, 9, 9).float()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), block(x))


@all_blocks
@pytest.mark.parametrize("kernel", [2, 4])
def test_even_kernels_are_refused(name, kernel):
    with pytest.raises(ValueError, match=f"^kernel_size must be odd, got {kernel}"):
        BLOCKS[name](4, 6, kernel)


@pytest.mark.parametrize("repeats", [0, -1])
def test_repeats_below_one_are_refused(repeats):
    with pytest.raises(ValueError, match=f"^SepConv: repeats must be >= 1, got {repeats}$"):
        SepConv(4, 6, 3, repeats=repeats)
