"""Backbones: shapes, strides and receptive fields, as in the published networks."""

import pytest
import torch
from torch import nn

from siamcorr.layers import receptive_fields
from siamcorr.models.alexnet import AlexNet, AlexNetLegacy
from siamcorr.models.dcfnet import DCFNetFeatures
from siamcorr.models.mobilenetv2 import InvertedResidual, MobileNetV2
from siamcorr.models.mobilenetv3 import WIDE_ROWS, MobileNetV3Small
from siamcorr.models.resnet import Bottleneck, ResNet50


def meta(build, *options) -> nn.Module:
    """A network of shapes only: it costs nothing to build and to run."""
    with torch.device("meta"):
        return build(*options).eval()


def wide():
    return MobileNetV3Small(WIDE_ROWS)


@pytest.mark.parametrize(
    ("build", "size", "shapes"),
    [
        (AlexNet, 127, [(256, 6)]),
        (AlexNet, 255, [(256, 22)]),
        (AlexNetLegacy, 127, [(256, 6)]),
        (AlexNetLegacy, 287, [(256, 26)]),
        (ResNet50, 127, [(512, 15), (1024, 15), (2048, 15)]),
        (ResNet50, 255, [(512, 31), (1024, 31), (2048, 31)]),
        (ResNet50, 831, [(512, 103), (1024, 103), (2048, 103)]),
        (MobileNetV2, 127, [(44, 15), (134, 15), (448, 15)]),
        (MobileNetV2, 255, [(44, 31), (134, 31), (448, 31)]),
        (MobileNetV3Small, 127, [(48, 8)]),
        (MobileNetV3Small, 255, [(48, 16)]),
        (wide, 127, [(96, 8)]),
        (wide, 255, [(96, 16)]),
        (DCFNetFeatures, 125, [(32, 125)]),
    ],
)
def test_shapes(build, size, shapes):
    net = meta(build)
    out = net(torch.empty(2, 3, size, size, device="meta"))
    levels = [out] if isinstance(out, torch.Tensor) else out
    assert [tuple(level.shape) for level in levels] == [(2, c, s, s) for c, s in shapes]
    channels = tuple(c for c, _ in shapes)
    assert net.channels == (channels[0] if isinstance(out, torch.Tensor) else channels)


@pytest.mark.parametrize(
    ("build", "levels"), [(ResNet50, (1, 2, 3, 4)), (MobileNetV2, (1, 2, 3, 4, 5, 6, 7))]
)
def test_channels_of_every_level(build, levels):
    image = torch.empty(1, 3, 127, 127, device="meta")
    whole = meta(build, levels)
    assert tuple(level.shape[1] for level in whole(image)) == whole.channels
    for chosen in (levels[:1], levels[1:3], levels[::-2]):
        net = meta(build, chosen)
        assert tuple(level.shape[1] for level in net(image)) == net.channels
        assert net.channels == tuple(whole.channels[level - 1] for level in chosen)


@pytest.mark.parametrize(
    ("build", "parameters", "tensors"),
    [
        (AlexNet, 2_336_320, 30),
        (AlexNetLegacy, 3_749_952, 35),
        (ResNet50, 45_528_128, 318),
        (MobileNetV2, 3_485_204, 312),
        (MobileNetV3Small, 190_520, 168),
        (wide, 282_368, 190),
    ],
)
def test_parameter_totals(build, parameters, tensors):
    net = meta(build)
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert len(net.state_dict()) == tensors


@pytest.mark.parametrize("build", [AlexNet, AlexNetLegacy])
@torch.no_grad()
def test_a_shift_by_the_stride_shifts_the_features(build):
    """Down by one cell and right by two; only without any padding is this exact."""
    torch.manual_seed(0)
    net = build().double().eval()
    image = torch.randn(1, 3, 135, 143, dtype=torch.float64)
    whole = net(image)
    assert whole.shape[2:] == (7, 8)
    torch.testing.assert_close(net(image[:, :, 8:, 16:]), whole[:, :, 1:, 2:], rtol=0, atol=1e-12)
    assert whole.min() < 0 < whole.max()  # no ReLU at the end


def test_norms():
    """SiamFC's own epsilon and momentum; torch's in pysot's layouts."""
    for build, expected in ((AlexNet, (1e-6, 0.05)), (AlexNetLegacy, (1e-5, 0.1))):
        norms = [m for m in meta(build).modules() if isinstance(m, nn.BatchNorm2d)]
        assert {(norm.eps, norm.momentum) for norm in norms} == {expected}


@pytest.mark.parametrize(
    ("build", "sides"),
    [  # the side of a cell's field, by hand: + (k - 1) * dilation * stride so far
        (AlexNet, {"conv1": (15, 4), "conv2": (39, 8), "conv5": (87, 8)}),
        (AlexNetLegacy, {"features.2": (15, 4), "features.6": (39, 8), "features.15": (87, 8)}),
        (
            ResNet50,
            {
                "maxpool": (11, 4),
                "layer1": (35, 4),
                "layer2.0": (43, 8),
                "layer2": (91, 8),
                "layer3.0": (107, 8),
                "layer3": (267, 8),
                "layer4.0": (299, 8),
                "layer4": (427, 8),
                "layer2.0.downsample": (43, 8),
                "layer3.0.downsample": (107, 8),
                "layer4.0.downsample": (299, 8),
            },
        ),
        (
            MobileNetV2,
            {
                "layer0": (3, 2),
                "layer1": (7, 2),
                "layer2": (19, 4),
                "layer3": (59, 8),
                "layer4.0": (75, 8),
                "layer4": (171, 8),
                "layer5": (267, 8),
                "layer6.0": (299, 8),
                "layer6": (427, 8),
                "layer7": (491, 8),
            },
        ),
        (MobileNetV3Small, {"features.1": (7, 4), "features.2": (15, 8), "features.4": (63, 16)}),
        (DCFNetFeatures, {"": (5, 1)}),
    ],
)
def test_receptive_fields_and_strides(build, sides):
    fields = receptive_fields(meta(build), torch.empty(1, 3, 127, 127, device="meta"))
    found = {name: (fields[name].height, fields[name].stride_y) for name in sides}
    assert found == sides
    assert all(field.height == field.width for field in fields.values())


def geometry(conv: nn.Conv2d) -> tuple[int, int, int, int]:
    """Kernel, stride, padding and dilation."""
    return conv.kernel_size[0], conv.stride[0], conv.padding[0], conv.dilation[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("conv1", (7, 2, 0, 1)),
        ("layer1.0.conv2", (3, 1, 1, 1)),
        ("layer1.0.downsample.0", (1, 1, 0, 1)),
        ("layer2.0.conv2", (3, 2, 0, 1)),
        ("layer2.0.downsample.0", (3, 2, 0, 1)),
        ("layer2.3.conv2", (3, 1, 1, 1)),
        ("layer3.0.conv2", (3, 1, 1, 1)),
        ("layer3.0.downsample.0", (3, 1, 1, 1)),
        ("layer3.1.conv2", (3, 1, 2, 2)),
        ("layer3.5.conv2", (3, 1, 2, 2)),
        ("layer4.0.conv2", (3, 1, 2, 2)),
        ("layer4.0.downsample.0", (3, 1, 2, 2)),
        ("layer4.2.conv2", (3, 1, 4, 4)),
    ],
)
def test_bottlenecks(name, expected):
    assert geometry(meta(ResNet50).get_submodule(name)) == expected


@pytest.mark.parametrize(
    ("name", "expected", "residual"),
    [
        ("layer1.0", (3, 1, 1, 1), False),
        ("layer2.0", (3, 2, 0, 1), False),
        ("layer2.1", (3, 1, 1, 1), True),
        ("layer3.0", (3, 2, 0, 1), False),
        ("layer4.0", (3, 1, 1, 1), False),
        ("layer4.1", (3, 1, 2, 2), True),
        ("layer5.0", (3, 1, 2, 2), False),
        ("layer6.0", (3, 1, 2, 2), False),
        ("layer6.2", (3, 1, 4, 4), True),
        ("layer7.0", (3, 1, 4, 4), False),
    ],
)
def test_inverted_residuals(name, expected, residual):
    block = meta(MobileNetV2).get_submodule(name)
    assert geometry(block.conv[3]) == expected
    assert block.conv[3].groups == block.conv[3].in_channels
    assert block.residual is residual


@torch.no_grad()
@pytest.mark.parametrize(("out", "stride"), [(4, 1), (4, 2), (6, 1)])
def test_shortcut_where_shapes_allow(out, stride):
    """With the last norm at zero, what is left is the shortcut or nothing."""
    block = InvertedResidual(4, out, 6, stride, 1).eval()
    nn.init.zeros_(block.conv[7].weight)
    x = torch.rand(1, 4, 9, 9)
    assert torch.equal(block(x), x if (out, stride) == (4, 1) else torch.zeros_like(block(x)))


@torch.no_grad()
def test_the_shortcut_is_added_before_the_last_activation():
    block = Bottleneck(256, 64).eval()
    nn.init.zeros_(block.bn3.weight)
    x = torch.randn(1, 256, 5, 5)
    assert torch.equal(block(x), x.relu())
