"""Capture the outputs of inner modules, such as those of a head."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def capture_outputs(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Capture the outputs of submodules, by name, while the block runs; later calls overwrite.

    Raises:
        AttributeError: there is no submodule with that name.

    Example:
        >>> import torch
        >>> chain = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU())
        >>> with capture_outputs(chain, ["0"]) as seen:
        ...     out = chain(torch.rand(1, 1, 4, 4))
        >>> torch.equal(seen["0"].relu(), out)
        True
    """
    seen: dict[str, Tensor] = {}
    hooks = []
    try:
        for name in names:

            def keep(_: nn.Module, _inputs: object, output: Tensor, name: str = name) -> None:
                seen[name] = output

            hooks.append(module.get_submodule(name).register_forward_hook(keep))
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
