"""Winograd's filtering: equal to the convolution that it replaces."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from siamcorr.layers import WinogradConv2d, use_winograd
from siamcorr.layers.winograd import FILTER, INPUT, OUTPUT


def test_matrices_filter_one_side():
    """A side of six inputs and three weights: four sums of products, exactly."""
    filtered, inputs, outputs = (
        torch.tensor(m, dtype=torch.float64) for m in (FILTER, INPUT, OUTPUT)
    )
    x, w = torch.randn(6, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    expected = x.unfold(0, 3, 1) @ w
    torch.testing.assert_close(outputs @ ((filtered @ w) * (inputs @ x)), expected)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 2),
    height=st.integers(9, 20),
    width=st.integers(9, 20),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=st.integers(1, 4),
    bias=st.booleans(),
)
def test_equal_to_the_convolution(batch, height, width, padding, dilation, bias):
    conv = nn.Conv2d(3, 5, 3, padding=padding, dilation=dilation, bias=bias).double()
    x = torch.randn(batch, 3, height, width, dtype=torch.float64)
    out = WinogradConv2d.of(conv)(x)
    torch.testing.assert_close(out, conv(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@torch.no_grad()
def test_wide_layers_in_float32(memory_format):
    torch.manual_seed(0)
    conv = nn.Conv2d(256, 256, 3, padding=2, dilation=2)
    x = torch.randn(1, 256, 31, 31).contiguous(memory_format=memory_format)
    exact = nn.functional.conv2d(
        x.double(), conv.weight.double(), conv.bias.double(), padding=2, dilation=2
    )
    error = (WinogradConv2d.of(conv)(x) - exact).norm() / exact.norm()
    assert error < 1e-5


def test_constants_serve_training_after_inference():
    """What is cached in inference mode may be needed with gradients later."""
    conv = nn.Conv2d(2, 2, 3, dtype=torch.float64)
    module = WinogradConv2d.of(conv)
    with torch.inference_mode():
        module(torch.randn(1, 2, 8, 8, dtype=torch.float64))
    x = torch.randn(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, x)


def test_compile():
    module = WinogradConv2d.of(nn.Conv2d(4, 4, 3, padding=1))
    x = torch.randn(1, 4, 9, 9)
    torch.testing.assert_close(
        torch.compile(module, fullgraph=True, backend="aot_eager")(x), module(x)
    )


def test_use_winograd_replaces_wide_convolutions():
    network = nn.Sequential(
        nn.Conv2d(8, 8, 3),
        nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, dilation=1), nn.ReLU()),
        nn.Conv2d(8, 8, 3, stride=2),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 3, dilation=(1, 2)),
        nn.Conv2d(8, 8, 3, padding="same"),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(8, 4, 3),
    ).eval()
    x = torch.randn(1, 8, 40, 40)
    expected = network(x)
    names = [
        name for name, m in use_winograd(network, 8).named_modules() if type(m) is WinogradConv2d
    ]
    assert names == ["0", "1.0"]
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)


def test_refuses_other_convolutions():
    with pytest.raises(ValueError, match=r"takes a plain 3x3 convolution, got Conv2d\(4, 4, "):
        WinogradConv2d.of(nn.Conv2d(4, 4, 5))


@torch.no_grad()
def test_autocast_does_not_reach_inside():
    """As exact as the convolution under autocast is, and of the same dtype."""
    torch.manual_seed(0)
    conv, x = nn.Conv2d(64, 64, 3, padding=1), torch.randn(1, 64, 16, 16)
    exact = nn.functional.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)
    with torch.autocast("cpu", torch.bfloat16):
        found, plain = WinogradConv2d.of(conv)(x), conv(x)
        double = WinogradConv2d.of(copy.deepcopy(conv).double())(x.double())
    assert found.dtype == plain.dtype == torch.bfloat16
    assert (found - exact).norm() <= (plain - exact).norm()
    assert double.dtype == torch.float64  # which autocast leaves alone
    torch.testing.assert_close(double, exact)


def test_features_smaller_than_the_filter():
    module = WinogradConv2d.of(nn.Conv2d(2, 2, 3, padding=1, dilation=2))
    assert module(torch.rand(1, 2, 3, 3)).shape == (1, 2, 1, 1)
    with pytest.raises(ValueError, match="inside the padded features, got 5 cells in 4x5"):
        module(torch.rand(1, 2, 2, 3))
