"""Convert graphs to older ONNX opsets: torch writes 18 and later, many runtimes need less.

Most operators have only gained types since opset 13. Operators with another form are rewritten
here; unknown operators raise an error.
"""

from typing import Any

LOWEST = 13
WRITTEN = 18  # the oldest opset that torch's exporter writes

# Operators that are equal in 13 and 18 for the types and inputs of our graphs.
SAME = {
    "Add",
    "BatchNormalization",
    "Div",
    "Mul",
    "Pad",
    "Relu",
    "Reshape",
    "Shape",
    "Split",
    "Sub",
}
# Newer attributes, which our graphs do not need.
LATER = {
    "BatchNormalization": "training_mode",
    "Reshape": "allowzero",
    "Split": "num_outputs",  # the parts are of one size
}


def check_opset(opset: int) -> None:
    """Check the opset.

    Raises:
        ValueError: no graph can be written in this opset.
    """
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not LOWEST <= opset <= newest:
        raise ValueError(
            f"opset {opset}: graphs can be written in {LOWEST} to {newest}, "
            f"the newest that onnx {onnx.__version__} knows"
        )


def lower_opset(model: Any, opset: int) -> None:
    """Convert a model from opset 18 to an older one, 13 to 17, in place.

    Args:
        model: onnx.ModelProto.
        opset: the new opset.

    Raises:
        ValueError: an operator cannot be converted.
    """
    import onnx

    graph = model.graph
    values = _constants(graph)
    nodes: list[Any] = []
    for node in graph.node:
        nodes += _rewrite(node, values, opset)
    del graph.node[:]
    graph.node.extend(nodes)
    model.opset_import[0].version = opset
    # Old runtimes also refuse a newer file format.
    model.ir_version = min(
        model.ir_version, onnx.helper.find_min_ir_version_for(model.opset_import)
    )
    onnx.checker.check_model(model)


def _constants(graph: Any) -> dict[str, Any]:
    """Return the constants of a graph by name."""
    from onnx import numpy_helper

    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return values


def _rewrite(node: Any, values: dict[str, Any], opset: int) -> list[Any]:
    """Return the nodes that replace a node in the older opset."""
    from onnx import defs, helper

    kind = node.op_type
    if _since(kind, opset) == defs.get_schema(kind, WRITTEN).since_version:
        return [node]
    if kind == "HardSwish":  # x * HardSigmoid(x)
        gate = f"{node.output[0]}_gate"
        return [
            helper.make_node("HardSigmoid", [node.input[0]], [gate], alpha=1 / 6, beta=0.5),
            helper.make_node("Mul", [node.input[0], gate], [node.output[0]], node.name),
        ]
    if kind == "ReduceMean" and node.input[1] in values:  # before 18, axes are an attribute
        axes = [int(axis) for axis in values[node.input[1]]]
        keep = next((entry.i for entry in node.attribute if entry.name == "keepdims"), 1)
        older = helper.make_node(
            kind, [node.input[0]], [*node.output], node.name, axes=axes, keepdims=keep
        )
        return [older]
    more = (kind == "Pad" and len(node.input) > 3) or (kind == "Shape" and node.attribute)
    if kind not in SAME or more:
        raise ValueError(f"opset {opset}: {kind} cannot be written in it; use {WRITTEN} or later")
    kept = [entry for entry in node.attribute if entry.name != LATER.get(kind)]
    del node.attribute[:]
    node.attribute.extend(kept)
    return [node]


def _since(kind: str, opset: int) -> int | None:
    """Return the version of an operator in an opset; None if the opset does not have it."""
    from onnx import defs

    try:
        return int(defs.get_schema(kind, opset).since_version)
    except defs.SchemaError:
        return None
