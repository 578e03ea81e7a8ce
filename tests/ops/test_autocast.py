"""Half precision and autocast: the dtype is kept, and sums are computed in float32."""

import pytest
import torch
from pairs import ORACLES, all_methods, all_ops, pair, relative
from torch import Tensor, nn

from siamcorr import prepare, xcorr_batched, xcorr_depthwise, xcorr_normalized, xcorr_pixelwise
from siamcorr.ops import xcorr_circular, xcorr_multi

HALVES = [torch.bfloat16, torch.float16]


def autocast(dtype: torch.dtype = torch.bfloat16) -> torch.autocast:
    return torch.autocast("cpu", dtype=dtype)


@all_ops
@all_methods
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_autocast_does_not_reach_inside(op, method, dtype):
    """Exactly equal to the result without autocast, forward and backward."""
    results = []
    for enabled in (False, True):
        inputs = [tensor.requires_grad_() for tensor in pair(op, outputs=2, dtype=dtype)]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            response = op(*inputs, padding=1, scale=0.5, method=method)
            grads = torch.autograd.grad((response**2).sum(), inputs)
        results.append([response.detach(), *grads])
    for plain, under_autocast in zip(*results, strict=True):
        assert under_autocast.dtype == dtype
        assert torch.equal(under_autocast, plain)


@pytest.mark.parametrize(
    "function",
    [
        xcorr_pixelwise,
        xcorr_normalized,
        lambda x, z: xcorr_circular(x, z.repeat(1, 1, 2, 2)),
        lambda x, z: xcorr_multi(x, z[:, None], reduction="max"),
        lambda x, z: xcorr_depthwise(x, prepare(z, (8, 8), method="conv")),
        lambda x, z: xcorr_depthwise(x, prepare(z, (8, 8), method="gemm")),
        lambda x, z: xcorr_depthwise(x, prepare(z, (8, 8), method="fft")),
    ],
    ids=["pixelwise", "normalized", "circular", "multi", "conv", "gemm", "fft"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALVES])
def test_autocast_does_not_reach_inside_the_others(function, dtype):
    x, z = pair(xcorr_depthwise, size=(8, 8), z=(4, 4), dtype=dtype)
    plain = function(x, z)
    with autocast():
        under_autocast = function(x, z)
    assert under_autocast.dtype == plain.dtype == dtype
    assert torch.equal(under_autocast, plain)


@all_ops
@all_methods
@pytest.mark.parametrize("dtype", HALVES)
def test_autocast_keeps_half(op, method, dtype):
    x, z = pair(op, outputs=2, dtype=dtype)
    with autocast(dtype):
        response = op(x, z, method=method)
    assert response.dtype == dtype
    exact = ORACLES[op](x.double(), z.double())
    assert relative(response, exact) <= {torch.bfloat16: 4e-3, torch.float16: 5e-4}[dtype]


@all_methods
@pytest.mark.parametrize("dtype", HALVES)
def test_sums_are_in_float32(method, dtype):
    """4096 products of one, and 3 more: a sum in half precision stops at 256 or 2048."""
    x, z = torch.ones(1, 64, 8, 8, dtype=dtype), torch.ones(1, 64, 8, 8, dtype=dtype)
    z[0, 0, 0, 0] = 4
    expected = torch.tensor(4099.0).to(dtype)
    assert torch.equal(xcorr_batched(x, z, method=method).flatten(), expected[None])
    whole = xcorr_depthwise(torch.ones(1, 1, 64, 64).to(dtype), torch.ones(1, 1, 64, 64).to(dtype))
    assert whole.item() == 4096


@all_ops
@pytest.mark.parametrize("method", ["gemm", "fft"])
@pytest.mark.parametrize("dtype", HALVES)
def test_sums_are_rounded_once(op, method, dtype):
    """Nearly every cell is the exact sum's nearest neighbour in half precision."""
    inputs = pair(op, outputs=2, dtype=dtype, channels=8, size=(20, 19), z=(6, 5))
    found, exact = (
        [tensor.to(kind).requires_grad_() for tensor in inputs] for kind in (dtype, torch.float64)
    )
    response, wide = op(*found, method=method), op(*exact, method="conv")
    grad = torch.randn(wide.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    gradients = torch.autograd.grad(response, found, grad)
    wide_gradients = torch.autograd.grad(wide, exact, grad.double())
    for result, sums in zip((response, *gradients), (wide, *wide_gradients), strict=True):
        assert (result == sums.to(dtype)).double().mean() > 0.99


@all_ops
@all_methods
@pytest.mark.parametrize("scale", [1e-3, 1e-2])
def test_scale_keeps_half_from_overflowing(op, method, scale):
    x = torch.full((1, 8, 16, 16), 100.0, dtype=torch.float16)
    z = torch.full((1, 8, 8, 8), 100.0, dtype=torch.float16)
    assert op(x, z, method=method).isinf().all()
    products = 64 if op is xcorr_depthwise else 512
    response = op(x, z, scale=scale, method=method)
    exact = torch.full_like(response, products * 1e4 * scale)
    torch.testing.assert_close(response, exact, rtol=2e-3, atol=0)


class SmallTracker(nn.Module):
    """Two convolutions, a correlation, and a convolution on the response."""

    def __init__(self, op, method: str) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
        self.head = nn.LazyConv2d(2, 1)
        self.op, self.method = op, method

    def forward(self, search: Tensor, template: Tensor) -> tuple[Tensor, Tensor]:
        x, z = self.backbone(search), self.backbone(template)
        response = self.op(x, z, scale=0.1, method=self.method)
        return response, self.head(response)


@all_ops
@all_methods
def test_training_step_under_autocast(op, method):
    torch.manual_seed(0)
    net = SmallTracker(op, method)
    search, template = torch.randn(2, 3, 20, 20), torch.randn(2, 3, 12, 12)
    with torch.no_grad():
        net(search, template)  # gives the lazy layer its channels
    before = [parameter.detach().clone() for parameter in net.parameters()]
    exact = torch.autograd.grad(net(search, template)[1].square().mean(), list(net.parameters()))
    with autocast():
        response, score = net(search, template)
        loss = score.square().mean()
    assert response.dtype == torch.bfloat16
    loss.backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    for parameter, old, gradient in zip(net.parameters(), before, exact, strict=True):
        assert parameter.grad.isfinite().all()
        assert relative(parameter.grad, gradient) < 0.05
        assert not torch.equal(parameter, old)
