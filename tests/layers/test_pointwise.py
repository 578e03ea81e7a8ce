"""1x1 convolutions as matrix products: equal to the convolution that they replace."""

import pytest
import torch
from torch import nn

from siamcorr.layers import PointwiseConv2d, use_pointwise


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 6, 9, 7), (3, 6, 1, 1), (2, 6, 1, 5), (0, 6, 4, 4)])
def test_equal_to_the_convolution(shape, bias, memory_format):
    conv = nn.Conv2d(6, 5, 1, bias=bias)
    features = torch.randn(shape).contiguous(memory_format=memory_format)
    expected = conv(features)
    out = PointwiseConv2d.of(conv)(features)
    torch.testing.assert_close(out, expected)
    assert out.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_groups(batch, groups, bias, memory_format):
    conv = nn.Conv2d(6, 12, 1, groups=groups, bias=bias)
    features = torch.randn(batch, 6, 4, 5).contiguous(memory_format=memory_format)
    out = PointwiseConv2d.of(conv)(features)
    torch.testing.assert_close(out, conv(features))
    assert out.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("layout", ["sliced", "expanded", "one channel"])
def test_any_strides(layout):
    conv = nn.Conv2d(1 if layout == "one channel" else 6, 5, 1)
    features = {
        "sliced": torch.randn(2, 12, 9, 9)[:, ::2, 1::2, 2:],
        "expanded": torch.randn(1, 6, 1, 9).expand(2, 6, 5, 9),
        "one channel": torch.randn(2, 1, 4, 4),
    }[layout]
    torch.testing.assert_close(PointwiseConv2d.of(conv)(features), conv(features))


@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_of_the_input(groups):
    conv = nn.Conv2d(4, 6, 1, groups=groups, dtype=torch.float64)
    features = torch.randn(2, 4, 4, 4, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(PointwiseConv2d.of(conv), features)
    last = features.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    torch.autograd.gradcheck(PointwiseConv2d.of(conv), last)


@pytest.mark.parametrize("groups", [1, 2])
def test_autocast(groups):
    conv = nn.Conv2d(4, 6, 1, groups=groups)
    features = torch.randn(2, 4, 4, 4).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        out, expected = PointwiseConv2d.of(conv)(features), conv(features)
    assert out.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(out, expected)


def test_wrong_channels_are_refused_as_by_the_convolution():
    with pytest.raises(RuntimeError, match="expected input"):
        PointwiseConv2d.of(nn.Conv2d(3, 4, 1))(torch.rand(1, 5, 4, 4))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 1, stride=2),
        nn.Conv2d(4, 4, 1, padding=1),
        nn.Conv2d(4, 4, 1, groups=4),
    ],
)
def test_others_are_refused_and_left(conv):
    with pytest.raises(ValueError, match="plain 1x1"):
        PointwiseConv2d.of(conv)
    assert use_pointwise(nn.Sequential(conv))[0] is conv


def test_use_pointwise():
    chain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 2, 1)))
    features = torch.rand(1, 3, 5, 5)
    expected = chain(features)
    use_pointwise(chain)
    assert not any(isinstance(module, nn.Conv2d) for module in chain.modules())
    torch.testing.assert_close(chain(features), expected)


def test_other_dimensions_as_by_the_convolution():
    conv = nn.Conv2d(6, 5, 1)
    features = torch.randn(6, 4, 4)
    torch.testing.assert_close(PointwiseConv2d.of(conv)(features), conv(features))
