"""Correlations with parameters: each equal to its definition, written out layer by layer."""

from collections.abc import Callable

import pytest
import reference
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamcorr.layers import (
    AsymmetricCorrelation,
    ChannelAttention,
    DepthwiseCorrelation,
    MatrixCorrelation,
    MatrixEncoding,
    PixelwiseCorrelation,
)
from siamcorr.layers.matrix_correlation import DILATIONS


class Matrix(nn.Module):
    """Encoding and correlation under the two steps that the others have."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = MatrixEncoding(2, 3)
        self.correlate = MatrixCorrelation()

    def kernel(self, template: Tensor) -> tuple[Tensor, ...]:
        return self.encode.kernel(template)

    def forward(self, search: Tensor, kernel: tuple[Tensor, ...]) -> Tensor:
        return self.correlate(self.encode(search), kernel)


def norm(features: Tensor, layer: nn.Module) -> Tensor:
    """Batch norm from its statistics, channel by channel."""
    shape = (-1,) + (1,) * (features.dim() - 2)
    columns = (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    mean, var, weight, bias = (value.reshape(shape) for value in columns)
    return (features - mean) / (var + layer.eps).sqrt() * weight + bias


def conv(features: Tensor, layer: nn.Conv2d, padding: int = 0, dilation=1) -> Tensor:
    return F.conv2d(features, layer.weight, layer.bias, padding=padding, dilation=dilation)


def gate(features: Tensor, layer: ChannelAttention) -> Tensor:
    """Of each sample, by matrices."""
    gated = []
    for sample in features:
        mean = sample.flatten(1).sum(1) / sample[0].numel()
        hidden = (layer.fc1.weight[:, :, 0, 0] @ mean + layer.fc1.bias).clamp(min=0)
        share = 1 / (1 + (-(layer.fc2.weight[:, :, 0, 0] @ hidden + layer.fc2.bias)).exp())
        gated.append(sample * share[:, None, None])
    return torch.stack(gated)


def adapted(layer: nn.Module, x: Tensor, z: Tensor) -> list[Tensor]:
    """Both sides through their own convolution and norm."""
    pairs = (x, layer.conv_search), (z, layer.conv_kernel)
    return [norm(conv(features, side[0]), side[1]) for features, side in pairs]


def pixelwise(layer: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    return gate(reference.pixelwise(*adapted(layer, x, z)), layer.CA_layer)


def depthwise(layer: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    x, z = (side.relu() for side in adapted(layer, x, z))
    hidden = norm(conv(reference.depthwise(x, z), layer.head[0]), layer.head[1]).relu()
    return conv(hidden, layer.head[3])


def matrix(layer: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    share = layer.correlate.weight.exp() / layer.correlate.weight.exp().sum()
    total = torch.zeros(())
    for index, (name, dilation) in enumerate([("11", (1, 1)), ("12", (2, 1)), ("21", (1, 2))]):
        sides = []
        for side, f in (("s", x), ("k", z)):
            encoder = getattr(layer.encode, f"matrix{name}_{side}")
            sides.append(norm(conv(f, encoder[0], dilation=dilation), encoder[1]).relu())
        total = total + share[index] * reference.depthwise(*sides)
    return total


def asymmetric(layer: nn.Module, x: Tensor, z: Tensor, size: Tensor) -> Tensor:
    x, z = (side.relu() for side in adapted(layer, x, z))
    mlp = layer.xorr_bbox
    code = norm(size @ mlp[0].weight.T + mlp[0].bias, mlp[1]).relu()
    code = norm(code @ mlp[3].weight.T + mlp[3].bias, mlp[4]).relu() @ mlp[6].weight.T
    summed = conv(x, layer.xorr_search) + conv(z, layer.xorr_kernel) + code[:, :, None, None]
    act, head = layer.xorr_activate, layer.head
    hidden = norm(conv(norm(summed, act[0]).relu(), act[2], padding=1), act[3]).relu()
    hidden = norm(conv(hidden, head[0], padding=1), head[1]).relu()
    return conv(hidden, head[3], padding=1)


# layer: how to build it, sizes of search and template, shape of the map, its definition
Case = tuple[Callable[[], nn.Module], int, int, tuple[int, ...], Callable[..., Tensor]]
TABLE: dict[str, Case] = {
    "pixelwise": (lambda: PixelwiseCorrelation(2, 9), 8, 3, (9, 8, 8), pixelwise),
    "depthwise": (lambda: DepthwiseCorrelation(2, 3, 4), 31, 7, (4, 25, 25), depthwise),
    "depthwise-1": (lambda: DepthwiseCorrelation(2, 3, 4, 1), 9, 4, (4, 6, 6), depthwise),
    "matrix": (Matrix, 31, 7, (3, 25, 25), matrix),
    "asymmetric": (lambda: AsymmetricCorrelation(2, 3, 4), 13, 7, (4, 7, 7), asymmetric),
}
every = pytest.mark.parametrize("name", TABLE)


def inputs(name: str, batch: int = 2, templates: int = 2) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A search, and what `kernel` takes: a template, for the asymmetric one a size too."""
    generator = torch.Generator().manual_seed(2)
    _, wide, small, _, _ = TABLE[name]
    x = torch.randn(batch, 2, wide, wide, generator=generator, dtype=torch.float64)
    z = torch.randn(templates, 2, small, small, generator=generator, dtype=torch.float64)
    size = torch.rand(templates, 2, generator=generator, dtype=torch.float64)
    return x, (z, size) if name == "asymmetric" else (z,)


@every
@pytest.mark.parametrize("templates", [1, 2])
@torch.no_grad()
def test_definition(randomized, name, templates):
    build, _, _, shape, definition = TABLE[name]
    layer = randomized(build())
    x, template = inputs(name, templates=templates)
    response = layer(x, layer.kernel(*template))
    assert response.shape == (2, *shape)
    assert response.std() > 1e-3
    torch.testing.assert_close(response, definition(layer, x, *template), rtol=1e-9, atol=1e-10)


@torch.no_grad()
def test_channel_attention(randomized):
    torch.manual_seed(0)
    layer, features = randomized(ChannelAttention(3)), torch.randn(2, 3, 4, 5).double()
    torch.testing.assert_close(layer(features), gate(features, layer), rtol=1e-12, atol=1e-12)
    share = layer(features) / features
    assert ((share > 0) & (share < 1)).all()
    torch.testing.assert_close(share, share[:, :, :1, :1].expand_as(share))


@every
@torch.no_grad()
def test_one_template_serves_all_searches(randomized, name):
    layer = randomized(TABLE[name][0]())
    x, template = inputs(name, batch=3, templates=1)
    response = layer(x, layer.kernel(*template))
    many = layer.kernel(*(part.expand(3, *part.shape[1:]) for part in template))
    torch.testing.assert_close(layer(x, many), response, rtol=1e-9, atol=1e-10)
    alone = torch.cat([layer(one[None], layer.kernel(*template)) for one in x])
    torch.testing.assert_close(alone, response, rtol=1e-9, atol=1e-10)


@every
@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_every_parameter(randomized, unreached, name, training):
    layer = randomized(TABLE[name][0]()).train(training)
    x, template = inputs(name)
    sides = [side.requires_grad_() for side in (x, *template)]
    layer(x, layer.kernel(*template)).square().sum().backward()
    assert unreached(layer) == []
    assert all(side.grad.any() for side in sides)


@pytest.mark.parametrize(("rows", "columns"), [(7, 7), (6, 8), (9, 5)])
@torch.no_grad()
def test_matrix_sizes(rows, columns):
    """Tall, wide or neither: what one side loses the other loses, so the responses agree."""
    encode = MatrixEncoding(2, 3)
    z, x = encode.kernel(torch.rand(1, 2, rows, columns)), encode(torch.rand(1, 2, 20, 18))
    lost = [(2, 2), (4, 2), (2, 4)]
    assert [tuple(e.shape[1:]) for e in z] == [(3, rows - h, columns - w) for h, w in lost]
    assert [tuple(e.shape[1:]) for e in x] == [(3, 20 - h, 18 - w) for h, w in lost]
    response = MatrixCorrelation()(x, z)
    assert response.shape == (1, 3, 21 - rows, 19 - columns)


def test_matrix_weights_sum_to_one():
    """Three equal responses come out as they are, whatever the weights; equal ones are a mean."""
    x, z = torch.rand(1, 3, 9, 9), torch.rand(1, 3, 4, 4)
    one = reference.depthwise(x, z)
    layer = MatrixCorrelation()
    assert len(DILATIONS) == layer.weight.numel() == 3
    scaled = layer([x, 2 * x, 6 * x], [z] * 3)
    torch.testing.assert_close(scaled, 3 * one)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([-1.0, 2.0, 0.5]))
    torch.testing.assert_close(layer([x] * 3, [z] * 3), one)


WRONG = [  # layer, search, template, what is said
    ("depthwise", (2, 2, 6, 6), (2, 2, 7, 7), "^xcorr_depthwise: .*template"),
    ("depthwise", (3, 2, 9, 9), (2, 2, 7, 7), "batch must be 1 or that of search, got 2 for 3"),
    ("pixelwise", (3, 2, 8, 8), (2, 2, 3, 3), "batch must be 1 or that of search, got 2 for 3"),
    ("pixelwise", (2, 2, 8, 8), (2, 2, 4, 4), "channels"),  # 16 cells where 9 are weighed
    ("matrix", (2, 2, 6, 6), (2, 2, 7, 7), "^xcorr_depthwise: .*template"),
    ("matrix", (3, 2, 9, 9), (2, 2, 7, 7), "batch must be 1 or that of search, got 2 for 3"),
    ("asymmetric", (3, 2, 9, 9), (2, 2, 7, 7), "batch must be 1 or 3"),
    ("asymmetric", (2, 2, 9, 9), (2, 2, 6, 7), r"^AsymmetricCorrelation: .* got \(2, 2, 6, 7\)$"),
    ("asymmetric", (2, 2, 9, 9), (2, 2, 15, 15), r"template must be \(B, C, 7, 7\)"),
]


@pytest.mark.parametrize(("name", "search", "template", "text"), WRONG)
def test_wrong_sizes(name, search, template, text):
    layer = TABLE[name][0]().eval()
    size = (torch.rand(template[0], 2),) if name == "asymmetric" else ()
    with pytest.raises((ValueError, RuntimeError), match=text):
        layer(torch.rand(search), layer.kernel(torch.rand(template), *size))
