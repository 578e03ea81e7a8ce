"""Older operator sets of ONNX: torch's exporter writes 18 and later, and many runtimes end before.

Most operators have only learnt more types since 13. Those that are written otherwise are rewritten
here; any that is not known to be one or the other is refused.
"""

from typing import Any

LOWEST = 13
WRITTEN = 18  # by torch's exporter

# The same in 13 as in 18, for the types and inputs that our graphs have.
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
# Attributes that came later; without them an operator does what our graphs want of it.
LATER = {
    "BatchNormalization": "training_mode",
    "Reshape": "allowzero",
    "Split": "num_outputs",  # the parts are of one size
}


def check_opset(opset: int) -> None:
    """Refuse with ValueError an opset that no graph can be written in."""
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not LOWEST <= opset <= newest:
        raise ValueError(
            f"opset {opset}: graphs can be written in {LOWEST} to {newest}, "
            f"the newest that onnx {onnx.__version__} knows"
        )


def lower_opset(model: Any, opset: int) -> None:
    """Write a model of opset 18 in an older one, 13 to 17, in place.

    Args:
        model: onnx.ModelProto.
        opset: the one wanted.

    Raises:
        ValueError: an operator that cannot be written so.
    """
    import onnx

    graph = model.graph
    values = _constants(graph)
    nodes: list[Any] = []
    for node in graph.node:
        nodes += _rewritten(node, values, opset)
    del graph.node[:]
    graph.node.extend(nodes)
    model.opset_import[0].version = opset
    # The oldest runtimes refuse a later file format too.
    model.ir_version = min(
        model.ir_version, onnx.helper.find_min_ir_version_for(model.opset_import)
    )
    onnx.checker.check_model(model)


def _constants(graph: Any) -> dict[str, Any]:
    """What has a value in the graph, by name."""
    from onnx import numpy_helper

    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return values


def _rewritten(node: Any, values: dict[str, Any], opset: int) -> list[Any]:
    """A node in the older set: itself, changed, or others in its place."""
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
    if kind == "ReduceMean" and node.input[1] in values:  # axes were an attribute
        axes = [int(axis) for axis in values[node.input[1]]]
        keep = next((entry.i for entry in node.attribute if entry.name == "keepdims"), 1)
        older = helper.make_node(
            kind, [node.input[0]], [*node.output], node.name, axes=axes, keepdims=keep
        )
        return [older]
    more = (kind == "Pad" and len(node.input) > 3) or (kind == "Shape" and node.attribute)
    if kind not in SAME or more:
        raise ValueError(f"opset {opset}: {kind} cannot be written in it, in {WRITTEN} it can")
    kept = [entry for entry in node.attribute if entry.name != LATER.get(kind)]
    del node.attribute[:]
    node.attribute.extend(kept)
    return [node]


def _since(kind: str, opset: int) -> int | None:
    """The version of an operator in a set; None if it has no such operator."""
    from onnx import defs

    try:
        return int(defs.get_schema(kind, opset).since_version)
    except defs.SchemaError:
        return None
