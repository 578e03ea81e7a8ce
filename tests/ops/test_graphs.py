"""Operators in the graphs of torch.compile, torch.export and torch.jit.trace."""

import io

import pytest
import torch
from pairs import all_methods, all_ops, gradients, pair, skip_before
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import grad, vmap

from siamcorr import build_model, prepare, xcorr_batched, xcorr_depthwise, xcorr_naive
from siamcorr.ops import checks
from siamcorr.ops.shapes import Geometry, Task
from siamcorr.ops.torch_library import _contract, contract_opaque

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning"),
]
# More than the graphs that torch makes of a function before it gives up, and none of them a size
# that search or template has, too: torch would take them for the same.
BATCHES = range(20, 31)


@pytest.fixture(autouse=True)
def _nothing_compiled():
    torch.compiler.reset()


# compile


@all_ops
@all_methods
def test_compile(op, method):
    """In one graph, without gradients and with them; the backward is compiled, too."""
    x, z = pair(op, outputs=2)
    options = {"padding": "same", "dilation": 2, "scale": 0.5, "method": method}
    compiled = torch.compile(op, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, z, **options), op(x, z, **options))
    with torch.no_grad():
        torch.testing.assert_close(compiled(x, z, **options), op(x, z, **options))
    expected = gradients(op, x, z, **options)
    torch.testing.assert_close(gradients(compiled, x, z, **options), expected)


@all_methods
@pytest.mark.parametrize(
    ("op", "dynamic"),
    [(xcorr_naive, None), (xcorr_batched, None), (xcorr_depthwise, None), (xcorr_batched, True)],
)
def test_one_graph_serves_every_batch(op, method, dynamic):
    """One for the first, and one for all that come after it."""
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(op, fullgraph=True, dynamic=dynamic, backend=counter)
    for batch in BATCHES:
        x, z = pair(op, batch=batch)
        expected = gradients(op, x, z, method=method)
        torch.testing.assert_close(gradients(compiled, x, z, method=method), expected)
    assert counter.frame_count <= 2


@all_methods
def test_sizes_that_change(method):
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(xcorr_batched, fullgraph=True, backend=counter)
    for size in range(7, 17):
        x, z = pair(xcorr_batched, size=(size, size + 1))
        expected = gradients(xcorr_batched, x, z, method=method)
        torch.testing.assert_close(gradients(compiled, x, z, method=method), expected)
    assert counter.frame_count <= 2


@all_methods
def test_one_graph_with_a_prepared_template(method):
    if method == "fft":
        skip_before((2, 9), "no transform of a batch that changes in a graph")
    _, z = pair(xcorr_depthwise, shared=True)
    ready = prepare(z, (7, 6), method=method)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(lambda x: xcorr_depthwise(x, ready), fullgraph=True, backend=counter)
    for batch in BATCHES:
        x, _ = pair(xcorr_depthwise, batch=batch)
        torch.testing.assert_close(compiled(x), xcorr_depthwise(x, ready))
    assert counter.frame_count <= 2


def test_one_graph_for_any_number_of_targets():
    network = build_model("siamcorr-lite")
    head, channels = network.head.eval(), network.backbone.channels
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(head.forward, fullgraph=True, backend=counter)
    with torch.no_grad():
        for batch in BATCHES:
            features = [torch.rand(batch, channels, side, side) for side in (8, 16)]
            template = head.template(features[0])
            found, expected = (call(features[1], template) for call in (compiled, head))
            torch.testing.assert_close(found.boxes, expected.boxes)
    assert counter.frame_count <= 2


@all_methods
@pytest.mark.parametrize("op", [xcorr_batched, xcorr_depthwise])
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_torch_func_in_a_graph(op, method):
    if method == "gemm":
        skip_before((2, 9), "no strided view under torch.func in a graph")
    pairs = [pair(op, seed=seed) for seed in range(3)]
    x, z = (torch.stack(side) for side in zip(*pairs, strict=True))

    def each(x: Tensor, z: Tensor) -> Tensor:
        return vmap(grad(lambda x, z: (op(x, z, method=method) ** 3).sum()))(x, z)

    compiled = torch.compile(each, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, z), each(x, z))


@all_methods
@pytest.mark.parametrize("op", [xcorr_batched, xcorr_depthwise])
def test_forward_mode_in_a_graph(op, method):
    """Also after the function was compiled without it."""
    if method == "gemm":
        skip_before((2, 9), "no strided view under forward-mode derivatives in a graph")
    x, z = pair(op)
    compiled = torch.compile(lambda x, z: op(x, z, method=method), backend="eager")
    torch.testing.assert_close(compiled(x, z), op(x, z, method=method))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        tangent = forward_ad.unpack_dual(compiled(dual, z)).tangent
        torch.testing.assert_close(tangent, op(torch.ones_like(x), z))


@all_methods
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize("name", ["batched", "depthwise"])
def test_opaque_operator(name, method):
    """Torch's own checks of such operators, and gradients of first and second order."""
    op = {"batched": xcorr_batched, "depthwise": xcorr_depthwise}[name]
    x, z = pair(op, size=(4, 3), z=(2, 2))
    x, z = x.requires_grad_(), z.requires_grad_()
    sizes = tuple(x.shape), tuple(z.shape)
    torch.library.opcheck(_contract, (x, z, "response", name, *map(list, sizes), 1, method))

    def call(x: Tensor, z: Tensor) -> Tensor:
        return contract_opaque(x, z, Task("response", Geometry(name, *sizes), method))

    torch.testing.assert_close(call(x, z), op(x, z))
    assert gradcheck(call, (x, z))
    assert gradgradcheck(call, (x, z))


# export


@all_ops
@all_methods
@pytest.mark.parametrize("dilation", [1, 2])
def test_export(op, method, dilation):
    options = {"padding": 1, "dilation": dilation, "method": method}

    class Net(nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return op(x, z, **options)

    x, z = pair(op, outputs=2)
    program = torch.export.export(Net(), (x, z))
    other = pair(op, outputs=2, seed=1)
    torch.testing.assert_close(program.module()(*other), op(*other, **options))


def test_export_for_any_batch():
    """By conv, which needs no integer sizes."""

    class Net(nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return xcorr_depthwise(x, z, method="conv")

    batch = torch.export.Dim("batch", min=2, max=64)
    pairs = [pair(xcorr_depthwise, batch=count) for count in (3, 7)]
    program = torch.export.export(Net(), pairs[0], dynamic_shapes=({0: batch}, {0: batch}))
    torch.testing.assert_close(program.module()(*pairs[1]), xcorr_depthwise(*pairs[1]))


# trace


@all_ops
@all_methods
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_trace(op, method):
    """Right for the traced sizes, and the trace leaves nothing in the cache."""
    checks._signatures.clear()
    net, example = lambda x, z: op(x, z, padding=1, method=method), pair(op, outputs=2)
    traced = torch.jit.trace(net, example, check_trace=False)
    assert not checks._signatures
    other = pair(op, outputs=2, seed=1)
    torch.testing.assert_close(traced(*other), op(*other, padding=1, method=method))


@pytest.mark.filterwarnings("ignore")  # that exporter is deprecated, and says so at length
def test_old_onnx_exporter():
    onnxruntime = pytest.importorskip("onnxruntime")

    class Net(nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return xcorr_depthwise(x, z, method="conv")

    x, z = pair(xcorr_depthwise, dtype=torch.float32)
    file = io.BytesIO()
    torch.onnx.export(Net(), (x, z), file, dynamo=False, input_names=["x", "z"])
    session = onnxruntime.InferenceSession(file.getvalue())
    (found,) = session.run(None, {"x": x.numpy(), "z": z.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), xcorr_depthwise(x, z))
