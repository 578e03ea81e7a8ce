"""ONNX export: a network's template branch and search branch as graphs.

OUT.onnx stands for OUT-template.onnx, which runs once per target, and OUT-search-255.onnx, which
runs on every frame. A recipe with a larger crop for lost targets has a second search graph.
Every file has its preset in the metadata. Inputs and outputs are float32, also in float16 graphs.
"""

import json
import logging
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from siamcorr.adaptors.onnx_opset import WRITTEN, check_opset, lower_opset
from siamcorr.adaptors.onnx_template_work import KERNEL, move_template_work
from siamcorr.models import Preset, SiameseNetwork
from siamcorr.models.inference import fuse_network
from siamcorr.ops.export import Correlation, use_export_form

KEY = "siamcorr.preset"

Names = tuple[list[str], list[str]]  # of a graph's inputs and outputs


@dataclass(frozen=True)
class ExportOptions:
    """Options of the export.

    Args:
        correlation: "conv" is Conv with the template as its weight, which many runtimes do not
            support; "matmul" is MatMul, with slices and sums; "auto" is what every runtime
            supports.
        opset: ONNX operator set, 13 or later.
        half: compute in float16, with half the size.
        dynamic_batch: images (N, 3, H, W) with templates (N, ...), for any N; else one target.
    """

    correlation: Correlation = "auto"
    opset: int = WRITTEN
    half: bool = False
    dynamic_batch: bool = False


@torch.no_grad()
def export_onnx(
    network: SiameseNetwork, path: str | Path, options: ExportOptions | None = None
) -> list[Path]:
    """Write the template graph and the search graphs with folded norms: all of them or none.

    Args:
        network: network on the CPU.
        path: OUT.onnx, the base of the files' names.
        options: None is the default of `ExportOptions`.

    Returns:
        The written files.

    Raises:
        ModuleNotFoundError: onnx or onnxscript is not installed.
        ValueError: the network's template is a complex spectrum, which ONNX does not support; the
            graphs cannot be written in this opset; conv with a dynamic batch.
    """
    preset, options = network.preset, options or ExportOptions()
    if preset.recipe.kind == "filter":
        raise ValueError(f"{preset.name}: its template is a complex spectrum, which ONNX lacks")
    if options.dynamic_batch and options.correlation == "conv":
        raise ValueError("correlation conv: its groups are the batch, which cannot be dynamic")
    check_opset(options.opset)
    fast = fuse_network(network).cpu()
    crop, recipe = preset.crop, preset.recipe
    template_path, search_name = graph_paths(Path(path))
    batch = 2 if options.dynamic_batch else 1  # torch.export treats 0 and 1 as constants
    image = torch.rand(batch, 3, crop.template_size, crop.template_size) * 255
    template = fast.template(image)
    kernels = [f"{KERNEL}{index}" for index in range(len(template))]
    if recipe.kind == "scales" and not options.dynamic_batch:
        batch = recipe.scales.count
    dtype = torch.float16 if options.half else torch.float32
    fast = fast.to(dtype)
    sides: dict[Path, tuple[nn.Module, tuple[Tensor, ...], Names]] = {
        template_path: (_Branch(fast.template, fast, dtype), (image,), (["image"], kernels))
    }
    for size in filter(None, (crop.search_size, recipe.long_term.search_size)):
        call = _Branch(lambda image, *template: fast.search(image, template), fast, dtype)
        inputs = torch.rand(batch, 3, size, size) * 255, *template
        names = ["image", *kernels], ["logits", "boxes"]
        sides[template_path.with_name(f"{search_name}{size}.onnx")] = call, inputs, names
    models = {target: _export(*side, options, preset.name) for target, side in sides.items()}
    if len(models) == 2 and not recipe.update_rate:  # templates are not mixed
        models = dict(zip(models, move_template_work(*models.values()), strict=True))
    # Write temporary files first: a full disk must not destroy older graphs.
    partials = {target: target.with_name(f".{target.name}.{os.getpid()}.part") for target in sides}
    try:
        for target, model in models.items():
            _write(model, partials[target], preset, options.opset)
        # The template graph last: its file marks a complete export.
        for target in reversed(partials):
            partials[target].replace(target)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
    return [*sides]


def graph_paths(path: Path) -> tuple[Path, str]:
    """Return, for OUT.onnx, the path OUT-template.onnx and the name prefix of the search graphs.

    Raises:
        ValueError: the name does not end in .onnx.
    """
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: the name must end in .onnx")
    return path.with_name(f"{path.stem}-template.onnx"), f"{path.stem}-search-"


class _Branch(nn.Module):
    """One branch of a network as a module with float32 inputs and outputs."""

    def __init__(
        self, call: Callable[..., tuple[Tensor, ...]], network: nn.Module, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.call = call
        self.network = network
        self.dtype = dtype

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        results = self.call(*(tensor.to(self.dtype) for tensor in tensors))
        return tuple(result.float() for result in results)


def _export(
    side: nn.Module,
    inputs: tuple[Tensor, ...],
    names: Names,
    options: ExportOptions,
    preset: str,
) -> Any:
    """Export one side; returns an onnx.ModelProto, in opset 18 or later."""
    shapes = None
    if options.dynamic_batch:
        batch = torch.export.Dim("batch", max=1 << 20)
        shapes = (tuple({0: batch} for _ in inputs),)
    with (
        redirect_stdout(StringIO()),  # the exporter prints a lot
        warnings.catch_warnings(),
        use_export_form(options.correlation),
    ):
        warnings.simplefilter("ignore")
        for name in ("torch.onnx", "onnxscript"):
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                side.eval(),
                inputs,
                dynamo=True,
                opset_version=max(WRITTEN, options.opset),
                input_names=names[0],
                output_names=names[1],
                dynamic_shapes=shapes,
                optimize=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            text = f"{preset}: torch {torch.__version__} cannot write it as ONNX: {reason}"
            raise ValueError(text) from error
    assert program is not None
    return program.model_proto


def _write(model: Any, path: Path, preset: Preset, opset: int) -> None:
    import onnx

    weights = {entry.name: entry.dims for entry in model.graph.initializer}
    for node in model.graph.node:
        node.ClearField("metadata_props")  # paths and lines of our source files
        sized = any(entry.name == "kernel_shape" for entry in node.attribute)
        if node.op_type == "Conv" and node.input[1] in weights and not sized:  # OpenCV 4 needs it
            shape = onnx.helper.make_attribute("kernel_shape", weights[node.input[1]][2:])
            node.attribute.append(shape)
    if opset < WRITTEN:
        lower_opset(model, opset)
    written = model.opset_import[0].version
    if written != opset:
        raise ValueError(f"opset {opset}: torch {torch.__version__} writes {written}")
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(asdict(preset))
    onnx.save(model, path)
