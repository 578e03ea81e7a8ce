"""Export: the conv form with static groups, the gemm form as what every runtime knows."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from siamcorr import xcorr_batched, xcorr_depthwise, xcorr_naive, xcorr_pixelwise

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
    """The graph, after onnxruntime has computed with it what we compute."""
    generator = torch.Generator().manual_seed(0)
    search = torch.randn(2, 4, 9, 8, generator=generator)
    template = torch.randn(shape, generator=generator)
    program = torch.onnx.export(Net(op, options), (search, template), dynamo=True, verbose=False)
    session = ort.InferenceSession(program.model_proto.SerializeToString())
    names = [value.name for value in session.get_inputs()]
    inputs = dict(zip(names, (search.numpy(), template.numpy()), strict=True))
    response = session.run(None, inputs)[0]
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
def test_onnx_of_what_is_chosen(op):
    """Whatever "auto" takes for a small template, other runtimes know it."""
    kinds = {node.op_type for node in exported(op, {}, (2, 4, 3, 2)).node}
    assert kinds <= GEMM_NODES | {"Conv"}
