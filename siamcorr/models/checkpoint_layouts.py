"""Find the state_dict inside a checkpoint, and remove the prefixes of its keys.

Lightning, DistributedDataParallel, torch.compile, timm and hand-written loops nest the state_dict
under different names and add prefixes to its keys. No key of our networks starts with such a
prefix, so all of them can be removed.
"""

from typing import Any, NamedTuple

from torch import Tensor

from siamcorr.models.pickle_placeholders import Array

# Names of the averaged weights (EMA), which are the ones meant for inference.
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "params_ema")
NESTED = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights",
          "params", "module")  # fmt: skip
AVERAGED_PREFIXES = ("model_ema.", "ema_model.", "ema.", "module_ema.")
PREFIXES = ("module.", "model.", "net.", "network.", "_orig_mod.")
COUNTERS = ("n_averaged", "num_updates", "decay")  # values that averaging stores with the weights
MAX_DEPTH = 6  # of nested wrappers


class Unwrapped(NamedTuple):
    """The weights under the network's own keys, and the keys outside the network."""

    state_dict: dict[str, Tensor]
    beside: tuple[str, ...]


def unwrap(content: object) -> Unwrapped | None:
    """Find the weights in a checkpoint; averaged weights are preferred over the last ones.

    Args:
        content: the unpickled object.

    Returns:
        None if there are no weights, or other objects among them.

    Example:
        >>> import torch
        >>> plain = {"net.module.backbone.weight": torch.zeros(1), "loss.scale": torch.ones(1)}
        >>> unwrap({"epoch": 3, "state_dict": plain})
        Unwrapped(state_dict={'backbone.weight': tensor([0.])}, beside=('loss.scale',))
    """
    table = _innermost(content)
    if table is None:
        return None
    beside: list[str] = []
    for prefixes in (AVERAGED_PREFIXES, *(PREFIXES,) * MAX_DEPTH):
        table, others = _strip(table, prefixes)
        beside += others
    return Unwrapped(table, tuple(beside))


def _innermost(content: object, depth: int = MAX_DEPTH) -> dict[str, Tensor] | None:
    """The table of tensors: content itself, or an entry under one of the known names."""
    if not isinstance(content, dict) or depth == 0:
        return None
    for name in (*AVERAGED, *NESTED):
        found = _innermost(content.get(name), depth - 1)
        if found is not None:
            return found
    return _tensors(content)


def _tensors(table: dict[Any, Any]) -> dict[str, Tensor] | None:
    """Tensors by str key, without the counters; None if the table holds anything else."""
    found: dict[str, Tensor] = {}
    for key, value in table.items():
        if not isinstance(key, str):
            return None
        if key in COUNTERS:
            continue
        tensor = value.tensor() if isinstance(value, Array) else value
        if not isinstance(tensor, Tensor):
            return None
        found[key] = tensor
    return found or None


def _strip(
    table: dict[str, Tensor], prefixes: tuple[str, ...]
) -> tuple[dict[str, Tensor], list[str]]:
    """Keep the keys with the first prefix that occurs, without it; also return the other keys."""
    for prefix in prefixes:
        inside = {k.removeprefix(prefix): v for k, v in table.items() if k.startswith(prefix)}
        if inside and set(inside) - set(COUNTERS):
            others = [key for key in table if not key.startswith(prefix)]
            return {k: v for k, v in inside.items() if k not in COUNTERS}, others
    return table, []
