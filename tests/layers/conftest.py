"""What the tests of layers share: numbers in every tensor, and which parameters learn."""

from collections.abc import Callable

import pytest
from torch import nn


@pytest.fixture
def unreached() -> Callable[[nn.Module], list[str]]:
    """Names of the parameters that a backward pass left without a gradient.

    Where a norm in training follows, the gradient of a bias is 0; so 0 counts only in eval.
    """

    def names(module: nn.Module) -> list[str]:
        return [
            name
            for name, p in module.named_parameters()
            if p.grad is None
            or not p.grad.isfinite().all()
            or not (module.training or p.grad.any())
        ]

    return names
