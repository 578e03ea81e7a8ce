"""ONNX: a network's two sides as graphs, and those graphs as a network that a tracker takes.

OUT.onnx stands for OUT-template.onnx, run once a target, and OUT-search-255.onnx, run every frame;
a recipe that looks around when the target is lost has a second search graph for the larger crop.
Every file says in its metadata what preset it was made from.
"""

import json
import logging
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from siamcorr.layers import Prediction, fuse
from siamcorr.models import Preset, SiameseNetwork, Template, build_model, cache_dir
from siamcorr.models.checkpoints import sha256
from siamcorr.models.config import from_mapping

OPSET = 18
KEY = "siamcorr.preset"


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
        template, pattern = graph_paths(Path(path))
        found = sorted(template.parent.glob(pattern))
        if not template.is_file() or not found:
            raise FileNotFoundError(f"{path}: no {template.name} and {pattern} beside it")
        count = threads or torch.get_num_threads()
        self._template = _session(template, count)
        self._search = {_size(graph): graph for graph in (_session(p, count) for p in found)}
        self.preset = _preset(self._template, template)
        self.device = torch.device("cpu")

    def template(self, image: Tensor) -> Template:
        """All that `search` needs of one template image (1, 3, h, w)."""
        return tuple(_run(self._template, [image]))

    def search(self, image: Tensor, template: Template) -> Prediction:
        """Look for a template in the search images of a frame (N, 3, H, W).

        Raises:
            ValueError: images of a size that was not exported.
        """
        size = image.shape[-1]
        if size not in self._search:
            raise ValueError(f"OnnxNetwork: no graph for {size} pixels, only {[*self._search]}")
        logits, boxes = _run(self._search[size], [image, *template])
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
    """Write the template's graph and the search graphs, norms folded in.

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
    preset, fast = network.preset, fuse(network.eval()).cpu()
    if preset.recipe.kind == "filter":
        raise ValueError(f"{preset.name}: its template is a complex spectrum, which ONNX lacks")
    crop, recipe = preset.crop, preset.recipe
    template_path, pattern = graph_paths(Path(path))
    image = torch.rand(1, 3, crop.template_size, crop.template_size) * 255
    template = fast.template(image)
    kernels = [f"template_{index}" for index in range(len(template))]
    written = []
    count = recipe.scales.count if recipe.kind == "scales" else 1
    for size in filter(None, (crop.search_size, recipe.long_term.search_size)):
        search = torch.rand(count, 3, size, size) * 255
        target = template_path.with_name(pattern.replace("*", str(size)))
        side = _Side(fast, lambda image, *template: fast.search(image, template))
        names = ["image", *kernels], ["logits", "boxes"]
        _write(side, (search, *template), target, names, preset)
        written.append(target)
    # Last, because its being there says that the others are.
    _write(_Side(fast, fast.template), (image,), template_path, (["image"], kernels), preset)
    return [template_path, *written]


def onnx_network(name: str, weights: Path) -> OnnxNetwork:
    """Graphs as a network: those that are named, or those of a checkpoint, exported once.

    Args:
        name: the preset, for a checkpoint.
        weights: OUT.onnx, or a .pth or .safetensors file; its graphs are kept in the cache.
    """
    if weights.suffix == ".onnx":
        return OnnxNetwork(weights)
    path = cache_dir() / f"{name}-{sha256(weights)[:16]}.onnx"
    if not graph_paths(path)[0].is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        export_onnx(build_model(name, weights), path)
    return OnnxNetwork(path)


def graph_paths(path: Path) -> tuple[Path, str]:
    """For OUT.onnx: OUT-template.onnx, and the pattern of the search graphs beside it.

    Raises:
        ValueError: the name does not end in .onnx.
    """
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: the name must end in .onnx")
    return path.with_name(f"{path.stem}-template.onnx"), f"{path.stem}-search-*.onnx"


def _write(
    side: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: tuple[list[str], list[str]],
    preset: Preset,
) -> None:
    """Export to a file beside the path, then rename: a full disk leaves what was there."""
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
    partial = path.with_name(f".{path.name}.part")
    try:
        onnx.save(model, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


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
