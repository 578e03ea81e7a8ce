"""Parameters, multiply-adds, receptive field and stride of a network, per layer."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from siamcorr.layers import Field, receptive_fields
from siamcorr.models import SiameseNetwork, Template


@dataclass(frozen=True)
class LayerRow:
    """A layer with all its submodules.

    Attributes:
        multiply_adds: of convolutions and linear layers only. Norms and activations cost very
            little, and the correlation has no parameters and is not counted.
        field: receptive field; None if the layer does not see the input image, as the template
            branch.
    """

    name: str
    kind: str
    depth: int
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    field: Field | None


class SearchSide(nn.Module):
    """The part of a network that runs on every frame, for a fixed template."""

    def __init__(self, network: SiameseNetwork, template: Template) -> None:
        super().__init__()
        self.network = network
        self.given = template

    def forward(self, image: Tensor) -> Any:
        """Process search images (B, 3, H, W)."""
        return self.network.search(image, self.given)


class TemplateSide(nn.Module):
    """The part of a network that runs once per target."""

    def __init__(self, network: SiameseNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Any:
        """Process template images (B, 3, h, w)."""
        return self.network.template(image)


def summarize(module: nn.Module, image: Tensor, depth: int = 3) -> list[LayerRow]:
    """Run a module once, and list its layers with their costs.

    Args:
        module: module in eval mode.
        image: input of the module, (1, C, H, W).
        depth: maximum depth of listed submodules.

    Returns:
        The executed layers in order; the first row is the module itself.

    Raises:
        ModuleNotFoundError: torchinfo is not installed.

    Example:
        >>> import torch
        >>> grouped = nn.Conv2d(4, 8, 3, groups=2, bias=False)
        >>> summarize(grouped, torch.rand(1, 4, 9, 9))[0].multiply_adds
        7056
    """
    from torchinfo import summary

    fields = receptive_fields(module, image)
    names = {id(child): name for name, child in module.named_modules()}
    info = summary(module, input_data=(image,), depth=64, verbose=0).summary_list
    rows = []
    for index, layer in enumerate(info):
        inside = [layer]
        for later in info[index + 1 :]:
            if later.depth <= layer.depth:
                break
            inside.append(later)
        if layer.depth > depth or not layer.executed:
            continue
        name = names.get(layer.layer_id, layer.var_name)
        rows.append(
            LayerRow(
                name,
                layer.class_name,
                layer.depth,
                tuple(layer.output_size),
                sum(p.numel() for p in layer.module.parameters()),
                sum(part.macs for part in inside if part.is_leaf_layer and _counts(part.module)),
                fields.get(name),
            )
        )
    return rows


def summary_table(rows: list[LayerRow]) -> str:
    """Format the rows as text, one line each."""
    head = ("layer", "kind", "output", "parameters", "multiply-adds", "field", "stride")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _cells(row: LayerRow) -> tuple[str, ...]:
    field = row.field
    return (
        "  " * row.depth + (row.name.rpartition(".")[2] or "all"),
        row.kind,
        " x ".join(str(side) for side in row.output),
        f"{row.parameters:,}" if row.parameters else "",
        f"{row.multiply_adds:,}" if row.multiply_adds else "",
        "" if field is None else _pair(field.height, field.width),
        "" if field is None else _pair(field.stride_y, field.stride_x),
    )


def _pair(height: int, width: int) -> str:
    return str(height) if height == width else f"{height} x {width}"


def _counts(module: nn.Module) -> bool:
    return isinstance(module, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d))
