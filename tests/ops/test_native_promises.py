"""Method "native" behaves like every method, and falls back for tensors that it cannot read."""

import os
import subprocess
import sys

import pytest
import torch
from pairs import all_ops, pair
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from siamcorr import explain
from siamcorr.ops import kernels
from siamcorr.ops.compute import usable
from siamcorr.ops.methods import native
from siamcorr.ops.plan import choose
from siamcorr.ops.shapes import Geometry

pytestmark = pytest.mark.skipif(kernels.VARIANT is None, reason="there are no C++ kernels here")


# gradcheck


@all_ops
def test_gradcheck(op):
    x, z = (tensor.requires_grad_() for tensor in pair(op, size=(6, 5)))
    for dilation in (1, 2):

        def function(x: Tensor, z: Tensor, dilation: int = dilation) -> Tensor:
            return op(x, z, dilation=dilation, padding=1, method="native")

        assert gradcheck(function, (x, z))
        assert gradgradcheck(function, (x, z))


@all_ops
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_torch_func(op):
    """vmap, grad, jacrev and jvp, nested too."""
    x, z = pair(op)

    def total(method):
        return lambda x, z: op(x, z, method=method).square().sum()

    for transform in (
        lambda f: torch.func.grad(f, (0, 1))(x, z),
        lambda f: torch.func.vmap(f)(torch.stack([x, 2 * x]), torch.stack([z, 3 * z])),
        lambda f: torch.func.vmap(torch.func.grad(f))(torch.stack([x, x + 1]), torch.stack([z, z])),
        lambda f: torch.func.jvp(f, (x, z), (x, z)),
        lambda f: torch.func.hessian(f)(x, z),
    ):
        torch.testing.assert_close(transform(total("native")), transform(total("conv")))


# graphs, fakes, meta tensors


@all_ops
def test_compile(op):
    x, z = pair(op, dtype=torch.float32)
    compiled = torch.compile(op, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, z, method="native"), op(x, z, method="conv"))


@all_ops
def test_traces_hold_no_kernel(op):
    """Export and torch.jit.trace: other inputs give other results."""

    class Model(torch.nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return op(x, z, padding=1, method="native")

    x, z = pair(op, dtype=torch.float32)
    other = 1 + x, 2 - z
    expected = op(*other, padding=1, method="conv")
    program = torch.export.export(Model(), (x, z), strict=False)
    assert "siamcorr" not in str(program.graph)
    torch.testing.assert_close(program.module()(*other), expected)


@all_ops
def test_meta_and_fake(op):
    from torch._subclasses.fake_tensor import FakeTensorMode

    x, z = pair(op)
    expected = op(x, z).shape
    assert op(x.to("meta"), z.to("meta"), method="native").shape == expected
    with FakeTensorMode() as mode:
        fakes = mode.from_tensor(x), mode.from_tensor(z)
        assert op(*fakes, method="native").shape == expected


@all_ops
def test_autocast(op):
    x, z = pair(op, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert op(x, z, method="native").dtype == torch.float32


# errors


def test_errors_wrong_sizes():
    """Tensors that do not fit the geometry are refused, not read."""
    geometry = Geometry("depthwise", (2, 3, 8, 8), (2, 3, 3, 3))
    x, z = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 3, 3)
    for first, second in ((x[:1], z), (x[..., :-1], z), (x, z[:, :2]), (x, z.double())):
        with pytest.raises(ValueError, match=r'^method "native": response of'):
            native.depthwise_response(first, second, geometry)
    module = kernels.module
    for job in (b"", bytes(248), bytes(8)):
        with pytest.raises(ValueError, match="job"):
            module.run(job, x.data_ptr(), z.data_ptr(), 0, x.data_ptr(), 1)


@all_ops
def test_errors_without_kernels(monkeypatch, op):
    """As with SIAMCORR_NATIVE=0: the planner does not offer the method."""
    monkeypatch.setattr(kernels, "module", None)
    x, z = pair(op)
    assert "native" not in usable("cpu")
    geometry = Geometry("depthwise", (8, 256, 29, 29), (8, 256, 5, 5))
    assert choose.__wrapped__("response", geometry, torch.float32, "cpu") != "native"
    with pytest.raises(ValueError, match=r'^method "native" needs .* without kernels$'):
        op(x, z, method="native")


def test_disabled():
    """SIAMCORR_NATIVE=0: everything works in Python."""
    script = (
        "import torch, siamcorr; from siamcorr.ops import kernels\n"
        "assert kernels.VARIANT is None\n"
        "print(siamcorr.xcorr_depthwise(torch.ones(1, 2, 5, 5), torch.ones(1, 2, 3, 3)).sum())"
    )
    environment = {**os.environ, "SIAMCORR_NATIVE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert "162" in done.stdout


def test_offered_if_the_kernels_can_read():
    geometry = Geometry("depthwise", (8, 256, 29, 29), (8, 256, 5, 5))
    assert choose("response", geometry, torch.float32, "cpu") == "native"
    assert choose("response", geometry, torch.float32, "cpu", readable=False) != "native"
    assert "native" in usable("cpu")
    assert "native" not in usable("cuda")


def test_explain_names_the_variant(capsys):
    explain((8, 256, 29, 29), (8, 256, 5, 5))
    assert f"native kernels: {kernels.VARIANT}" in capsys.readouterr().out
