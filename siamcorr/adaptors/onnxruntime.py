"""onnxruntime: exported graphs as a network that a tracker takes."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from glob import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siamcorr.adaptors.onnx import KEY, ExportOptions, export_onnx, graph_paths
from siamcorr.layers import Prediction
from siamcorr.models import Preset, Template, build_model, cache_dir, load_preset
from siamcorr.models.checkpoints import sha256
from siamcorr.models.config import from_mapping

Say = Callable[[str], None]


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
        """All that `search` needs of one template image (1, 3, h, w).

        Raises:
            ValueError: more than one image, or one of another size.
        """
        wanted = (1, *self._template.get_inputs()[0].shape[1:])  # of any batch, one is taken
        if image.shape != wanted:
            got = tuple(image.shape)
            raise ValueError(f"OnnxNetwork: its graph takes a template {wanted}, got {got}")
        return tuple(_run(self._template, [image]))

    def search(self, image: Tensor, template: Template) -> Prediction:
        """Look for templates (batch N or 1) in search images (N, 3, H, W).

        A graph of any batch runs once; one of a fixed batch in steps of that.

        Raises:
            ValueError: images of a size that was not exported, or a number that does not divide;
                a template batch that is neither 1 nor that of the images.
        """
        size = image.shape[-1]
        if size not in self._search:
            raise ValueError(f"OnnxNetwork: no graph for {size} pixels, only {[*self._search]}")
        graph = self._search[size]
        first_side = graph.get_inputs()[0].shape[0]
        any_batch = not isinstance(first_side, int)  # it has a name instead
        count = max(1, len(image)) if any_batch else first_side
        if len(image) % count:
            raise ValueError(f"OnnxNetwork: {len(image)} images, its graph takes {count} a target")
        batches = {len(part) for part in template}
        if not batches <= {1, len(image)}:
            raise ValueError(
                f"OnnxNetwork: the template batch must be 1 or that of the images, "
                f"got {max(batches)} for {len(image)}"
            )
        maps = [[torch.empty(0, *out.shape[1:]) for out in graph.get_outputs()]]
        for first in range(0, len(image), count):
            if any_batch:
                rows = [part.expand(count, *part.shape[1:]) for part in template]
            else:
                rows = [part[first : first + 1] if len(part) > 1 else part for part in template]
            maps.append(_run(graph, [image[first : first + count], *rows]))
        logits, boxes = (torch.cat(parts) for parts in zip(*maps, strict=True))
        return Prediction(logits, boxes)


def silent(text: str) -> None:
    """Say nothing."""


def onnx_network(name: str, weights: Path, say: Say = silent) -> OnnxNetwork:
    """Graphs as a network: those that are named, or those of a checkpoint, exported once.

    Args:
        name: the preset, for a checkpoint.
        weights: OUT.onnx, or a .pth or .safetensors file; its graphs are kept in the cache, by
            what the preset and the file hold.
        say: is told before graphs are made.
    """
    if weights.suffix == ".onnx":
        return OnnxNetwork(weights)
    preset = load_preset(name)
    made_from = sha256(weights) + json.dumps(asdict(preset))
    key = hashlib.sha256(made_from.encode()).hexdigest()[:16]
    path = cache_dir() / f"{preset.name}-{key}-any.onnx"
    if not graph_paths(path)[0].is_file():
        say(f"{name}: making graphs for onnxruntime, once")
        path.parent.mkdir(parents=True, exist_ok=True)
        # For any batch they take no longer, and many targets are one run.
        export_onnx(build_model(name, weights), path, ExportOptions(dynamic_batch=True))
    return OnnxNetwork(path)


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait for the next run in a loop would take the cores from torch and OpenCV.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
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
