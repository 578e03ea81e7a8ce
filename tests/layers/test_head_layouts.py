"""Keys and shapes of heads and necks: those of the published checkpoints, one for one."""

from pathlib import Path

import pytest
import torch
from torch import nn

from siamcorr.layers import (
    AdjustAllLayer,
    AsymmetricHead,
    DepthwiseAnchorHead,
    MatrixHead,
    MultiLevelAnchorHead,
    MultiLevelBoxHead,
    PixelwiseDepthwiseHead,
    PixelwiseHead,
    SharedPixelwiseHead,
    UpChannelHead,
)

Layout = dict[str, list[int]]


def layout(build, **options) -> Layout:
    """Keys and shapes as built; on the meta device nothing is allocated."""
    with torch.device("meta"):
        module: nn.Module = build(**options)
    return {key: list(value.shape) for key, value in module.state_dict().items()}


def parameters(build, **options) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build(**options).parameters())


def section(path: Path, name: str, nth: int = 0) -> tuple[Layout, int, int]:
    """The nth listing under a name: keys less their prefix, parameters and tensors it announces."""
    found = [part for part in path.read_text().split("## ") if part.split()[:1] == [name]]
    heading, *lines = found[nth].strip().splitlines()
    keys = {}
    for line in lines:
        key, shape = line.strip().split(" ", 1)
        keys[key.split(".", 1)[1]] = [int(size) for size in shape.strip("[]").split(",") if size]
    _, _, count, _, tensors = heading.split()
    return keys, int(count), int(tensors)


PYSOT = [  # section, which of that name, ours, its options
    ("DepthwiseRPN", 0, DepthwiseAnchorHead, {}),
    ("neck", 0, AdjustAllLayer, {"in_channels": [512, 1024, 2048], "out_channels": [256] * 3}),
    ("neck", 1, AdjustAllLayer, {"in_channels": [44, 134, 448], "out_channels": [256] * 3}),
    ("MultiRPN", 0, MultiLevelAnchorHead, {}),
]
NANOTRACK = [
    ("v1", SharedPixelwiseHead, 97_446),
    ("v2", PixelwiseHead, 143_558),
    ("v3", PixelwiseDepthwiseHead, 259_078),
]


@pytest.mark.video
@pytest.mark.parametrize(("name", "nth", "build", "options"), PYSOT)
def test_pysot(shared, name, nth, build, options):
    keys, count, tensors = section(shared / "reference/state_dict_pysot.txt", name, nth)
    assert layout(build, **options) == keys
    assert len(keys) == tensors
    assert parameters(build, **options) == count


@pytest.mark.video
def test_pysot_unweighted(shared):
    """Announced without a listing: the weighted one less the two weights."""
    empty, count, tensors = section(shared / "reference/state_dict_pysot.txt", "MultiRPN", 1)
    keys, _, _ = section(shared / "reference/state_dict_pysot.txt", "MultiRPN", 0)
    assert (empty, count, tensors) == ({}, 7_503_450, 120)
    assert (keys.pop("cls_weight"), keys.pop("loc_weight")) == ([3], [3])
    assert layout(MultiLevelAnchorHead, weighted=False) == keys
    assert len(keys) == tensors
    assert parameters(MultiLevelAnchorHead, weighted=False) == count


@pytest.mark.video
@pytest.mark.parametrize(("name", "build", "count"), NANOTRACK)
def test_nanotrack(shared, name, build, count):
    keys, announced, tensors = section(shared / "reference/state_dict_nanotrack.txt", name)
    assert layout(build) == keys
    assert len(keys) == tensors
    assert announced == count


@pytest.mark.parametrize(("name", "build", "count"), NANOTRACK)
def test_nanotrack_parameters(name, build, count):
    assert parameters(build) == count


LIGHT = ["Conv2d", "Conv2d", "BatchNorm2d", "ReLU6"]
TWOFOLD = ["Conv2d", "BatchNorm2d", "ReLU6", "Conv2d", "BatchNorm2d"]
TOWERS = [  # head, its towers, the layers of a block, blocks
    (PixelwiseHead, "cls_pw_tower", LIGHT, 6),
    (PixelwiseHead, "bbox_pw_tower", LIGHT, 6),
    (SharedPixelwiseHead, "cls_tower", LIGHT, 3),
    (SharedPixelwiseHead, "bbox_tower", LIGHT, 4),
    (PixelwiseDepthwiseHead, "cls_tower", TWOFOLD, 6),
    (MatrixHead, "cls_tower", ["Conv2d", "BatchNorm2d", "ReLU"], 4),
]


@pytest.mark.parametrize(("build", "tower", "block", "blocks"), TOWERS)
def test_towers(build, tower, block, blocks):
    """Activations have no keys."""
    with torch.device("meta"):
        layers = getattr(build(), tower)
    assert [type(layer).__name__ for layer in layers] == block * blocks


def conv(key: str, *shape: int, bias: bool = True) -> Layout:
    return {f"{key}.weight": [*shape], **({f"{key}.bias": [shape[0]]} if bias else {})}


def norm(key: str, channels: int) -> Layout:
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{key}.{name}": [channels] for name in names} | {f"{key}.num_batches_tracked": []}


def adapt(key: str, out: int, into: int) -> Layout:
    """A side's 3x3 convolution and norm."""
    return conv(f"{key}.0", out, into, 3, 3, bias=False) | norm(f"{key}.1", out)


def test_up_channel():
    """The pysot layout; 256 channels, 5 anchors."""
    assert layout(UpChannelHead) == {
        **conv("template_cls_conv", 2560, 256, 3, 3),
        **conv("template_loc_conv", 5120, 256, 3, 3),
        **conv("search_cls_conv", 256, 256, 3, 3),
        **conv("search_loc_conv", 256, 256, 3, 3),
        **conv("loc_adjust", 20, 20, 1, 1),
    }


def test_matrix():
    """Ocean's box_tower, with four convolutions in a tower."""
    expected: Layout = {"adjust": [1], "bias": [1, 4, 1, 1]}
    for branch in ("cls", "reg"):
        expected[f"{branch}_dw.weight"] = [3]
        for name in ("11", "12", "21"):
            for side in ("k", "s"):
                expected |= adapt(f"{branch}_encode.matrix{name}_{side}", 256, 256)
    for tower in ("cls_tower", "bbox_tower"):
        for step in (0, 3, 6, 9):
            expected |= conv(f"{tower}.{step}", 256, 256, 3, 3)
            expected |= norm(f"{tower}.{step + 1}", 256)
    expected |= conv("cls_pred", 1, 256, 3, 3) | conv("bbox_pred", 4, 256, 3, 3)
    assert layout(MatrixHead) == expected
    values = MatrixHead(2, 2, depth=1).state_dict()
    torch.testing.assert_close(values["adjust"], torch.tensor([0.1]))
    assert values["bias"].flatten().tolist() == [1, 1, 1, 1]


def test_asymmetric():
    """A level of SiamBAN-ACM."""
    expected: Layout = {}
    for branch, out in (("cls", 2), ("loc", 4)):
        expected |= adapt(f"{branch}.conv_kernel", 6, 5) | adapt(f"{branch}.conv_search", 6, 5)
        expected |= conv(f"{branch}.xorr_kernel", 6, 6, 5, 5)
        expected |= conv(f"{branch}.xorr_search", 6, 6, 5, 5, bias=False)
        expected |= conv(f"{branch}.xorr_bbox.0", 32, 2) | norm(f"{branch}.xorr_bbox.1", 32)
        expected |= conv(f"{branch}.xorr_bbox.3", 32, 32) | norm(f"{branch}.xorr_bbox.4", 32)
        expected |= conv(f"{branch}.xorr_bbox.6", 6, 32, bias=False)
        expected |= norm(f"{branch}.xorr_activate.0", 6)
        expected |= conv(f"{branch}.xorr_activate.2", 6, 6, 3, 3)
        expected |= norm(f"{branch}.xorr_activate.3", 6)
        expected |= conv(f"{branch}.head.0", 6, 6, 3, 3) | norm(f"{branch}.head.1", 6)
        expected |= conv(f"{branch}.head.3", out, 6, 3, 3)
    assert layout(AsymmetricHead, in_channels=5, hidden=6) == expected
    assert "cls.xorr_bbox.0.weight" in expected


@pytest.mark.parametrize("weighted", [True, False])
def test_multi_level_box(weighted):
    """SiamBAN's: box{2, 3, 4}, each with two logits and four distances, and the scales."""
    expected: Layout = {"loc_scale": [3]}
    if weighted:
        expected |= {"cls_weight": [3], "loc_weight": [3]}
    for level in (2, 3, 4):
        for branch, out in (("cls", 2), ("loc", 4)):
            key = f"box{level}.{branch}"
            expected |= adapt(f"{key}.conv_kernel", 256, 256)
            expected |= adapt(f"{key}.conv_search", 256, 256)
            expected |= conv(f"{key}.head.0", 256, 256, 1, 1, bias=False) | norm(
                f"{key}.head.1", 256
            )
            expected |= conv(f"{key}.head.3", out, 256, 1, 1)
    assert layout(MultiLevelBoxHead, weighted=weighted) == expected
