"""The search space: every block by name, at both strides, and the blocks without a convolution."""

import math

import pytest
import torch
from torch import Tensor, nn

from siamcorr.layers import (
    BLOCKS,
    DilConv,
    FactorizedReduce,
    Field,
    Identity,
    ReLUConvBN,
    SepConv,
    Zero,
    make_block,
    receptive_fields,
)

all_names = pytest.mark.parametrize("name", BLOCKS)
REACH = {  # name: (its side at stride 1, at stride 2)
    "avg_pool_3x3": (3, 3),
    "max_pool_3x3": (3, 3),
    "conv_3x3": (3, 3),
    "sep_conv_3x3": (5, 7),
    "sep_conv_5x5": (9, 13),
    "sep_conv_7x7": (13, 19),
    "dil_conv_3x3": (5, 5),
    "dil_conv_5x5": (9, 9),
    "conv_7x1_1x7": (7, 7),
}


def features(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_names():
    """Those of DARTS are among them."""
    assert set(BLOCKS) == {"none", "skip_connect", *REACH}


@all_names
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (9, 9), (9, 8), (1, 1)])
def test_shapes(name, stride, size):
    x = torch.rand(2, 6, *size)
    expected = (2, 6, *(math.ceil(side / stride) for side in size))
    assert make_block(name, 6, stride).eval()(x).shape == expected
    assert torch.equal(x, x.clamp(0, 1))


@pytest.mark.parametrize("name", REACH)
def test_reach(name):
    """Kernel and dilation are those of the name."""
    for stride, side in zip((1, 2), REACH[name], strict=True):
        block = make_block(name, 4, stride).eval()
        field = receptive_fields(block, torch.rand(1, 4, 24, 24))[""]
        assert field == Field(side, side, stride, stride)


def test_classes():
    for prefix, kind in {"sep": SepConv, "dil": DilConv, "conv_3": ReLUConvBN}.items():
        for name in filter(lambda name: name.startswith(prefix), BLOCKS):
            assert type(make_block(name, 4)) is kind
    assert type(make_block("skip_connect", 4)) is Identity
    assert type(make_block("skip_connect", 4, stride=2)) is FactorizedReduce
    assert repr(make_block("none", 4, stride=2)) == "Zero(stride=2)"


@all_names
@pytest.mark.parametrize("stride", [1, 2])
def test_affine(name, stride):
    with_norms, without = (make_block(name, 4, stride, affine) for affine in (True, False))
    assert all(p.dim() == 4 for p in without.parameters())
    has_norm = any(isinstance(part, nn.BatchNorm2d) for part in without.modules())
    assert has_norm == any(p.dim() == 1 for p in with_norms.parameters())
    assert has_norm == ("conv_" in name or (name, stride) == ("skip_connect", 2))


@pytest.mark.parametrize("stride", [1, 2])
def test_spatial_7_reference(stride, randomized):
    """A row of 7, then a column of 7."""
    block = randomized(make_block("conv_7x1_1x7", 4, stride))
    row, column, norm = block[1].weight, block[2].weight, block[3]
    assert (row.shape, column.shape) == ((4, 4, 1, 7), (4, 4, 7, 1))
    x = features(2, 4, 9, 12)
    full = torch.einsum("omik,mcjl->ocil", column, row)  # (4, 4, 7, 7)
    expected = norm(nn.functional.conv2d(x.relu(), full, None, stride, 3))
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"^no block is called 'sep_conv_9x9', only ") as caught:
        make_block("sep_conv_9x9", 4)
    assert str(caught.value).split("only ")[1].split(", ") == list(BLOCKS)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("stride", [1, 2])
def test_zero_of_anything(value, stride):
    out = Zero(stride)(torch.full((1, 2, 5, 4), value))
    assert torch.equal(out, torch.zeros(1, 2, math.ceil(5 / stride), 4 // stride))


def test_zero_in_a_sum():
    """It adds nothing, neither to the sum nor to the gradient."""
    x = features(1, 2, 5, 5).requires_grad_()
    out = x**2 + Zero()(x)
    out.sum().backward()
    assert torch.equal(out, x**2)
    assert torch.equal(x.grad, 2 * x)


def test_identity():
    x = features(1, 2, 5, 5)
    assert Identity()(x) is x
    assert make_block("skip_connect", 2)(x) is x


def test_avg_pool_does_not_count_its_padding():
    for stride in (1, 2):
        out = make_block("avg_pool_3x3", 2, stride)(torch.ones(1, 2, 5, 6))
        torch.testing.assert_close(out, torch.ones_like(out))


def test_max_pool_padding_never_wins():
    out = make_block("max_pool_3x3", 2)(torch.full((1, 2, 5, 5), -3.0))
    assert torch.equal(out, torch.full((1, 2, 5, 5), -3.0))


def darts_reduce(block: FactorizedReduce, x: Tensor) -> Tensor:
    """The published formula, for even sizes."""
    x = x.clamp(min=0)
    return block.bn(torch.cat([block.conv_1(x), block.conv_2(x[:, :, 1:, 1:])], dim=1))


@pytest.mark.parametrize("outputs", [6, 7, 2, 3])
@pytest.mark.parametrize("size", [(8, 8), (6, 10), (9, 9), (9, 8), (8, 9), (1, 1)])
def test_factorized_reduce_reference(outputs, size, randomized):
    """Odd sizes: as if a row, a column of zeros completed the input."""
    block = randomized(FactorizedReduce(4, outputs))
    x = features(2, 4, *size)
    even = nn.functional.pad(x, (0, size[1] % 2, 0, size[0] % 2))
    assert block(x).shape == (2, outputs, *(math.ceil(side / 2) for side in size))
    torch.testing.assert_close(block(x), darts_reduce(block, even), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("outputs", "first", "second"), [(6, 3, 3), (7, 3, 4)])
def test_factorized_reduce_keys(outputs, first, second):
    shapes = {
        "conv_1.weight": (first, 4, 1, 1),
        "conv_2.weight": (second, 4, 1, 1),
        "bn.weight": (outputs,),
        "bn.bias": (outputs,),
        "bn.running_mean": (outputs,),
        "bn.running_var": (outputs,),
        "bn.num_batches_tracked": (),
    }
    state = FactorizedReduce(4, outputs).state_dict()
    assert {key: value.shape for key, value in state.items()} == shapes
    plain = FactorizedReduce(4, outputs, affine=False).state_dict()
    assert set(plain) == set(shapes) - {"bn.weight", "bn.bias"}


def test_factorized_reduce_gradients(randomized, unreached):
    block = randomized(FactorizedReduce(4, 5))
    x = features(2, 4, 7, 7)
    before = x.clone()
    block(x).square().sum().backward()
    assert unreached(block) == []
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", ["none", "skip_connect", "avg_pool_3x3", "conv_7x1_1x7"])
def test_compile(name):
    block, x = make_block(name, 4, stride=2).eval(), features(2, 4, 9, 9).float()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), block(x))
