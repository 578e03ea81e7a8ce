"""Gradients of naive, batched and depthwise by every method."""

import pytest
import torch
from pairs import all_methods, all_ops, gradients, pair, relative
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

# gradcheck


@all_ops
@all_methods
@pytest.mark.parametrize(("shared", "dilation"), [(False, 1), (True, 2)])
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's forward mode
def test_gradcheck(op, method, shared, dilation):
    """First order, second order, and forward mode; O = 2."""
    x, z = pair(op, outputs=2, channels=2, shared=shared, size=(4, 3), z=(2, 2))
    inputs = x.requires_grad_(), z.requires_grad_()

    def call(x: Tensor, z: Tensor) -> Tensor:
        return op(x, z, dilation=dilation, padding=1, scale=0.5, method=method)

    assert gradcheck(call, inputs, check_forward_ad=True)
    assert gradgradcheck(call, inputs)


@all_ops
@all_methods
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_gradcheck_one_input(op, method, padding):
    """If only one argument needs a gradient, it is the same, and the other gets none."""
    x, z = pair(op, outputs=2)
    _, both_x, both_z = gradients(op, x, z, padding=padding, method=method)
    grad = torch.randn(
        op(x, z, padding=padding).shape,
        generator=torch.Generator().manual_seed(5),
        dtype=torch.float64,
    )
    x.requires_grad_()
    op(x, z, padding=padding, method=method).backward(grad)
    torch.testing.assert_close(x.grad, both_x)
    x = x.detach()
    z.requires_grad_()
    op(x, z, padding=padding, method=method).backward(grad)
    torch.testing.assert_close(z.grad, both_z)
    assert x.grad is None


# dtype


@all_ops
@all_methods
@pytest.mark.parametrize(
    ("dtype", "worst"), [(torch.float16, 4e-3), (torch.bfloat16, 4e-2), (torch.float32, 1e-5)]
)
def test_dtype(op, method, dtype, worst):
    x, z = pair(op, outputs=2, dtype=dtype)
    exact = gradients(op, x.double(), z.double(), method="conv")
    for result, expected in zip(gradients(op, x, z, method=method), exact, strict=True):
        assert result.dtype == dtype
        assert relative(result, expected) <= worst


# layout


@all_ops
@all_methods
def test_layout(op, method):
    """The gradient that comes back may lie in memory in any way, too, or have no memory at all."""
    x, z = (tensor.requires_grad_() for tensor in pair(op, outputs=2))
    response = op(x, z, method=method)
    ones = torch.ones_like(response)
    layouts = {
        "contiguous": ones.contiguous(),
        "expanded": ones.new_ones(()).expand(response.shape),
        "channels_last": ones.contiguous(memory_format=torch.channels_last),
        "transposed": ones.mT.contiguous().mT,
    }
    expected = [g.sum() for g in torch.autograd.grad(op(x, z, method="conv"), (x, z), ones)]
    for name, grad in layouts.items():
        found = torch.autograd.grad(response, (x, z), grad, retain_graph=True)
        torch.testing.assert_close([g.sum() for g in found], expected, msg=name)


@all_ops
@all_methods
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_many_gradients_at_once(op, method, dilation):
    """As autograd's vectorised Jacobians compute them."""
    x, z = (value.requires_grad_() for value in pair(op, outputs=2))
    response = op(x, z, dilation=dilation, method=method)
    grads = torch.randn(3, *response.shape, dtype=torch.float64)
    options = {"retain_graph": True}
    found = torch.autograd.grad(response, (x, z), grads, is_grads_batched=True, **options)
    each = [torch.autograd.grad(response, (x, z), grad, **options) for grad in grads]
    for side, expected in zip(found, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(side, torch.stack(expected))
