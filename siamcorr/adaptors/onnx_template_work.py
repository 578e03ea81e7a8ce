"""Move work from a search graph, which runs on every frame, into the template graph."""

from collections.abc import Set
from typing import Any

KERNEL = "template_"  # the tensors between the graphs are template_0, template_1, …


def move_template_work(template: Any, search: Any) -> tuple[Any, Any]:
    """Move the nodes that depend on the template alone from the search graph.

    The tensors between the graphs change, but they are still float32, with the batch as their first
    dimension.

    Args:
        template: onnx.ModelProto of the template graph.
        search: onnx.ModelProto of the only search graph; its first input is the image.

    Returns:
        Both graphs; those that were given if there is nothing to move.
    """
    from onnx.compose import merge_models
    from onnx.utils import Extractor

    image, *given = [entry.name for entry in search.graph.input]
    needed = _passed(search.graph, given, frozenset())
    kept = [name for name in given if name in needed]
    moved = [name for name in needed if name not in given]
    if not moved:
        return template, search
    graph = Extractor(search)
    maps = [entry.name for entry in search.graph.output]
    rest = graph.extract_model([image, *kept, *moved], maps)
    work = graph.extract_model(given, moved)
    prefix = "search_"
    outputs = [*kept, *(prefix + name for name in moved)]
    links = [(name, name) for name in given]
    merged = merge_models(template, work, links, outputs=outputs, prefix2=prefix)
    del merged.opset_import[len(template.opset_import) :]  # it lists those of both
    _rename(merged.graph, {name: f"inner_{name}" for name in given} | _numbered(outputs))
    _rename(rest.graph, _numbered([*kept, *moved]))
    return merged, rest


def _passed(graph: Any, given: list[str], staying: Set[str]) -> list[str]:
    """Return what the nodes that depend on the image need of the given tensors and the others.

    Args:
        graph: onnx.GraphProto of the search.
        given: the template's tensors.
        staying: other tensors that are not passed, so their nodes stay in the graph.
    """
    constants = {entry.name for entry in graph.initializer}
    types = {entry.name: entry.type.tensor_type for entry in (*graph.value_info, *graph.input)}
    known, passed = {*given}, []
    for node in graph.node:
        inputs = {name for name in node.input if name and name not in constants}
        if inputs and inputs <= known and not staying & {*node.output}:
            known.update(node.output)
        else:
            passed += [name for name in node.input if name in known]
    first = types[given[0]]
    wrong = {name for name in passed if name not in given and not _alike(types.get(name), first)}
    return _passed(graph, given, staying | wrong) if wrong else [*dict.fromkeys(passed)]


def _alike(one: Any, other: Any) -> bool:
    """Whether two tensor types are known, and equal in element and first dimension."""
    if one is None or not one.shape.dim:
        return False
    return bool(one.elem_type == other.elem_type and one.shape.dim[0] == other.shape.dim[0])


def _numbered(names: list[str]) -> dict[str, str]:
    return {name: f"{KERNEL}{index}" for index, name in enumerate(names)}


def _rename(graph: Any, names: dict[str, str]) -> None:
    """Rename tensors in place."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for entry in (*graph.input, *graph.output, *graph.value_info):
        entry.name = names.get(entry.name, entry.name)
