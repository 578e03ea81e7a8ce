"""torch.func on the operators, by every method: against loops and against autograd."""

import pytest
import torch
from pairs import all_ops, pair, skip_before
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from siamcorr import xcorr_naive

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
all_methods = pytest.mark.parametrize("method", ["auto", "conv", "gemm", "fft"])
own_or_shared = pytest.mark.parametrize("shared", [False, True])
COUNT = 3  # of the dimension that vmap maps


def mapped(op, shared: bool) -> tuple[Tensor, Tensor]:
    """COUNT searches and templates, each with a batch of its own."""
    pairs = [pair(op, outputs=2, shared=shared, size=(6, 5), seed=seed) for seed in range(COUNT)]
    x, z = zip(*pairs, strict=True)
    return torch.stack(x), torch.stack(z)


def bound(op, method: str):
    """The operator with options, as a function of two tensors; and a cubic sum of it."""

    def response(x: Tensor, z: Tensor) -> Tensor:
        return op(x, z, dilation=2, scale=0.5, method=method)

    return response, lambda x, z: (response(x, z) ** 3).sum()


@all_ops
@all_methods
@own_or_shared
@pytest.mark.parametrize("mapped_arguments", [(True, True), (True, False), (False, True)])
def test_vmap(op, method, shared, mapped_arguments):
    x, z = mapped(op, shared)
    response, cubic = bound(op, method)
    x_mapped, z_mapped = mapped_arguments
    xs, zs = x if x_mapped else x[0], z if z_mapped else z[0]
    singles = [(x[i if x_mapped else 0], z[i if z_mapped else 0]) for i in range(COUNT)]
    expected = torch.stack([response(*single) for single in singles])
    dims = (0 if x_mapped else None, 0 if z_mapped else None)
    torch.testing.assert_close(vmap(response, in_dims=dims)(xs, zs), expected)

    # The mapped dimension may lie anywhere.
    last = [t.movedim(0, -1) if m else t for t, m in zip((xs, zs), mapped_arguments, strict=True)]
    dims_last = tuple(-1 if is_mapped else None for is_mapped in mapped_arguments)
    torch.testing.assert_close(vmap(response, in_dims=dims_last)(*last), expected)

    # The gradients of each sample by itself.
    found = vmap(grad(cubic, (0, 1)), in_dims=dims)(xs, zs)
    each = [grad(cubic, (0, 1))(*single) for single in singles]
    for side in (0, 1):
        torch.testing.assert_close(found[side], torch.stack([sample[side] for sample in each]))


@all_ops
@all_methods
@own_or_shared
def test_vmap_nested(op, method, shared):
    """All pairs of COUNT searches and COUNT templates: two mapped dimensions."""
    x, z = mapped(op, shared)
    response, _ = bound(op, method)
    every = vmap(vmap(response, in_dims=(None, 0)), in_dims=(0, None))(x, z)
    expected = torch.stack([torch.stack([response(a, b) for b in z]) for a in x])
    torch.testing.assert_close(every, expected)


@all_ops
@all_methods
@own_or_shared
def test_grad_and_vjp(op, method, shared):
    x, z = pair(op, outputs=2, shared=shared, size=(6, 5))
    response, cubic = bound(op, method)
    inputs = x.clone().requires_grad_(), z.clone().requires_grad_()
    expected = torch.autograd.grad(bound(op, "conv")[1](*inputs), inputs)
    torch.testing.assert_close(grad(cubic, (0, 1))(x, z), expected)
    result, pull = vjp(response, x, z)
    torch.testing.assert_close(pull(3 * result**2), expected)


@all_ops
@all_methods
@own_or_shared
def test_jacobians(op, method, shared):
    x, z = pair(op, 2, shared=shared, size=(5, 4), z=(2, 2), channels=2)
    response, _ = bound(op, method)
    expected = torch.autograd.functional.jacobian(bound(op, "conv")[0], (x, z))
    torch.testing.assert_close(jacrev(response, (0, 1))(x, z), expected)
    torch.testing.assert_close(jacfwd(response, (0, 1))(x, z), expected)


@all_ops
@all_methods
@own_or_shared
def test_jvp_and_hessian_vector_product(op, method, shared):
    x, z = pair(op, outputs=2, shared=shared, size=(6, 5))
    directions = pair(op, outputs=2, shared=shared, size=(6, 5), seed=7)
    response, cubic = bound(op, method)
    _, found = jvp(response, (x, z), directions)
    torch.testing.assert_close(found, response(directions[0], z) + response(x, directions[1]))
    _, one_sided = jvp(lambda x: response(x, z), (x,), directions[:1])
    torch.testing.assert_close(one_sided, response(directions[0], z))

    _, product = jvp(grad(cubic, (0, 1)), (x, z), directions)
    _, expected = torch.autograd.functional.hvp(bound(op, "conv")[1], (x, z), directions)
    torch.testing.assert_close(product, expected)


@all_methods
def test_hessian(method):
    """Forward over reverse, with vmap around both."""
    if method == "fft":
        skip_before((2, 9), "MKL refuses the strides of such a transform")
    x, z = pair(xcorr_naive, 1, size=(3, 3), z=(2, 2), channels=1)
    response = lambda x, z: (xcorr_naive(x, z, method=method) ** 3).sum()  # noqa: E731
    expected = torch.autograd.functional.hessian(
        lambda x, z: (xcorr_naive(x, z, method="conv") ** 3).sum(), (x, z)
    )
    torch.testing.assert_close(hessian(response, (0, 1))(x, z), expected)
