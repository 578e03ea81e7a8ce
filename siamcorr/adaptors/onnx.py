"""ONNX: a network's two sides as graphs.

OUT.onnx stands for OUT-template.onnx, run once a target, and OUT-search-255.onnx, run every frame;
a recipe that looks around when the target is lost has a second search graph for the larger crop.
Every file says in its metadata what preset it was made from.
"""

import copy
import json
import logging
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn

from siamcorr.layers import fuse
from siamcorr.models import Preset, SiameseNetwork

OPSET = 18
KEY = "siamcorr.preset"

Names = tuple[list[str], list[str]]  # of what goes into a graph and what comes out


@torch.no_grad()
def export_onnx(network: SiameseNetwork, path: str | Path) -> list[Path]:
    """Write the template's graph and the search graphs, norms folded in: all of them or none.

    Sizes and batches are fixed: a grouped convolution in ONNX has no other way.

    Args:
        network: on the CPU.
        path: OUT.onnx; the files are called after it.

    Returns:
        The files written.

    Raises:
        ModuleNotFoundError: onnx or onnxscript is not installed.
        ValueError: the network works on spectra, which ONNX cannot pass on.
    """
    preset, fast = network.preset, fuse(copy.deepcopy(network).eval()).cpu()
    if preset.recipe.kind == "filter":
        raise ValueError(f"{preset.name}: its template is a complex spectrum, which ONNX lacks")
    crop, recipe = preset.crop, preset.recipe
    template_path, search_name = graph_paths(Path(path))
    image = torch.rand(1, 3, crop.template_size, crop.template_size) * 255
    template = fast.template(image)
    kernels = [f"template_{index}" for index in range(len(template))]
    count = recipe.scales.count if recipe.kind == "scales" else 1
    sides: dict[Path, tuple[nn.Module, tuple[Tensor, ...], Names]] = {
        template_path: (_Side(fast, fast.template), (image,), (["image"], kernels))
    }
    for size in filter(None, (crop.search_size, recipe.long_term.search_size)):
        call = _Side(fast, lambda image, *template: fast.search(image, template))
        inputs = torch.rand(count, 3, size, size) * 255, *template
        names = ["image", *kernels], ["logits", "boxes"]
        sides[template_path.with_name(f"{search_name}{size}.onnx")] = call, inputs, names
    # At first beside the paths: a full disk leaves what was there.
    partials = {target: target.with_name(f".{target.name}.{os.getpid()}.part") for target in sides}
    try:
        for target, (side, tensors, names) in sides.items():
            _write(side, tensors, partials[target], names, preset)
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
    """One side of a network as a module of its own, with tensors alone going in and out."""

    def __init__(self, network: nn.Module, call: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.network = network
        self.call = call

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.call(*tensors))


def _write(
    side: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: Names,
    preset: Preset,
) -> None:
    import onnx

    with redirect_stdout(StringIO()), warnings.catch_warnings():  # the exporter talks a lot
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            side.eval(),
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=names[0],
            output_names=names[1],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(asdict(preset))
    onnx.save(model, path)
