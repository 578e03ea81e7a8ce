"""ONNX: a network's two sides as graphs.

OUT.onnx stands for OUT-template.onnx, run once a target, and OUT-search-255.onnx, run every frame;
a recipe that looks around when the target is lost has a second search graph for the larger crop.
Every file says in its metadata what preset it was made from. Whatever a graph computes in, float32
goes in and comes out.
"""

import copy
import json
import logging
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn

from siamcorr.adaptors.onnx_opset import WRITTEN, check_opset, lower_opset
from siamcorr.layers import fuse
from siamcorr.models import Preset, SiameseNetwork
from siamcorr.ops.export import Correlation, use_export_form

KEY = "siamcorr.preset"

Names = tuple[list[str], list[str]]  # of what goes into a graph and what comes out


@dataclass(frozen=True)
class ExportOptions:
    """How graphs are written.

    correlation: "conv" is Conv with the template as its weight, which many runtimes refuse;
        "matmul" is MatMul, with slices and sums; "auto" is what every runtime takes.
    opset: of ONNX, 13 or later.
    half: computes in float16, and is half as large.
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
    """Write the template's graph and the search graphs, norms folded in: all of them or none.

    Args:
        network: on the CPU.
        path: OUT.onnx; the files are called after it.
        options: None is those of `ExportOptions`.

    Returns:
        The files written.

    Raises:
        ModuleNotFoundError: onnx or onnxscript is not installed.
        ValueError: the network works on spectra, which ONNX cannot pass on; an opset that its
            graphs cannot be written in; conv with a dynamic batch.
    """
    preset, options = network.preset, options or ExportOptions()
    if preset.recipe.kind == "filter":
        raise ValueError(f"{preset.name}: its template is a complex spectrum, which ONNX lacks")
    if options.dynamic_batch and options.correlation == "conv":
        raise ValueError("correlation conv: its groups are the batch, which cannot be dynamic")
    check_opset(options.opset)
    fast = fuse(copy.deepcopy(network).eval()).cpu()
    crop, recipe = preset.crop, preset.recipe
    template_path, search_name = graph_paths(Path(path))
    batch = 2 if options.dynamic_batch else 1  # 0 and 1 would be taken for constants
    image = torch.rand(batch, 3, crop.template_size, crop.template_size) * 255
    template = fast.template(image)
    kernels = [f"template_{index}" for index in range(len(template))]
    if recipe.kind == "scales" and not options.dynamic_batch:
        batch = recipe.scales.count
    dtype = torch.float16 if options.half else torch.float32
    fast = fast.to(dtype)
    sides: dict[Path, tuple[nn.Module, tuple[Tensor, ...], Names]] = {
        template_path: (_Side(fast.template, fast, dtype), (image,), (["image"], kernels))
    }
    for size in filter(None, (crop.search_size, recipe.long_term.search_size)):
        call = _Side(lambda image, *template: fast.search(image, template), fast, dtype)
        inputs = torch.rand(batch, 3, size, size) * 255, *template
        names = ["image", *kernels], ["logits", "boxes"]
        sides[template_path.with_name(f"{search_name}{size}.onnx")] = call, inputs, names
    # At first beside the paths: a full disk leaves what was there.
    partials = {target: target.with_name(f".{target.name}.{os.getpid()}.part") for target in sides}
    try:
        for target, (side, tensors, names) in sides.items():
            _write(side, tensors, partials[target], names, preset, options)
        # The template's last, because its being there says that the others are.
        for target in reversed(partials):
            partials[target].replace(target)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
    return [*sides]


def graph_paths(path: Path) -> tuple[Path, str]:
    """For OUT.onnx: OUT-template.onnx, and how names of the search graphs beside it begin.

    Raises:
        ValueError: the name does not end in .onnx.
    """
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: the name must end in .onnx")
    return path.with_name(f"{path.stem}-template.onnx"), f"{path.stem}-search-"


class _Side(nn.Module):
    """One side of a network as a module of its own, with float32 tensors alone going in and out."""

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


def _write(
    side: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: Names,
    preset: Preset,
    options: ExportOptions,
) -> None:
    import onnx

    shapes = None
    if options.dynamic_batch:
        batch = torch.export.Dim("batch", max=1 << 20)
        shapes = (tuple({0: batch} for _ in inputs),)
    with (
        redirect_stdout(StringIO()),  # the exporter talks a lot
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
            text = f"{preset.name}: torch {torch.__version__} cannot write it as ONNX: {reason}"
            raise ValueError(text) from error
    assert program is not None
    model = program.model_proto
    weights = {entry.name: entry.dims for entry in model.graph.initializer}
    for node in model.graph.node:
        node.ClearField("metadata_props")  # where in which file of ours it comes from
        sized = any(entry.name == "kernel_shape" for entry in node.attribute)
        if node.op_type == "Conv" and node.input[1] in weights and not sized:  # OpenCV 4 wants it
            shape = onnx.helper.make_attribute("kernel_shape", weights[node.input[1]][2:])
            node.attribute.append(shape)
    if options.opset < WRITTEN:
        lower_opset(model, options.opset)
    written = model.opset_import[0].version
    if written != options.opset:
        raise ValueError(f"opset {options.opset}: torch {torch.__version__} writes {written}")
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(asdict(preset))
    onnx.save(model, path)
