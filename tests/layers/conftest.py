"""What the tests of layers share: numbers in every tensor, and which parameters learn."""

from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture
def randomized() -> Callable[[nn.Module], nn.Module]:
    """Fill parameters and statistics at random, so that none of them is 0 or 1; float64, eval."""

    def fill(module: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(0)
        module.double()
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
                if key.endswith("running_var"):
                    value.copy_(1 + noise.abs())
                elif value.dim() > 1:  # as large as a fresh layer's
                    value.copy_(noise * value[0].numel() ** -0.5)
                else:  # a norm's weights around 1, what shifts around 0
                    value.copy_(0.3 * noise + float(key.endswith("weight")))
        return module.eval()

    return fill


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
