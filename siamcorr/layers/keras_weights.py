"""Convert a Keras layer's arrays to PyTorch parameters, without importing Keras."""

from typing import Any

import torch
from torch import Tensor, nn


def keras_options(layer: Any, kernels: int) -> tuple[dict[str, Any], list[Tensor]]:
    """Read a built Keras layer: its options under our names, its weights in Keras's layout.

    Args:
        layer: the Keras layer.
        kernels: number of kernels that it must have: 1 for depthwise, 2 for separable.

    Raises:
        ValueError: the layer is of another kind, has no weights yet, or an activation.
    """
    config = layer.get_config()
    if "depth_multiplier" not in config:
        raise ValueError(f"{config.get('name')}: is not a depthwise or separable Keras convolution")
    weights = [_tensor(array) for array in layer.get_weights()]
    if not weights:
        raise ValueError(f"{config['name']}: has no weights yet; build the Keras layer first")
    found = len(weights) - config["use_bias"]
    if found != kernels:
        raise ValueError(
            f"{config['name']}: is of another kind: it has {found} kernels, not {kernels}"
        )
    if config["activation"] not in (None, "linear"):
        raise ValueError(
            f"{config['name']}: has the activation {config['activation']!r}, this module none; "
            "add the activation after the module"
        )
    options = {
        "kernel_size": tuple(config["kernel_size"]),
        "stride": tuple(config["strides"]),
        "padding": config["padding"],
        "dilation": tuple(config["dilation_rate"]),
        "depth_multiplier": config["depth_multiplier"],
        "bias": config["use_bias"],
        "dtype": weights[0].dtype,
    }
    return options, weights


def copy_depthwise(conv: nn.Conv2d, kernel: Any, bias: Any) -> None:
    """Copy kernel (kh, kw, C, M) and bias (C*M) to a convolution with groups=C."""
    per_channel = conv.out_channels // conv.in_channels
    shape = (*conv.weight.shape[2:], conv.in_channels, per_channel)
    array = _check_shape("depthwise kernel", kernel, shape)
    shift = _check_bias(conv, bias)
    with torch.no_grad():
        conv.weight.copy_(array.permute(2, 3, 0, 1).reshape(conv.weight.shape))
        if conv.bias is not None and shift is not None:
            conv.bias.copy_(shift)


def copy_separable(
    depthwise: nn.Conv2d, pointwise: nn.Conv2d, kernel: Any, mixing: Any, bias: Any
) -> None:
    """Copy kernels (kh, kw, C, M) and (1, 1, C*M, O), and bias (O), to the two convolutions."""
    shape = (1, 1, pointwise.in_channels, pointwise.out_channels)
    array = _check_shape("pointwise kernel", mixing, shape)
    shift = _check_bias(pointwise, bias)
    copy_depthwise(depthwise, kernel, None)
    with torch.no_grad():
        pointwise.weight.copy_(array.permute(3, 2, 0, 1))
        if pointwise.bias is not None and shift is not None:
            pointwise.bias.copy_(shift)


def _check_bias(conv: nn.Conv2d, bias: Any) -> Tensor | None:
    if (conv.bias is None) != (bias is None):
        raise ValueError(
            f"bias: the module has {'none' if conv.bias is None else 'one'}, "
            f"the weights have {'none' if bias is None else 'one'}"
        )
    return None if bias is None else _check_shape("bias", bias, (conv.out_channels,))


def _check_shape(name: str, array: Any, shape: tuple[int, ...]) -> Tensor:
    tensor = _tensor(array)
    if tensor.shape != shape:
        raise ValueError(f"{name}: must be {shape} in Keras's layout, got {tuple(tensor.shape)}")
    return tensor


def _tensor(array: Any) -> Tensor:
    # Copy, because Keras on JAX returns read-only arrays, and torch warns about those.
    return array if isinstance(array, Tensor) else torch.tensor(array)
