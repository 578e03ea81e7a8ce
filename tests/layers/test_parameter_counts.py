"""Parameters: computed and counted, with equal results."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from siamcorr.layers import SeparableConv2d, conv_parameters, count_parameters


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 288),  # the quoted 388 is a slip
        ({"groups": 2}, 144),  # and so is 194
        ({"groups": 4}, 72),
        ({"bias": True}, 296),
        ({"groups": 2, "bias": True}, 152),
        ({"kernel_size": (1, 16)}, 512),
        ({"kernel_size": 1}, 32),
    ],
)
def test_known_values(options, expected):
    options = {"kernel_size": 3} | options
    assert conv_parameters(4, 8, **options) == expected
    module = nn.Conv2d(4, 8, **({"bias": False} | options))
    assert count_parameters(module) == expected


def test_depthwise_separable():
    depthwise, pointwise = conv_parameters(4, 4, 3, groups=4), conv_parameters(4, 8, 1)
    assert (depthwise, pointwise) == (36, 32)
    assert count_parameters(SeparableConv2d(4, 8, 3, bias=False)) == 68
    assert count_parameters(SeparableConv2d(4, 8, 3)) == 76


kernels = st.integers(1, 5)


@settings(max_examples=100, deadline=None)
@given(
    groups=st.integers(1, 4),
    parts=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=kernels | st.tuples(kernels, kernels),
    bias=st.booleans(),
)
def test_what_torch_has(groups, parts, kernel, bias):
    channels = [groups * part for part in parts]
    module = nn.Conv2d(*channels, kernel, groups=groups, bias=bias)
    real = sum(p.numel() for p in module.parameters())
    assert conv_parameters(*channels, kernel, groups=groups, bias=bias) == real
    assert count_parameters(module) == real


def test_shared_parameters_count_once():
    layer = nn.Linear(3, 3)
    assert count_parameters(nn.Sequential(layer, nn.ReLU(), layer)) == 12
    tied = nn.Sequential(layer, nn.Linear(3, 3))
    tied[1].weight = layer.weight
    assert count_parameters(tied) == 9 + 3 + 3


def test_trainable():
    """Frozen ones and buffers are no trainable parameters; buffers are none at all."""
    net = nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8))
    assert count_parameters(net) == count_parameters(net, trainable=True) == 288 + 8 + 16
    net[0].weight.requires_grad_(False)
    assert count_parameters(net, trainable=True) == 24
    assert count_parameters(net) == 312
    net.register_parameter("scale", nn.Parameter(torch.ones(2, 2)))
    assert count_parameters(net, trainable=True) == 28
    assert count_parameters(nn.ReLU()) == 0


@pytest.mark.parametrize(
    ("channels", "groups"), [((4, 8), 3), ((4, 6), 4), ((6, 4), 4), ((4, 8), 0)]
)
def test_errors(channels, groups):
    text = f"^conv_parameters: groups={groups} must divide both channels, got {channels[0]} and"
    with pytest.raises(ValueError, match=text):
        conv_parameters(*channels, 3, groups=groups)
