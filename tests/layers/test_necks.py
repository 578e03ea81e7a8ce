"""Necks: widths, the crop that is asked for and never guessed, and the fusion of levels."""

import pytest
import torch
from torch import nn

from siamcorr.layers import (
    AdjustAllLayer,
    AdjustLayer,
    DilConv,
    LevelFusion,
    SeparableNeck,
    SepConv,
    center_crop,
    fuse_levels,
)

NECKS = {
    "AdjustAllLayer": lambda: AdjustAllLayer([3, 5], [4, 6]),
    "SepConv": lambda: SeparableNeck([3, 5], [4, 6]),
    "DilConv": lambda: SeparableNeck([3, 5], [4, 6], kernel_size=5, block=DilConv),
}
all_necks = pytest.mark.parametrize("name", NECKS)


def levels(size: int = 12, batch: int = 2, dtype: torch.dtype = torch.float32):
    generator = torch.Generator().manual_seed(1)
    shapes = (batch, 3, size, size), (batch, 5, size, size)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


@pytest.mark.parametrize(
    ("height", "width", "size", "top", "left"),
    [(15, 15, 7, 4, 4), (8, 8, 4, 2, 2), (16, 9, 4, 6, 2), (7, 7, 7, 0, 0), (8, 8, 7, 0, 0)],
)
def test_center_crop(height, width, size, top, left):
    features = torch.arange(2.0 * 3 * height * width).reshape(2, 3, height, width)
    expected = features[:, :, top : top + size, left : left + size]
    assert torch.equal(center_crop(features, size), expected)
    assert expected.shape == (2, 3, size, size)


@pytest.mark.parametrize(("height", "width", "size"), [(6, 9, 7), (9, 6, 7), (9, 9, 0), (9, 9, -1)])
def test_center_crop_errors(height, width, size):
    text = rf"^center_crop: no {size} x {size} cells in features \(1, 3, {height}, {width}\)$"
    with pytest.raises(ValueError, match=text):
        center_crop(torch.rand(1, 3, height, width), size)


@pytest.mark.parametrize("size", [12, 15, 31])
def test_adjust_layer(randomized, size):
    """Each cell by itself; without crop any map stays whole, also one below 20 cells."""
    layer = randomized(AdjustLayer(3, 4))
    features = torch.randn(2, 3, size, size, dtype=torch.float64)
    conv, norm = layer.downsample
    mixed = torch.einsum("oc,bchw->bohw", conv.weight[:, :, 0, 0], features)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - norm.running_mean * scale
    expected = mixed * scale[:, None, None] + shift[:, None, None]
    torch.testing.assert_close(layer(features), expected)
    start = (size - 7) // 2
    cut = expected[:, :, start : start + 7, start : start + 7]
    torch.testing.assert_close(layer(features, crop=7), cut)


@all_necks
def test_shapes(name):
    neck = NECKS[name]().eval()
    for size in (12, 15, 31):
        whole = neck(levels(size))
        assert isinstance(whole, tuple)
        assert [tuple(level.shape) for level in whole] == [(2, 4, size, size), (2, 6, size, size)]
        for level, cut in zip(whole, neck(levels(size), crop=7), strict=True):
            assert torch.equal(cut, center_crop(level, 7))


@all_necks
def test_a_level_for_each(name):
    with pytest.raises(ValueError, match="zip"):
        NECKS[name]()(levels()[:1])


@pytest.mark.parametrize("neck", [AdjustAllLayer, SeparableNeck])
@pytest.mark.parametrize(("into", "out"), [([3, 5], [4]), ([3], [4, 4]), ([], [])])
def test_level_count_errors(neck, into, out):
    with pytest.raises(ValueError, match=f"^{neck.__name__}: .* the same levels, got ") as caught:
        neck(into, out)
    assert str(caught.value).endswith(f"got {into} and {out}")


def test_keys():
    def weights(module: nn.Module) -> list[str]:
        return [key for key, value in module.state_dict().items() if value.dim() == 4]

    assert weights(AdjustAllLayer([3], [4])) == ["downsample.downsample.0.weight"]
    assert weights(AdjustAllLayer([3] * 4, [4] * 4)) == [
        f"downsample{level}.downsample.0.weight" for level in (2, 3, 4, 5)
    ]
    blocks = SeparableNeck([3, 5], [4, 6], kernel_size=5, block=DilConv)
    expected = [f"levels.{level}.op.{step}.weight" for level in (0, 1) for step in (1, 2)]
    assert weights(blocks) == expected
    assert weights(SeparableNeck([3], [4])) == [f"levels.0.op.{n}.weight" for n in (1, 2, 5, 6)]


@pytest.mark.parametrize("block", [SepConv, DilConv])
def test_separable_neck_is_a_block_for_each_level(randomized, block):
    neck = randomized(SeparableNeck([3, 5], [4, 6], kernel_size=5, block=block))
    features = levels(15, dtype=torch.float64)
    for index, (into, out) in enumerate([(3, 4), (5, 6)]):
        alone = block(into, out, 5).double().eval()
        alone.load_state_dict(neck.levels[index].state_dict())
        assert torch.equal(neck(features)[index], alone(features[index]))


@all_necks
@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_every_parameter(randomized, unreached, name, training):
    neck = randomized(NECKS[name]()).train(training)
    maps = neck(levels(dtype=torch.float64), crop=7)
    sum(level.square().sum() for level in maps).backward()
    assert unreached(neck) == []


@all_necks
def test_compile(name):
    neck = NECKS[name]().eval()
    compiled = torch.compile(neck, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(levels(), crop=7), neck(levels(), crop=7))


def test_fuse_levels():
    maps = [torch.tensor([1.0, 2.0]), torch.tensor([5.0, -2.0])]
    assert fuse_levels(maps).tolist() == [3, 0]
    weight = torch.tensor([1.0, 3.0]).log().requires_grad_()  # softmax: 1/4 and 3/4
    fused = fuse_levels(tuple(maps), weight)
    torch.testing.assert_close(fused, torch.tensor([4.0, -1.0]))
    fused[0].backward()
    torch.testing.assert_close(weight.grad, torch.tensor([0.25 * (1 - 4), 0.75 * (5 - 4)]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 3.0]).log()])
def test_fuse_levels_dtype(dtype, weight):
    """A float32 weight does not widen the maps."""
    fused = fuse_levels([torch.ones(2, 3, 4, 4, dtype=dtype)] * 2, weight)
    assert fused.dtype == dtype
    torch.testing.assert_close(fused.float(), torch.ones(2, 3, 4, 4), rtol=0.01, atol=0)


def test_fuse_levels_gradients_reach_maps():
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    fuse_levels([a, b], torch.tensor([1.0, 3.0]).log()).sum().backward()
    torch.testing.assert_close(a.grad, torch.full((2,), 0.25))
    torch.testing.assert_close(b.grad, torch.full((2,), 0.75))


def test_level_fusion():
    maps = levels()[:1] * 2 + [torch.zeros(2, 3, 12, 12)]
    learned, mean = LevelFusion(3), LevelFusion(3, weighted=False)
    assert {key: value.tolist() for key, value in learned.state_dict().items()} == {
        "weight": [1, 1, 1]
    }
    assert list(mean.state_dict()) == []
    torch.testing.assert_close(mean(maps), maps[0] * 2 / 3)
    torch.testing.assert_close(learned(maps), mean(maps))  # as it begins
    with torch.no_grad():
        learned.weight.copy_(torch.tensor([1.0, 1.0, 2.0]).log())
    torch.testing.assert_close(learned(maps), maps[0] / 2)
