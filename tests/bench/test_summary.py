"""Summaries: parameters, multiply-adds, fields, against sums by hand."""

import pytest
import torch
from torch import nn

from siamcorr import build_model
from siamcorr.bench import SearchSide, TemplateSide, summarize, summary_table
from siamcorr.layers import SeparableConv2d


def test_separable_convolution():
    rows = summarize(SeparableConv2d(4, 8, 3, stride=2), torch.rand(1, 4, 9, 9))
    assert [row.name for row in rows] == ["", "depthwise", "pointwise"]
    assert [row.parameters for row in rows] == [36 + 40, 36, 40]
    depthwise = 4 * 9 * 25
    pointwise = 4 * 8 * 25 + 8 * 25  # torchinfo counts a bias as one addition a cell
    assert [row.multiply_adds for row in rows] == [depthwise + pointwise, depthwise, pointwise]
    assert [row.output for row in rows] == [(1, 8, 5, 5), (1, 4, 5, 5), (1, 8, 5, 5)]
    assert [row.field for row in rows] == [(3, 3, 2, 2)] * 3


def test_depth():
    network = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Conv2d(4, 2, 1))
    kinds = [row.kind for row in summarize(network, torch.rand(1, 3, 8, 8), depth=1)]
    assert kinds == ["Sequential", "Sequential", "Conv2d"]
    total, inner, last = summarize(network, torch.rand(1, 3, 8, 8), depth=1)
    assert total.parameters == inner.parameters + last.parameters == 112 + 10
    assert total.multiply_adds == inner.multiply_adds + last.multiply_adds


@torch.no_grad()
def test_both_sides_of_a_network():
    network = build_model("nanotrack-v2")
    once = summarize(TemplateSide(network), torch.rand(1, 3, 127, 127), depth=0)[0]
    template = network.template(torch.rand(1, 3, 127, 127))
    rows = summarize(SearchSide(network, template), torch.rand(1, 3, 255, 255), depth=2)
    backbone = next(row for row in rows if row.name == "network.backbone")
    assert backbone.parameters == 190_520
    assert backbone.field is not None
    assert backbone.field.stride_x == 16
    head = next(row for row in rows if row.name == "network.ban_head")
    assert head.parameters == 143_558
    assert 0 < once.multiply_adds < backbone.multiply_adds / 3


def test_table_is_aligned():
    rows = summarize(nn.Sequential(nn.Conv2d(3, 4, (3, 5))), torch.rand(1, 3, 8, 8))
    head, *lines = summary_table(rows).splitlines()
    names = "layer kind output parameters multiply-adds field stride"
    assert " ".join(head.split()) == names
    assert " ".join(lines[1].split()) == "0 Conv2d 1 x 4 x 6 x 4 184 4,416 3 x 5 1"
    assert len({line.index("1 x 4 x 6 x 4") for line in lines}) == 1


def test_modules_are_left_as_they_were():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    summarize(network, torch.rand(1, 3, 8, 8))
    assert not network.training
    assert not any(module._forward_hooks for module in network.modules())
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("stride", [1, 2])
def test_training_mode_is_left_too(stride):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride)).train()
    summarize(network, torch.rand(1, 3, 8, 8))
    assert network.training
