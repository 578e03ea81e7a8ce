"""Fusing: the same numbers from fewer layers, and no fold where it would change them."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from siamcorr import build_model
from siamcorr.layers import (
    BLOCKS,
    ConvBNReLU,
    DepthwiseConv2d,
    SeparableConv2d,
    SepConv,
    fuse,
    make_block,
)

chain = nn.Sequential


def conv(*args, **options) -> nn.Conv2d:
    return nn.Conv2d(*(args or (4, 4, 3)), **options)


def bn(channels: int = 4, **options) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, **options)


class Residual(nn.Module):
    """As in ResNet: what follows what is in forward, and shows in the names alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4, 3, padding=1, bias=False), bn()
        self.conv2, self.bn2 = conv(4, 4, 3, padding=1), bn()

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()


class PreActivation(nn.Module):
    """The same names, the other order."""

    def __init__(self) -> None:
        super().__init__()
        self.bn1, self.conv1 = bn(), conv()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1(self.bn1(x).relu())


class Wide(nn.Module):
    """A norm over more than the convolution gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4, 1), bn(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn1(torch.cat([x, self.conv1(x)], 1))


class Rectified(nn.Conv2d):
    """A convolution by class, but not by what it does."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


def tied() -> nn.Module:
    net = chain(conv(), bn(), conv(), bn())
    net[2].weight = net[0].weight
    return net


NETS = {
    "bias": lambda: chain(conv(4, 8, 3), bn(8), nn.ReLU(), conv(8, 2, 1), bn(2)),
    "groups": lambda: chain(conv(4, 8, 3, groups=2), bn(8)),
    "ours, depthwise": lambda: chain(DepthwiseConv2d(4, 3, stride=2, depth_multiplier=2), bn(8)),
    "not affine": lambda: chain(conv(), bn(affine=False)),
    "eps": lambda: chain(conv(), bn(eps=0.5)),
    "nested": lambda: chain(chain(conv(), nn.Identity(), bn()), nn.ReLU(), conv(), bn()),
    "one norm in two places": lambda: chain(conv(), last := bn(), conv(), last),
    "one block in two places": lambda: chain(inner := chain(conv(), bn()), nn.ReLU(), inner),
    "one weight in two places": tied,
    "separable": lambda: chain(SeparableConv2d(4, 8, (2, 3), stride=2), bn(8), nn.ReLU()),
    "separable, no bias": lambda: chain(SeparableConv2d(4, 8, 3, bias=False), bn(8)),
    "residual": Residual,
    "ConvBNReLU": lambda: ConvBNReLU(4, 8, 3, stride=2, groups=2),
    "SepConv to 1": lambda: SepConv(4, 1, 3, repeats=3),
    **{name: partial(make_block, name, 4) for name in BLOCKS},
}
KEPT = {  # how many norms must stay, for what stands before them is not a convolution of their own
    "norm first": (1, lambda: chain(bn(), conv())),
    "pre-activation": (1, PreActivation),
    "wide": (1, Wide),
    "relu between": (1, lambda: chain(conv(), nn.ReLU(), bn())),
    "the same relu between": (1, lambda: chain(conv(), relu := nn.ReLU(), conv(), relu, bn())),
    "one convolution in two places": (2, lambda: chain(one := conv(), bn(), one, bn())),
    "one separable in two places": (2, lambda: chain(s := SeparableConv2d(4, 4, 3), bn(), s, bn())),
    "a class of its own": (1, lambda: chain(Rectified(4, 4, 3), bn())),
    "a computed weight": (1, lambda: chain(weight_norm(conv()), bn())),
    "two norms": (1, lambda: chain(conv(), bn(), bn())),
    "transposed": (1, lambda: chain(nn.ConvTranspose2d(4, 4, 3), bn())),
    "no statistics": (1, lambda: chain(conv(), bn(track_running_stats=False))),
    "factorized": (1, lambda: make_block("skip_connect", 4, stride=2)),
}


def features(channels: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, 12, 11, generator=generator, dtype=torch.float64)


def count(module: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(part, kind) for part in module.modules())


def mixed() -> nn.Module:
    """All that fuse does: pairs by name, a merge, a neighbour."""
    merged = conv(4, 4, 3, groups=4, bias=False), conv(4, 1, 1)
    return chain(Residual(), *merged, conv(1, 4, 3), bn())


def assert_equal(fused: nn.Module, module: nn.Module, x: Tensor) -> None:
    torch.testing.assert_close(fused(x), module(x), rtol=1e-12, atol=1e-12)
    fused, module, x = fused.float(), module.float(), x.float()
    torch.testing.assert_close(fused(x), module(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_equal_without_norms(name, randomized):
    module = randomized(NETS[name]())
    fused = fuse(module)
    assert count(fused, nn.BatchNorm2d) == 0
    assert type(fused) is type(module)
    assert_equal(fused, module, features())


@pytest.mark.parametrize("name", KEPT)
def test_norms_that_stay(name, randomized):
    norms, build = KEPT[name]
    module = randomized(build())
    fused = fuse(module)
    assert count(fused, nn.BatchNorm2d) == norms
    assert_equal(fused, module, features())


def test_norm_in_training_stays(randomized):
    module = randomized(chain(conv(), bn()))
    module[1].train()
    torch.testing.assert_close(fuse(module)(features()), module(features()))


@pytest.mark.parametrize(
    ("merges", "depthwise", "pointwise"),
    [
        # 9*O against 9*M + M*O multiplications for each input channel.
        (True, conv(4, 4, 3, groups=4), conv(4, 1, 1)),
        (False, conv(4, 4, 3, groups=4), conv(4, 2, 1)),
        (True, conv(4, 12, 3, groups=4), conv(12, 4, 1)),
        (False, conv(4, 12, 3, groups=4), conv(12, 5, 1)),
        (True, conv(4, 4, 1, groups=4), conv(4, 9, 1)),
        (True, conv(4, 4, (1, 2), groups=4), conv(4, 1, 1)),
        (False, conv(4, 4, (1, 2), groups=4), conv(4, 2, 1)),  # 4 against 4
        (False, conv(64, 64, 3, groups=64), conv(64, 96, 1)),
        # Options of the depthwise step are kept.
        (True, conv(4, 4, (5, 3), stride=(2, 1), padding=(2, 0), groups=4), conv(4, 1, 1)),
        (True, conv(4, 4, 3, dilation=2, padding="same", groups=4), conv(4, 1, 1)),
        (True, conv(4, 4, 3, padding=1, padding_mode="reflect", groups=4), conv(4, 1, 1)),
        (True, conv(4, 4, 3, groups=4, bias=False), conv(4, 1, 1)),
        (True, conv(4, 4, 3, groups=4), conv(4, 1, 1, bias=False)),
        (True, conv(4, 4, 3, groups=4, bias=False), conv(4, 1, 1, bias=False)),
        # Not a depthwise one, or not a plain 1x1.
        (False, conv(4, 4, 3, groups=2), conv(4, 1, 1)),
        (False, conv(1, 1, 3), conv(1, 1, 1)),
        (False, conv(4, 4, 3, groups=4), conv(4, 1, 1, padding=1)),
        (False, conv(4, 4, 3, groups=4), conv(4, 1, 1, stride=2)),
        (False, conv(4, 4, 1, groups=4), conv(4, 4, 1, groups=2)),
        (False, conv(4, 4, 3, groups=4), conv(4, 1, (1, 2))),
        (False, Rectified(4, 4, 3, groups=4), conv(4, 1, 1)),
        (False, conv(4, 4, 3, groups=4), Rectified(4, 1, 1)),
    ],
)
def test_merged_where_it_saves(merges, depthwise, pointwise, randomized):
    module = randomized(chain(depthwise, pointwise))
    fused = fuse(module)
    assert count(fused, nn.Conv2d) == 2 - merges
    assert isinstance(fused[1], nn.Identity) == merges
    assert_equal(fused, module, features(depthwise.in_channels))


def test_merged_with_norms_but_not_through_a_relu(randomized):
    """Two norms fold, so two convolutions become neighbours; places in the chain stay."""
    module = randomized(chain(conv(4, 4, 3, groups=4), bn(), conv(4, 1, 1), bn(1)))
    fused = fuse(module)
    assert list(fused.state_dict()) == ["0.weight", "0.bias"]
    assert len(fused) == 4
    assert_equal(fused, module, features())
    relu = nn.ReLU()
    module = randomized(chain(relu, conv(4, 4, 3, groups=4), relu, conv(4, 1, 1)))
    assert count(fuse(module), nn.Conv2d) == 2
    assert_equal(fuse(module), module, features())


def test_original_is_left_alone(randomized):
    module = randomized(mixed())
    text, state = repr(module), {key: value.clone() for key, value in module.state_dict().items()}
    fused = fuse(module)
    assert not any(part.training for part in (fused, *fused) if type(part) is not nn.Identity)
    assert repr(module) == text
    assert list(module.state_dict()) == list(state)
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    own = {value.data_ptr() for value in module.state_dict().values()}
    assert own.isdisjoint(value.data_ptr() for value in fused.state_dict().values())


def test_training_mode_is_refused():
    with pytest.raises(ValueError, match=r"^fuse: .*training mode; call eval\(\) first$"):
        fuse(chain(conv(), bn()))


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_nanotrack(dtype, tolerance, randomized):
    network = randomized(build_model("nanotrack-v2")).to(dtype)
    fused = fuse(network)
    assert count(network, nn.BatchNorm2d) == 40
    assert count(fused, nn.BatchNorm2d) == 0
    template, search = torch.rand(1, 3, 127, 127, dtype=dtype), torch.rand(1, 3, 255, 255).to(dtype)
    ours, theirs = fused.template(template), network.template(template)
    pairs = [*zip(ours, theirs, strict=True)]
    pairs += zip(fused.search(search, ours), network.search(search, theirs), strict=True)
    for one, other in pairs:
        assert other.std() > 0
        assert (one - other).norm() <= tolerance * other.norm()


def test_fused_again_and_compiled(randomized):
    fused = fuse(randomized(mixed()))
    assert repr(fuse(fused)) == repr(fused)
    compiled = torch.compile(fused, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(features()), fused(features()))
