"""Where the weights lie in a checkpoint, and under which keys: what training scripts wrap them in.

Lightning, DistributedDataParallel, torch.compile, timm and hand-written loops each nest the
state_dict under some name and put some word before its keys. None of our networks has a part of
such a name, so that all of it can be taken off.
"""

from typing import Any, NamedTuple

from torch import Tensor

from siamcorr.models.pickle_placeholders import Array

# Names of the averaged copy of the weights (EMA), which is the one that is meant for use.
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "params_ema")
NESTED = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights",
          "params", "module")  # fmt: skip
AVERAGED_PREFIXES = ("model_ema.", "ema_model.", "ema.", "module_ema.")
PREFIXES = ("module.", "model.", "net.", "network.", "_orig_mod.")
COUNTERS = ("n_averaged", "num_updates", "decay")  # that averaging keeps beside the weights
DEEPEST = 6  # wrappers within wrappers


class Unwrapped(NamedTuple):
    """The weights under the network's own keys, and the keys that are no part of the network."""

    state_dict: dict[str, Tensor]
    beside: tuple[str, ...]


def unwrap(content: object) -> Unwrapped | None:
    """Find the weights in what a checkpoint holds; an averaged copy goes before the last weights.

    Args:
        content: as it was unpickled.

    Returns:
        None where there are no weights, or something else among them.

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
    for prefixes in (AVERAGED_PREFIXES, *(PREFIXES,) * DEEPEST):
        table, others = _strip(table, prefixes)
        beside += others
    return Unwrapped(table, tuple(beside))


def _innermost(content: object, depth: int = DEEPEST) -> dict[str, Tensor] | None:
    """The table of tensors that content is, or holds under a name that says so."""
    if not isinstance(content, dict) or depth == 0:
        return None
    for name in (*AVERAGED, *NESTED):
        found = _innermost(content.get(name), depth - 1)
        if found is not None:
            return found
    return _tensors(content)


def _tensors(table: dict[Any, Any]) -> dict[str, Tensor] | None:
    """A table as tensors by keys of text, without counters; None if something else is in it."""
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
    """Keep what stands behind the first prefix that some key has, and name the rest."""
    for prefix in prefixes:
        inside = {k.removeprefix(prefix): v for k, v in table.items() if k.startswith(prefix)}
        if inside and set(inside) - set(COUNTERS):
            others = [key for key in table if not key.startswith(prefix)]
            return {k: v for k, v in inside.items() if k not in COUNTERS}, others
    return table, []
