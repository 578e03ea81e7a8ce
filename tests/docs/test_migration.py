"""The migration page: each old line and its new one give equal tensors.

The lines are read from the page. The old functions are written here anew, after what they do.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr import Tracker, build_model, ops
from siamcorr.adaptors.opencv import OpenCVTracker
from siamcorr.layers import (
    ChannelAttention,
    DepthwiseConv2d,
    DepthwiseCorrelation,
    PixelwiseCorrelation,
    SeparableConv2d,
)

TEXT = (Path(__file__).parents[2] / "docs" / "migrate.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")
B, C, HIDDEN, OUT = 2, 8, 6, 4


def sections():
    """By heading, the text under it."""
    parts = re.split(r"^## (.+)$", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section, kind):
    """(old, new) of the tables headed "old KIND, new KIND": the first code of either cell."""
    head = rf"^\| old {kind} \| new {kind} \|$\n\| --- \| --- \|\n"
    found = []
    for table in re.findall(head + r"((?:\|.*\n)+)", section, re.MULTILINE):
        for line in table.splitlines():
            old, new = line.strip("|").split(" | ")
            found.append((CODE.findall(old)[0], CODE.findall(new)[0]))
    return found


def lines():
    """(section, old, new) of all lines that can be compared."""
    return [(name, *row) for name, text in sections().items() for row in rows(text, "line")]


# What the projects have.


def xcorr_slow(x, z):
    """One convolution for each pair."""
    pairs = zip(x.split(1), z.split(1), strict=True)
    return torch.cat([F.conv2d(search, kernel) for search, kernel in pairs])


def xcorr_fast(x, z):
    """The batch as groups; O kernels of C channels for each search."""
    groups, channels = len(z), x.shape[1]
    kernels = z.view(-1, channels, *z.shape[2:])
    response = F.conv2d(x.view(1, -1, *x.shape[2:]), kernels, groups=groups)
    return response.view(groups, -1, *response.shape[2:])


def grouped_planes(x, z, padding=0):
    """Every plane a group."""
    planes = z.shape[0] * z.shape[1]
    search = x.reshape(1, planes, *x.shape[2:])
    response = F.conv2d(search, z.reshape(planes, 1, *z.shape[2:]), padding=padding, groups=planes)
    return response.view(*z.shape[:2], *response.shape[2:])


def fast_xcorr(z, x):
    """SiamFC's: searches folded onto the templates, one group for each template."""
    count, channels = z.shape[:2]
    response = F.conv2d(x.view(-1, count * channels, *x.shape[2:]), z, groups=count)
    return response.view(len(x), -1, *response.shape[2:])


def pixel_corr_mat(z, x):
    """Every template cell with every search cell, as a matrix product."""
    batch, channels, height, width = x.shape
    cells = z.view(batch, channels, -1).transpose(1, 2)
    return (cells @ x.view(batch, channels, -1)).view(batch, -1, height, width)


class DepthwiseXCorr(nn.Module):
    """pysot's and SiamBAN's: template first, with their keys."""

    def __init__(self, channels: int, hidden: int, out: int) -> None:
        super().__init__()

        def adapted(inputs: int, kernel: int) -> list[nn.Module]:
            conv = nn.Conv2d(inputs, hidden, kernel, bias=False)
            return [conv, nn.BatchNorm2d(hidden), nn.ReLU()]

        self.conv_kernel = nn.Sequential(*adapted(channels, 3))
        self.conv_search = nn.Sequential(*adapted(channels, 3))
        self.head = nn.Sequential(*adapted(hidden, 1), nn.Conv2d(hidden, out, 1))

    def forward(self, kernel: Tensor, search: Tensor) -> Tensor:
        return self.head(grouped_planes(self.conv_search(search), self.conv_kernel(kernel)))


class PixelwiseXCorr(nn.Module):
    """NanoTrack's second version: template first, with its keys."""

    def __init__(self, channels: int, cells: int) -> None:
        super().__init__()
        self.conv_kernel = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))
        self.conv_search = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))
        self.CA_layer = ChannelAttention(cells)

    def forward(self, kernel: Tensor, search: Tensor) -> Tensor:
        return self.CA_layer(pixel_corr_mat(self.conv_kernel(kernel), self.conv_search(search)))


def twins(ours: nn.Module, theirs: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Both with their weights, in eval mode, after norms that are not the identity."""
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    ours.load_state_dict(theirs.state_dict())
    return ours.eval(), theirs.eval()


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    z = torch.rand(B, C, 5, 5)
    return {
        "x": torch.rand(B, C, 12, 11),
        "x2": torch.rand(2 * B, C, 12, 11),
        "z": z,
        "z1": z[:1],
        "z4": z[:, :, :4, :4],
        "kernels": torch.rand(B, 3 * C, 5, 5),
    }


@pytest.mark.parametrize(
    ("section", "old", "new"), [line for line in lines() if line[0] != "Keras"]
)
def test_old_line_and_new_line_agree(section, old, new, tensors):
    corr, depthwise_xcorr = twins(
        DepthwiseCorrelation(C, HIDDEN, OUT), DepthwiseXCorr(C, HIDDEN, OUT)
    )
    pixelwise, pixelwise_xcorr = twins(PixelwiseCorrelation(C, 25), PixelwiseXCorr(C, 25))
    theirs = {
        "F": F,
        "xcorr_slow": xcorr_slow,
        "xcorr_fast": xcorr_fast,
        "xcorr_depthwise": grouped_planes,
        "xcorr_depthwise_padded": lambda x, z: grouped_planes(x, z, padding=1),
        "fast_xcorr": fast_xcorr,
        "pixel_corr_mat": pixel_corr_mat,
        "depthwise_xcorr": depthwise_xcorr,
        "pixelwise_xcorr": pixelwise_xcorr,
    }
    names = ("xcorr_naive", "xcorr_batched", "xcorr_depthwise", "xcorr_pixelwise")
    ours = {name: getattr(ops, name) for name in names} | {"corr": corr, "pixelwise": pixelwise}
    with torch.no_grad():
        expected, got = eval(old, theirs | tensors), eval(new, ours | tensors)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_all_lines_are_read():
    counts = {name: len([line for line in lines() if line[0] == name]) for name in sections()}
    assert counts == {
        "pysot": 5,
        "SiamBAN": 3,
        "siamfc-pytorch": 4,
        "NanoTrack": 3,
        "Keras": 6,
        "torch.jit.trace": 0,
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize(("_", "old", "new"), [line for line in lines() if line[0] == "Keras"])
def test_keras(_, old, new, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    monkeypatch.setenv("KERAS_TORCH_DEVICE", "cpu")
    keras = pytest.importorskip("keras")
    layer, module = eval(old, vars(keras.layers).copy()), eval(new)
    features = torch.rand(2, 32, 9, 8)
    layer.build((2, 9, 8, 32))
    module.load_keras_weights(*layer.get_weights())
    with torch.no_grad():
        expected = layer(features.permute(0, 2, 3, 1).numpy()).permute(0, 3, 1, 2)
        got = module(features)
        torch.testing.assert_close(got, expected.cpu(), rtol=1e-5, atol=1e-5)
        taken = type(module).from_keras(layer)
        torch.testing.assert_close(taken(features), got)
    assert isinstance(module, SeparableConv2d | DepthwiseConv2d)


@pytest.mark.parametrize(
    ("section", "preset"),
    [
        ("pysot", "siamrpnpp-alexnet"),
        ("siamfc-pytorch", "siamfc-alexnet"),
        ("NanoTrack", "nanotrack-v2"),
    ],
)
def test_new_calls_run(section, preset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model.pth", "siamfc.pth", "nanotrackv2.pth"):
        torch.save(build_model(preset).state_dict(), name)
    frame = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    names = {
        "Tracker": Tracker,
        "OpenCVTracker": OpenCVTracker,
        "build_model": build_model,
        "frame": frame,
        "img": frame,
        "box": (41, 31, 50, 40),
    }
    calls = rows(sections()[section], "call")
    assert len(calls) >= 3
    for _, new in calls:
        exec(new, names)
    if section == "pysot":
        assert len(names["result"].box_xywh) == 4
    else:
        assert len(names["box"]) == 4
