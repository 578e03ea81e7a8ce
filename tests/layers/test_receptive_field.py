"""Receptive fields: by hand, and against the reach of a cell's gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from siamcorr import prepare, xcorr_batched, xcorr_depthwise, xcorr_naive
from siamcorr.layers import (
    Field,
    SepConv,
    SpatialSeparableConv2d,
    receptive_fields,
    use_winograd,
)


def conv(kernel, stride=1, dilation=1) -> nn.Conv2d:
    return nn.Conv2d(2, 2, kernel, stride, dilation=dilation)


def measure(*layers: nn.Module, size: int = 64) -> Field:
    return receptive_fields(nn.Sequential(*layers), torch.rand(1, 2, size, size))[""]


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ([conv(1)], (1, 1, 1, 1)),
        ([conv(3), conv(3), conv(3)], (7, 7, 1, 1)),
        ([conv(3, 2), conv(3), conv(3, 2)], (11, 11, 4, 4)),
        ([conv(3, 3), conv(2, 2), nn.ReLU(), conv(2)], (12, 12, 6, 6)),
        ([conv((1, 5), (1, 2)), conv((3, 1))], (3, 5, 1, 2)),
        ([conv(3, dilation=2), conv(3, dilation=4)], (13, 13, 1, 1)),
        ([conv(3, 2), conv(3, dilation=(1, 3))], (7, 15, 2, 2)),
        ([nn.Conv2d(2, 2, 5, padding="same")], (5, 5, 1, 1)),
        ([nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")], (3, 3, 1, 1)),
        ([nn.MaxPool2d(3)], (3, 3, 3, 3)),
        ([nn.MaxPool2d(3, 2), nn.MaxPool2d((2, 1), (1, 2))], (5, 3, 2, 4)),
        ([nn.MaxPool2d(2, 1, dilation=3), conv(2)], (5, 5, 1, 1)),
        ([nn.AvgPool2d(2), nn.AvgPool2d(2)], (4, 4, 4, 4)),
        ([nn.AvgPool2d((3, 2), 1), nn.AvgPool2d(2, (2, 1))], (4, 3, 2, 1)),
        ([conv(3, 2), nn.BatchNorm2d(2), nn.ReLU(inplace=True), conv(3)], (7, 7, 2, 2)),
        ([SepConv(2, 2, 3, stride=2)], (7, 7, 2, 2)),
        ([SpatialSeparableConv2d(2, 2, 5), conv(3)], (7, 7, 1, 1)),
    ],
)
def test_by_hand(layers, field):
    assert measure(*layers) == Field(*field)


def test_alexnet_of_siamfc():
    net = nn.Sequential(
        nn.Sequential(conv(11, 2), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        nn.Sequential(conv(5), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        nn.Sequential(conv(3), nn.ReLU(), conv(3), nn.ReLU(), conv(3)),
    ).eval()
    fields = receptive_fields(net, torch.rand(1, 2, 127, 127))
    sides = {"0.0": 11, "0": 15, "1.0": 31, "1.3": 39, "2.0": 55, "2.2": 71, "2.4": 87, "": 87}
    strides = {"0.0": 2, "0": 4, "1.0": 4, "1.3": 8, "2.0": 8, "2.2": 8, "2.4": 8, "": 8}
    for name, side in sides.items():
        assert fields[name] == Field(side, side, strides[name], strides[name])
    assert list(fields)[:3] == ["0.0", "0.1", "0.2"]
    assert list(fields)[-3:] == ["2.4", "2", ""]


class Calls(nn.Module):
    """Two convolutions, of fields 3 and 5, and what a function makes of their outputs."""

    def __init__(self, join) -> None:
        super().__init__()
        self.small, self.large, self.tail, self.join = conv(3), conv(5), conv(3), join

    def forward(self, image: Tensor) -> Tensor:
        return self.tail(self.join(self.small(image)[:, :, 1:-1, 1:-1], self.large(image)))


def shuffle(x: Tensor) -> Tensor:
    return x.unflatten(1, (1, 2)).transpose(1, 2).flatten(1, 2)


@pytest.mark.parametrize(
    ("join", "side"),
    [
        (lambda small, large: small + large, 7),
        (lambda small, large: small, 5),
        (lambda small, large: large * small.sigmoid(), 7),
        (lambda small, large: torch.cat([small, large], 1)[:, 1:3], 7),
        (lambda small, large: torch.cat(tensors=(large[:, :1], small[:, :1]), dim=1), 7),
        (lambda small, large: large.chunk(2, 1)[0].repeat(1, 2, 1, 1), 7),
        (lambda small, large: torch.stack(large.unbind(1), 1), 7),
        (lambda small, large: shuffle(large), 7),
        (lambda small, large: torch.max_pool2d(small, kernel_size=2, stride=1), 6),
        (lambda small, large: nn.functional.max_pool2d(small, 3, return_indices=True)[0], 11),
        (lambda small, large: nn.functional.avg_pool2d(small, kernel_size=2), 8),
        (lambda small, large: nn.functional.conv2d(input=small, weight=torch.ones(2, 2, 2, 2)), 6),
    ],
)
def test_branches_see_the_most_of_both(join, side):
    field = receptive_fields(Calls(join), torch.rand(1, 2, 24, 24))[""]
    assert (field.height, field.width) == (side, side)


@pytest.mark.parametrize(
    "join",
    [
        lambda small, large: small * small.mean((2, 3), keepdim=True),
        lambda small, large: nn.functional.adaptive_avg_pool2d(small, 4),
        lambda small, large: nn.functional.adaptive_max_pool2d(small, 4),
    ],
)
def test_means_and_adaptive_pools_are_not_counted(join):
    assert receptive_fields(Calls(join), torch.rand(1, 2, 24, 24))[""] == Field(5, 5, 1, 1)


class Twice(nn.Module):
    """Runs one convolution two times, has one that never runs, and gives no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.idle, self.norm = conv(3), conv(3), nn.BatchNorm2d(2)

    def forward(self, image: Tensor, scale: Tensor) -> list[Tensor]:
        self.differentiated = torch.is_grad_enabled()
        return [self.conv(self.norm(self.conv(image))) * scale]


def test_last_run_counts_and_only_tensors():
    net = Twice().eval()
    fields = receptive_fields(net, torch.rand(1, 2, 9, 9), torch.rand(1, 2, 1, 1))
    assert fields == {"norm": Field(3, 3), "conv": Field(5, 5)}
    assert list(fields) == ["norm", "conv"]


def test_nothing_is_left_behind():
    net = Twice()
    with pytest.raises(RuntimeError):
        receptive_fields(net, torch.rand(1, 3, 9, 9), torch.rand(1))
    receptive_fields(net, torch.rand(1, 2, 9, 9), torch.rand(1))
    assert all(not child._forward_hooks for child in net.modules())
    assert net.training
    assert not net.differentiated
    assert torch.is_grad_enabled()


sides = st.tuples(st.integers(1, 4), st.integers(1, 4))
strides = st.tuples(st.integers(1, 3), st.integers(1, 3))
pads = st.integers(0, 1)
dilations = st.tuples(st.integers(1, 2), st.integers(1, 2))
layers = st.one_of(
    st.builds(lambda k, s, p, d: nn.Conv2d(1, 1, k, s, p, d), sides, strides, pads, dilations),
    st.builds(lambda k, s, d: nn.MaxPool2d(k, s, 0, d), sides, st.none() | strides, dilations),
    st.builds(lambda k, s: nn.AvgPool2d(k, s), sides, st.none() | strides),
)


def seen(net: nn.Module, image: Tensor, row: int, column: int) -> list[tuple[int, int]]:
    """First and last row, first and last column that the gradient of one cell reaches."""
    reached = torch.zeros_like(image, dtype=torch.bool)
    for flipped in (image, image.flip(2, 3)):
        leaf = flipped.clone().requires_grad_()
        net(leaf)[0, 0, row, column].backward()
        reached |= leaf.grad > 0
    return [(int(axis.min()), int(axis.max())) for axis in reached[0, 0].nonzero().T]


@settings(max_examples=40, deadline=None)
@given(stack=st.lists(layers, min_size=1, max_size=3))
def test_gradient_reaches_the_field(stack):
    """Weights are positive, and the image rises to one corner, then to the other.

    So a max pool looks at its last cell, then at its first.
    """
    net = nn.Sequential(*stack).double()
    for p in net.parameters():
        nn.init.constant_(p, 0.5)
    ramp = torch.arange(1.0, 221, dtype=torch.float64)
    image = (ramp[:, None] + ramp)[None, None]
    field = receptive_fields(net, image)[""]
    height, width = net(image).shape[2:]
    (top, bottom), (left, right) = seen(net, image, height // 2, width // 2)
    assert (bottom - top + 1, right - left + 1) == (field.height, field.width)
    (below, _), (beside, _) = seen(net, image, height // 2 + 1, width // 2 + 1)
    assert (below - top, beside - left) == (field.stride_y, field.stride_x)


@pytest.mark.parametrize("method", ["auto", "conv", "gemm", "fft"])
@pytest.mark.parametrize("op", [xcorr_naive, xcorr_batched, xcorr_depthwise])
@pytest.mark.parametrize("prepared", [False, True])
def test_a_correlation_sees_what_its_template_covers(op, method, prepared):
    """By every method."""
    template, options = torch.rand(1, 2, 5, 3), {"dilation": 2, "method": method}
    ready = prepare(template, (62, 62), op=op.__name__.removeprefix("xcorr_"), **options)

    class Net(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            features = conv(3)(image)
            return op(features, ready) if prepared else op(features, template, **options)

    assert receptive_fields(Net(), torch.rand(1, 2, 64, 64))[""] == Field(11, 7, 1, 1)


def test_winograd_sees_what_the_convolution_does():
    net = nn.Sequential(nn.Conv2d(2, 2, 3, 2), nn.Conv2d(2, 2, 3, padding=2, dilation=2))
    expected = receptive_fields(net, torch.rand(1, 2, 32, 32))
    assert receptive_fields(use_winograd(net, 1), torch.rand(1, 2, 32, 32)) == expected
    assert expected[""] == Field(11, 11, 2, 2)
