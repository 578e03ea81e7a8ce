"""ONNX: a network's two sides as graphs, and those graphs as a network that a tracker takes.

OUT.onnx stands for OUT-template.onnx, run once a target, and OUT-search-255.onnx, run every frame;
a recipe that looks around when the target is lost has a second search graph for the larger crop.
Every file says in its metadata what preset it was made from.
"""

import copy
import hashlib
import json
import logging
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict
from glob import escape
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from siamcorr.layers import Prediction, fuse
from siamcorr.models import (
    Preset,
    SiameseNetwork,
    Template,
    build_model,
    cache_dir,
    load_preset,
)
from siamcorr.models.checkpoints import sha256
from siamcorr.models.config import from_mapping

OPSET = 18
KEY = "siamcorr.preset"

Names = tuple[list[str], list[str]]  # of what goes into a graph and what comes out


class OnnxNetwork:
    """Exported graphs, run by onnxruntime on the CPU; a `Tracker` takes it as it takes a network.

    Args:
        path: the OUT.onnx that `export_onnx` was given.
        threads: that onnxruntime may use; None is as many as torch does.

    Raises:
        ModuleNotFoundError: onnxruntime is not installed.
        OSError: a file is not there.
        ValueError: a file is no graph of ours.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        template, search = graph_paths(Path(path))
        found = sorted(template.parent.glob(f"{escape(search)}*.onnx"))
        if not template.is_file() or not found:
            raise FileNotFoundError(f"{path}: no {template.name} and {search}*.onnx beside it")
        count = threads or torch.get_num_threads()
        self._template = _session(template, count)
        self._search = {_size(graph): graph for graph in (_session(p, count) for p in found)}
        self.preset = _preset(self._template, template)
        self.device = torch.device("cpu")

    def template(self, image: Tensor) -> Template:
        """All that `search` needs of one template image (1, 3, h, w)."""
        return tuple(_run(self._template, [image]))

    def search(self, image: Tensor, template: Template) -> Prediction:
        """Look for templates (batch N or 1) in search images (N, 3, H, W), in graph-sized steps.

        Raises:
            ValueError: images of a size that was not exported, or a number that does not divide.
        """
        size = image.shape[-1]
        if size not in self._search:
            raise ValueError(f"OnnxNetwork: no graph for {size} pixels, only {[*self._search]}")
        graph = self._search[size]
        count = int(graph.get_inputs()[0].shape[0])
        if len(image) % count:
            raise ValueError(f"OnnxNetwork: {len(image)} images, its graph takes {count} a target")
        maps = []
        for first in range(0, len(image), count):
            rows = [part[first : first + 1] if len(part) > 1 else part for part in template]
            maps.append(_run(graph, [image[first : first + count], *rows]))
        logits, boxes = (torch.cat(parts) for parts in zip(*maps, strict=True))
        return Prediction(logits, boxes)


class _Side(nn.Module):
    """One side of a network as a module of its own, with tensors alone going in and out."""

    def __init__(self, network: nn.Module, call: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.network = network
        self.call = call

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.call(*tensors))


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


def onnx_network(name: str, weights: Path) -> OnnxNetwork:
    """Graphs as a network: those that are named, or those of a checkpoint, exported once.

    Args:
        name: the preset, for a checkpoint.
        weights: OUT.onnx, or a .pth or .safetensors file; its graphs are kept in the cache, by
            what the preset and the file hold.
    """
    if weights.suffix == ".onnx":
        return OnnxNetwork(weights)
    preset = load_preset(name)
    made_from = sha256(weights) + json.dumps(asdict(preset))
    key = hashlib.sha256(made_from.encode()).hexdigest()[:16]
    path = cache_dir() / f"{preset.name}-{key}.onnx"
    if not graph_paths(path)[0].is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        export_onnx(build_model(name, weights), path)
    return OnnxNetwork(path)


def graph_paths(path: Path) -> tuple[Path, str]:
    """For OUT.onnx: OUT-template.onnx, and how names of the search graphs beside it begin.

    Raises:
        ValueError: the name does not end in .onnx.
    """
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: the name must end in .onnx")
    return path.with_name(f"{path.stem}-template.onnx"), f"{path.stem}-search-"


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


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own kinds, which it does not document
        raise ValueError(f"{path}: not an ONNX graph ({str(error).splitlines()[0]})") from None


def _size(session: Any) -> int:
    return int(session.get_inputs()[0].shape[-1])


def _preset(session: Any, path: Path) -> Preset:
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise ValueError(f"{path}: does not say what preset it was made from")
    return from_mapping(Preset, json.loads(text), path.name)


def _run(session: Any, tensors: list[Tensor]) -> list[Tensor]:
    feeds = {
        entry.name: tensor.contiguous().numpy()
        for entry, tensor in zip(session.get_inputs(), tensors, strict=True)
    }
    return [torch.from_numpy(array) for array in session.run(None, feeds)]
