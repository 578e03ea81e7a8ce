"""Depthwise convolutions on the C++ kernels: equal to nn.Conv2d, and where they step back."""

import copy

import pytest
import torch
from torch import nn

from siamcorr.layers import (
    DepthwiseConv2d,
    NativeDepthwiseConv2d,
    NativePointwiseConv2d,
    SepConv,
    fuse,
    use_native,
)
from siamcorr.layers.native_depthwise import MAX_IMAGES
from siamcorr.ops import kernels

needs_kernels = pytest.mark.skipif(kernels.VARIANT is None, reason="there are no C++ kernels here")


def convolution(channels=24, size=3, **options):
    conv = nn.Conv2d(channels, channels, size, groups=channels, **options)
    return conv.requires_grad_(False)


@pytest.fixture
def used(monkeypatch):
    """How many jobs the kernels did."""
    jobs = []
    run = kernels.run

    def count(*args, **options):
        jobs.append(args)
        return run(*args, **options)

    monkeypatch.setattr(kernels, "run", count)
    return jobs


@needs_kernels
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": 1, "bias": False},
        {"size": 5, "padding": 2, "stride": 2},
        {"size": (3, 5), "padding": (1, 2), "stride": (1, 2)},
        {"size": 5, "padding": "same", "dilation": (1, 2)},
        {"size": 3, "padding": "valid", "channels": 1},
        {"size": 7, "padding": 9, "channels": 35},
    ],
    ids=str,
)
@pytest.mark.parametrize("activation", [None, nn.ReLU(), nn.ReLU6(), nn.Hardswish()], ids=repr)
def test_equal_to_conv2d(options, activation, layout, used):
    conv = convolution(**options)
    layer = NativeDepthwiseConv2d.of(conv, activation)
    features = 3 * torch.randn(2, conv.in_channels, 13, 17)
    expected = conv(features) if activation is None else activation(conv(features))
    out = layer(features.contiguous(memory_format=layout))
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    assert len(used) == 1
    assert out.is_contiguous(memory_format=layout)


@needs_kernels
@pytest.mark.parametrize("bias", [torch.arange(48.0)[::2], torch.ones(1).expand(24)])
def test_bias_with_other_strides(bias, used):
    conv = convolution(padding=1)
    conv.bias = nn.Parameter(bias, requires_grad=False)
    features = torch.randn(1, 24, 9, 9)
    torch.testing.assert_close(NativeDepthwiseConv2d.of(conv)(features), conv(features))
    assert len(used) == 1


@needs_kernels
def test_bias_of_another_dtype():
    """As with nn.Conv2d, an error."""
    conv = convolution().to(torch.bfloat16)
    conv.bias = nn.Parameter(conv.bias.float(), requires_grad=False)
    with pytest.raises(RuntimeError, match="bias"):
        NativeDepthwiseConv2d.of(conv)(torch.randn(1, 24, 9, 9, dtype=torch.bfloat16))


@needs_kernels
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "options",
    [
        {"stride": 10**6, "dilation": 2},
        {"stride": 2**59, "dilation": 2},
        {"stride": (1, 2**40)},
        {"size": 1, "dilation": 2**62},
        {"size": (3, 1), "dilation": (1, 2**40), "stride": (2, 1)},
    ],
    ids=str,
)
def test_steps_that_are_never_taken(options, layout):
    """They may be as large as they want; nothing is allocated by their size."""
    conv = convolution(**options)
    features = torch.randn(1, 24, 5, 5).contiguous(memory_format=layout)
    expected = without_idle_steps(conv, features)
    torch.testing.assert_close(NativeDepthwiseConv2d.of(conv)(features), expected)


def without_idle_steps(conv, features):
    """The convolution without steps that do not matter, for which nn.Conv2d may be slow or fail."""
    size, room = conv.kernel_size, features.shape[2:]
    dilation = [d if k > 1 else 1 for d, k in zip(conv.dilation, size, strict=True)]
    stride = [min(s, n) for s, n in zip(conv.stride, room, strict=True)]
    return nn.functional.conv2d(
        features, conv.weight, conv.bias, stride, 0, dilation, features.shape[1]
    )


@needs_kernels
@pytest.mark.parametrize("size", [2, 3, 16])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_of_keras(size, stride, used):
    conv = DepthwiseConv2d(6, size, stride=stride).requires_grad_(False)
    features = torch.randn(1, 6, 12, 11)
    torch.testing.assert_close(NativeDepthwiseConv2d.of(conv)(features), conv(features))
    assert used


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_dtypes(dtype, used):
    conv = convolution(padding=1).to(dtype)
    features = torch.randn(1, 24, 9, 9).to(dtype)
    torch.testing.assert_close(NativeDepthwiseConv2d.of(conv)(features), conv(features))
    assert used


def test_steps_back(used):
    """Large batches, gradients, autocast, graphs: F.conv2d, and the same numbers."""
    conv = convolution(padding=1)
    layer = NativeDepthwiseConv2d.of(conv, nn.ReLU())
    large = torch.randn(MAX_IMAGES + 1, 24, 8, 8)
    torch.testing.assert_close(layer(large), conv(large).relu())
    features = torch.randn(1, 24, 8, 8, requires_grad=True)
    (grad,) = torch.autograd.grad(layer(features).sum(), features)
    (expected,) = torch.autograd.grad(conv(features).relu().sum(), features)
    torch.testing.assert_close(grad, expected)
    features = features.detach()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(features).dtype == torch.bfloat16
    program = torch.export.export(layer, (features,))
    torch.testing.assert_close(program.module()(features + 1), conv(features + 1).relu())
    assert not used


@needs_kernels
def test_a_weight_that_moves_is_read_where_it_lies(used):
    """Another memory order, or a copy, is no stale address."""
    conv = convolution(padding=1)
    layer = NativeDepthwiseConv2d.of(conv)
    features = torch.randn(1, 24, 8, 8)
    expected = conv(features)
    for other in (layer, copy.deepcopy(layer), layer.to(memory_format=torch.channels_last)):
        torch.testing.assert_close(other(features), expected)
    assert len(used) == 3


def test_what_is_wrong_is_said_by_conv2d():
    layer = NativeDepthwiseConv2d.of(convolution())
    for wrong in (torch.rand(1, 23, 8, 8), torch.rand(1, 24, 2, 2), torch.rand(1, 24, 8, 8).int()):
        with pytest.raises(RuntimeError):
            layer(wrong)


def test_other_convolutions_are_refused():
    for conv in (nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(4, 4, 3, padding_mode="circular")):
        with pytest.raises(ValueError, match=r"^NativeDepthwiseConv2d: takes a depthwise"):
            NativeDepthwiseConv2d.of(conv)
    with pytest.raises(ValueError, match=r"^the kernels have no activation Tanh"):
        NativeDepthwiseConv2d.of(convolution(), nn.Tanh())


@needs_kernels
def test_use_native_takes_activations_along(used):
    chain = nn.Sequential(
        convolution(padding=1), nn.Identity(), nn.Hardswish(), nn.Conv2d(24, 8, 1)
    )
    chain = chain.requires_grad_(False)
    features = torch.randn(1, 24, 8, 8)
    expected = chain(features)
    fast = use_native(copy.deepcopy(chain))
    torch.testing.assert_close(fast(features), expected)
    assert [type(layer) for layer in fast[:3]] == [NativeDepthwiseConv2d, nn.Identity, nn.Identity]
    assert type(fast[3]) is NativePointwiseConv2d
    block = fuse(SepConv(24, 24, 3).eval()).requires_grad_(False)
    expected = block(features)
    torch.testing.assert_close(use_native(block)(features), expected)
    assert len(used) == 1 + sum(type(layer) is NativeDepthwiseConv2d for layer in block.modules())


def test_without_kernels_nothing_is_replaced(monkeypatch):
    monkeypatch.setattr(kernels, "module", None)
    chain = nn.Sequential(convolution(), nn.ReLU())
    assert type(use_native(chain)[0]) is nn.Conv2d
