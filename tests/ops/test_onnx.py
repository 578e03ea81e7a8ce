"""Export: conv as Conv with static groups, others as operators that every runtime supports."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from siamcorr import xcorr_batched, xcorr_depthwise, xcorr_naive, xcorr_pixelwise
from siamcorr.ops.export import NARROW, use_export_form

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

# The exporter's own: it touches deprecated parts of torch and of the libraries that it uses.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
GEMM_NODES = {"MatMul", "Reshape", "Transpose", "Slice", "Gather", "Add", "Pad"}
GEMM_NODES |= {"Concat", "ReduceSum", "Unsqueeze"}

CASES = [
    (xcorr_depthwise, {"method": "conv"}, (2, 4, 3, 2), {"Conv", "Reshape"}, 8),
    (xcorr_batched, {"method": "conv"}, (2, 8, 3, 2), {"Conv", "Reshape"}, 2),
    (xcorr_batched, {"method": "gemm"}, (2, 8, 3, 2), GEMM_NODES, None),
    (xcorr_naive, {"method": "gemm", "padding": 1}, (3, 4, 3, 2), GEMM_NODES, None),
    (xcorr_batched, {"method": "gemm", "dilation": 2}, (1, 4, 3, 2), GEMM_NODES, None),
    (xcorr_pixelwise, {}, (2, 4, 3, 2), GEMM_NODES, None),
    (xcorr_depthwise, {"method": "gemm"}, (2, 4, 3, 2), GEMM_NODES, None),
]


class Net(torch.nn.Module):
    """What a user exports: a module that calls the operator."""

    def __init__(self, op, options):
        super().__init__()
        self.op, self.options = op, options

    def forward(self, search: Tensor, template: Tensor) -> Tensor:
        return self.op(search, template, **self.options)


def exported(op, options, shape):
    """The graph, after a check that onnxruntime computes the same numbers."""
    generator = torch.Generator().manual_seed(0)
    search = torch.randn(2, 4, 9, 8, generator=generator)
    template = torch.randn(shape, generator=generator)
    program = torch.onnx.export(
        Net(op, options), (search, template), dynamo=True, optimize=True, verbose=False
    )
    session = ort.InferenceSession(program.model_proto.SerializeToString())
    names = [value.name for value in session.get_inputs()]
    feeds = dict(zip(names, (search.numpy(), template.numpy()), strict=True))
    response = session.run(None, feeds)[0]
    np.testing.assert_allclose(
        response, op(search, template, **options).numpy(), rtol=1e-5, atol=1e-5
    )
    return program.model_proto.graph


@pytest.mark.parametrize(("op", "options", "shape", "nodes", "groups"), CASES)
def test_onnx(op, options, shape, nodes, groups):
    graph = exported(op, options, shape)
    kinds = Counter(node.op_type for node in graph.node)
    assert set(kinds) <= nodes
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == (groups is not None)
    for node in convolutions:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        assert attributes["group"].i == groups


@pytest.mark.parametrize("op", [xcorr_naive, xcorr_batched, xcorr_depthwise])
def test_auto(op):
    """No Conv, whose weight would not be a constant, unless requested."""
    shape = (2, 4, 3, 2)
    assert {node.op_type for node in exported(op, {}, shape).node} <= GEMM_NODES
    with use_export_form("conv"):
        assert "Conv" in {node.op_type for node in exported(op, {}, shape).node}
        assert {node.op_type for node in exported(op, {"method": "fft"}, shape).node} <= GEMM_NODES
    with (
        pytest.raises(ValueError, match="one of auto, matmul, conv, got 'gemm'"),
        use_export_form("gemm"),
    ):
        pass


@pytest.mark.parametrize("correlation", ["matmul", "conv"])
@pytest.mark.parametrize(
    ("op", "channels", "width", "options"),
    [
        (xcorr_batched, 4, 8, {}),
        (xcorr_batched, 12, 8, {"dilation": 2, "padding": 1}),
        (xcorr_depthwise, 4, 8, {"dilation": 2, "padding": 1}),
        (xcorr_depthwise, 4, 16, {"padding": "same"}),
        (xcorr_depthwise, 4, NARROW + 1, {}),
        (xcorr_depthwise, 4, NARROW + 2, {}),
        (xcorr_depthwise, 4, 24, {"dilation": 2, "padding": 1}),
    ],
)
def test_values_as_without_export(op, channels, width, options, correlation):
    """Also for a shared template, and in half precision, which is summed in float32."""
    generator = torch.Generator().manual_seed(0)
    search = torch.randn(3, 4, 9, width, generator=generator)
    for batch in (1, 3):
        template = torch.randn(batch, channels, 3, 2, generator=generator)
        for dtype in (torch.float32, torch.float16):
            inputs = search.to(dtype), template.to(dtype)
            with use_export_form(correlation):
                program = torch.export.export(Net(op, options), inputs, strict=False)
            expected = op(*inputs, **options)
            found = program.module()(*inputs)
            assert found.dtype == dtype
            torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)


def test_any_batch():
    """The graph of two pairs serves five."""
    batch = torch.export.Dim("batch", max=1 << 20)
    for op, channels, width in (
        (xcorr_batched, 8, 8),
        (xcorr_depthwise, 4, 8),
        (xcorr_depthwise, 4, 24),
    ):
        inputs = torch.rand(2, 4, 9, width), torch.rand(2, channels, 3, 2)
        shapes = {"search": {0: batch}, "template": {0: batch}}
        program = torch.export.export(Net(op, {}), inputs, dynamic_shapes=shapes, strict=False)
        more = torch.rand(5, 4, 9, width), torch.rand(5, channels, 3, 2)
        torch.testing.assert_close(program.module()(*more), op(*more))


def test_any_size():
    """Another width of search, too, of which the graph knows nothing."""
    width = torch.export.Dim("width", min=4, max=1 << 10)
    shapes = {"search": {3: width}, "template": {}}
    template = torch.rand(2, 4, 3, 2)
    for op in (xcorr_batched, xcorr_depthwise):
        inputs = torch.rand(2, 4, 9, 8), template
        net = Net(op, {"padding": 1})
        program = torch.export.export(net, inputs, dynamic_shapes=shapes, strict=False)
        search = torch.rand(2, 4, 9, 24)
        torch.testing.assert_close(
            program.module()(search, template), op(search, template, padding=1)
        )
