"""Method "triton": its kernels against F.conv2d, in triton's interpreter or on a GPU."""

import os
import subprocess
import sys

import pytest
import torch
from pairs import relative
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from siamcorr import xcorr_batched, xcorr_depthwise, xcorr_naive
from siamcorr.ops.compute import ARGUMENTS, FUNCTIONS, usable
from siamcorr.ops.methods import triton as triton_method
from siamcorr.ops.shapes import Geometry

pytest.importorskip("triton", reason="triton is not installed")
# The interpreter of older triton, with numpy 1.
pytestmark = pytest.mark.filterwarnings("ignore:Conversion of an array with ndim")

# What is more than a kernel's block of 256 cells, or than 64 template cells, takes several.
SIZES = {
    "small": ((2, 3, 6, 7), (3, 2), 1),
    "dilated": ((2, 2, 9, 12), (2, 3), 2),
    "even": ((3, 1, 8, 10), (4, 4), 1),
    "one cell": ((2, 2, 5, 4), (1, 1), 1),
    "one response": ((2, 2, 5, 4), (5, 4), 1),
    "many responses": ((1, 2, 21, 19), (2, 3), 1),
    "many template cells": ((1, 1, 20, 25), (9, 18), 1),
    "many, dilated": ((1, 1, 24, 26), (4, 5), 2),
}


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request):
    """Where triton runs: in its interpreter, or on a GPU."""
    if not triton_method.available(request.param):
        pytest.skip("where there is a GPU, triton's interpreter is off")
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


def geometry_of(op: str, size: str, shared: bool, outputs: int = 1) -> Geometry:
    search, (h, w), dilation = SIZES[size]
    batch, channels = search[:2]
    return Geometry(op, search, (1 if shared else batch, outputs * channels, h, w), dilation)


def arguments(computed: str, geometry: Geometry, dtype: torch.dtype) -> list[Tensor]:
    """Random tensors for a contraction, of what dtype can hold, in float64."""
    generator = torch.Generator().manual_seed(0)
    shapes = (getattr(geometry, name) for name in ARGUMENTS[computed])
    tensors = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return [tensor.to(dtype).double() for tensor in tensors]


# reference


@pytest.mark.parametrize("op", ["depthwise", "batched"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shared", [False, True])
def test_reference(device, shared, size, op):
    geometry = geometry_of(op, size, shared, outputs=2 if op == "batched" else 1)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        for computed in ARGUMENTS:
            exact = arguments(computed, geometry, dtype)
            expected = FUNCTIONS["conv", op, computed](*exact, geometry)
            given = (tensor.to(device, dtype) for tensor in exact)
            result = FUNCTIONS["triton", op, computed](*given, geometry)
            assert (result.dtype, result.device.type) == (dtype, device)
            assert result.shape == expected.shape
            assert relative(result.cpu(), expected) <= tolerance, (computed, dtype)


def test_reference_in_tiles(device, monkeypatch):
    """The matrix product of the batched form in more than one part."""
    monkeypatch.setattr("siamcorr.ops.methods.tiling.BUDGET", 1000)
    geometry = geometry_of("batched", "many, dilated", shared=False, outputs=2)
    x, z = arguments("response", geometry, torch.float64)
    result = triton_method.batched_response(x.to(device), z.to(device), geometry)
    expected = FUNCTIONS["conv", "batched", "response"](x, z, geometry)
    torch.testing.assert_close(result.cpu(), expected)


# known values


@pytest.mark.parametrize("op", [xcorr_naive, xcorr_batched, xcorr_depthwise])
def test_known_values_impulse(device, op):
    """An impulse returns the template rotated by 180 degrees; a flipped kernel would not."""
    x = torch.zeros(1, 1, 5, 5, device=device)
    x[0, 0, 2, 2] = 1
    z = torch.arange(1.0, 10, device=device).reshape(1, 1, 3, 3)
    expected = [[9.0, 8, 7], [6, 5, 4], [3, 2, 1]]
    assert op(x, z, method="triton")[0, 0].tolist() == expected


def test_known_values_no_search(device):
    x, z = torch.rand(0, 2, 5, 5, device=device), torch.rand(1, 2, 3, 3, device=device)
    assert xcorr_depthwise(x, z, method="triton").shape == (0, 2, 3, 3)


# properties


def test_properties_same_every_time(device):
    """No sum depends on which program is first."""
    geometry = geometry_of("depthwise", "many template cells", shared=True)
    for computed in ("response", "search", "template"):
        given = [tensor.to(device) for tensor in arguments(computed, geometry, torch.float32)]
        function = FUNCTIONS["triton", "depthwise", computed]
        assert torch.equal(function(*given, geometry), function(*given, geometry))


# gradcheck


@pytest.mark.parametrize("shared", [False, True])
def test_gradcheck(device, shared):
    """First and second order through the kernels of all three contractions."""
    geometry = Geometry("depthwise", (2, 1, 4, 3), (1 if shared else 2, 1, 2, 2))
    x, z = (
        tensor.to(device).requires_grad_()
        for tensor in arguments("response", geometry, torch.float64)
    )

    def call(x: Tensor, z: Tensor) -> Tensor:
        return xcorr_depthwise(x, z, scale=0.5, method="triton")

    assert gradcheck(call, (x, z), fast_mode=True)
    assert gradgradcheck(call, (x, z), fast_mode=True)


# dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("op", ["depthwise", "batched"])
def test_dtype(device, op, dtype):
    """Half precision is rounded once, at the end, also where a shared template is summed."""
    geometry = geometry_of(op, "small", shared=True)
    for computed in ARGUMENTS:
        exact = arguments(computed, geometry, dtype)
        expected = FUNCTIONS["conv", op, computed](*exact, geometry)
        given = (tensor.to(device, dtype) for tensor in exact)
        result = FUNCTIONS["triton", op, computed](*given, geometry)
        assert result.dtype == dtype
        unit = torch.finfo(dtype).eps
        torch.testing.assert_close(result.cpu().double(), expected, rtol=unit, atol=1e-5)


# layout


def test_layout(device):
    geometry = geometry_of("depthwise", "small", shared=False)
    x, z = (tensor.to(device) for tensor in arguments("response", geometry, torch.float64))
    grad = torch.rand(geometry.response, dtype=torch.float64, device=device)
    given = {"search": x, "template": z, "response": grad}
    wide = x.new_zeros(*x.shape[:3], 2 * x.shape[3])
    for computed, names in ARGUMENTS.items():
        function = FUNCTIONS["triton", "depthwise", computed]
        expected = function(*(given[name] for name in names), geometry)
        last = [given[name].contiguous(memory_format=torch.channels_last) for name in names]
        turned = [given[name].mT.contiguous().mT for name in names]
        assert not any(tensor.is_contiguous() for tensor in (*last, *turned))
        torch.testing.assert_close(function(*last, geometry), expected)
        torch.testing.assert_close(function(*turned, geometry), expected)
    wide[..., ::2] = x
    torch.testing.assert_close(
        xcorr_depthwise(wide[..., ::2], z, method="triton"), xcorr_depthwise(x, z, method="conv")
    )


# errors


@pytest.mark.parametrize("op", [xcorr_naive, xcorr_batched, xcorr_depthwise])
def test_errors_device(op, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert "triton" not in usable("cpu")
    x, z = torch.rand(2, 3, 5, 5), torch.rand(2, 3, 3, 3)
    with pytest.raises(
        ValueError, match=r'^method "triton" needs triton and a CUDA device, got cpu$'
    ):
        op(x, z, method="triton")


def test_errors_not_installed(monkeypatch):
    monkeypatch.setattr(triton_method, "INSTALLED", False)
    assert not triton_method.available("cuda")
    x, z = torch.rand(2, 3, 5, 5), torch.rand(2, 3, 3, 3)
    with pytest.raises(ValueError, match="got cpu without triton"):
        xcorr_depthwise(x, z, method="triton")


# compile


@pytest.mark.cuda
@pytest.mark.filterwarnings("default")  # what torch's compiler has to say on a GPU
@pytest.mark.parametrize("op", [xcorr_batched, xcorr_depthwise])
def test_compile(op):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    x, z = torch.rand(2, 3, 9, 9, device="cuda"), torch.rand(2, 3, 3, 3, device="cuda")
    compiled = torch.compile(op, fullgraph=True)
    torch.testing.assert_close(compiled(x, z, method="triton"), op(x, z, method="conv"))


COMPILE_FOR_A_GPU = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from siamcorr.ops.methods import triton_kernels

constants = {"w": 3, "unroll": 3, "block": 64, "cells": 16}
tensors = {"search", "template", "response", "grad", "result", "products"}
for name in ("response_kernel", "search_kernel", "template_kernel", "cell_sum_kernel"):
    kernel = getattr(triton_kernels, name)
    fixed = {
        parameter.name: constants[parameter.name]
        for parameter in kernel.params
        if parameter.is_constexpr
    }
    for dtype in ("fp32", "fp16"):
        signature = {name: "*" + dtype if name in tensors else "i32" for name in kernel.arg_names}
        signature |= dict.fromkeys(fixed, "constexpr")
        source = ASTSource(kernel, signature, fixed)
        compiled = compile(source, GPUTarget("cuda", 90, 32), {"enable_fp_fusion": True})
        assert "fma.rn.f32" in compiled.asm["ptx"] or name == "cell_sum_kernel"
        print(name, dtype, *compiled.asm)
"""


def test_compile_for_a_gpu_that_is_not_there(tmp_path):
    """The interpreter takes more than the compiler does: down to PTX and to machine code."""
    pytest.importorskip("triton.backends.nvidia")
    environment = {name: os.environ[name] for name in os.environ if name != "TRITON_INTERPRET"}
    program = subprocess.run(
        [sys.executable, "-c", COMPILE_FOR_A_GPU],
        env=environment | {"TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "ImportError" in program.stderr or "TypeError: ASTSource" in program.stderr:
        pytest.skip(f"triton compiles in another way here: {program.stderr[-300:]}")
    assert program.returncode == 0, program.stderr
    lines = program.stdout.splitlines()
    assert len(lines) == 8
    assert all("ptx" in line.split() for line in lines)


# export


def test_export():
    """Other runtimes do not have our kernels: the export is the convolution."""

    class Net(torch.nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return xcorr_depthwise(x, z, method="triton")

    x, z = torch.rand(2, 3, 6, 7), torch.rand(2, 3, 3, 2)
    program = torch.export.export(Net(), (x, z), strict=False)
    assert "triton" not in str(program.graph)
    torch.testing.assert_close(program.module()(x, z), xcorr_depthwise(x, z, method="conv"))
