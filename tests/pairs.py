"""Searches and templates that fit the three correlations, and the tables that tests run over."""

from collections.abc import Callable

import pytest
import reference
import torch
from torch import Tensor

from siamcorr import xcorr_batched, xcorr_depthwise, xcorr_naive
from siamcorr.ops.compute import usable
from siamcorr.ops.torch_versions import VERSION

Op = Callable[..., Tensor]
OPS = [xcorr_naive, xcorr_batched, xcorr_depthwise]
METHODS = ["auto", *usable("cpu")]
ORACLES = {
    xcorr_naive: reference.naive,
    xcorr_batched: reference.batched,
    xcorr_depthwise: reference.depthwise,
}
all_ops = pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
all_methods = pytest.mark.parametrize("method", METHODS)


def pair(
    op: Op,
    batch: int = 2,
    outputs: int = 1,
    dtype: torch.dtype = torch.float64,
    *,
    channels: int = 3,
    size: tuple[int, int] = (7, 6),
    z: tuple[int, int] = (3, 2),
    shared: bool = False,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """A random search of size and a template of size z; depthwise has one output always."""
    generator = torch.Generator().manual_seed(seed)
    leading = {
        xcorr_naive: (outputs, channels),
        xcorr_batched: (1 if shared else batch, outputs * channels),
        xcorr_depthwise: (1 if shared else batch, channels),
    }[op]
    x = torch.randn(batch, channels, *size, generator=generator, dtype=torch.float64)
    template = torch.randn(*leading, *z, generator=generator, dtype=torch.float64)
    return x.to(dtype), template.to(dtype)


def relative(result: Tensor, exact: Tensor) -> float:
    """Frobenius norm of the difference, relative to that of what is exact."""
    return float((result.double() - exact.double()).norm() / exact.double().norm())


def gradients(function, x: Tensor, z: Tensor, **options) -> list[Tensor]:
    """The response and both gradients, for a gradient of the response that is not constant."""
    x, z = x.detach().clone().requires_grad_(), z.detach().clone().requires_grad_()
    response = function(x, z, **options)
    generator = torch.Generator().manual_seed(5)
    grad = torch.randn(response.shape, generator=generator, dtype=torch.float64)
    response.backward(grad.to(response.dtype))
    return [response.detach(), x.grad, z.grad]


def skip_before(version: tuple[int, int], why: str) -> None:
    """Skip a test of what an older torch cannot do, whoever asks it."""
    if version > VERSION:
        pytest.skip(f"torch before {'.'.join(map(str, version))}: {why}")
