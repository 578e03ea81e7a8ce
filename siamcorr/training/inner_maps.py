"""Capture the outputs of inner modules, such as those of a head, or replace them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from torch import Tensor, nn


@contextmanager
def capture_outputs(
    module: nn.Module,
    names: Sequence[str],
    replacements: Mapping[str, Tensor] = MappingProxyType({}),
) -> Iterator[dict[str, Tensor]]:
    """Capture the outputs of submodules, by name, while the block runs; later calls overwrite.

    Args:
        module: their parent.
        names: names of submodules.
        replacements: tensors that the module then goes on with, by the name of the submodule.

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

            def keep(
                _: nn.Module, _inputs: object, output: Tensor, name: str = name
            ) -> Tensor | None:
                seen[name] = output
                return replacements.get(name)

            hooks.append(module.get_submodule(name).register_forward_hook(keep))
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
