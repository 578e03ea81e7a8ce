"""Benchmark cases: shapes of known trackers, and the F.conv2d code that trackers copy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from siamcorr.ops import xcorr_batched, xcorr_depthwise, xcorr_naive
from siamcorr.ops.shapes import Geometry

OPS: dict[str, Callable[..., Tensor]] = {
    "naive": xcorr_naive,
    "batched": xcorr_batched,
    "depthwise": xcorr_depthwise,
}


@dataclass(frozen=True)
class Case:
    """One case: an operator with a shape, forward only or forward and backward.

    z and x are the sides of template and search; both are square.
    """

    op: Literal["naive", "batched", "depthwise"]
    batch: int
    channels: int
    z: int
    x: int
    backward: bool = False

    @property
    def geometry(self) -> Geometry:
        """The shapes in the planner's form."""
        b, c, z, x = self.batch, self.channels, self.z, self.x
        kind: Literal["batched", "depthwise"] = "depthwise" if self.op == "depthwise" else "batched"
        return Geometry(kind, (b, c, x, x), (1 if self.op == "naive" else b, c, z, z))

    @property
    def passes(self) -> int:
        """Contractions per run: one for the response, two for the gradients."""
        return 3 if self.backward else 1

    @property
    def flops(self) -> int:
        """Useful floating point operations per run."""
        return self.geometry.flops * self.passes

    @property
    def label(self) -> str:
        """Text for the table: batch, channels, template / search."""
        return f"{self.batch}, {self.channels}, {self.z}/{self.x}"

    def tensors(self, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
        """Return random search and template, the same in every run."""
        generator = torch.Generator().manual_seed(0)
        shapes = self.geometry.search, self.geometry.template
        search, template = (torch.randn(shape, generator=generator) for shape in shapes)
        return search.to(device, dtype), template.to(device, dtype)

    def pasted(self, search: Tensor, template: Tensor) -> Tensor:
        """Compute the response as pysot and SiamFC's public code do: F.conv2d, batch as groups."""
        batch, channels, height, width = search.shape
        if self.op == "naive":
            return F.conv2d(search, template)
        groups = batch if self.op == "batched" else batch * channels
        kernels = template.view(groups, -1, *template.shape[2:])
        folded = search.view(1, batch * channels, height, width)
        response = F.conv2d(folded, kernels, groups=groups)
        return response.view(batch, -1, *response.shape[2:])


def quick_cases() -> list[Case]:
    """Return the cases whose times the project documents."""
    batched = [Case("batched", b, 256, 6, 22) for b in (1, 8, 32)] + [
        Case("batched", 8, 256, 17, 49),
        Case("naive", 3, 256, 6, 22),
        Case("naive", 1, 64, 127, 255),
        Case("batched", 1, 64, 127, 255),
        Case("batched", 8, 256, 6, 22, backward=True),
        Case("batched", 32, 256, 6, 22, backward=True),
    ]
    depthwise = [
        Case("depthwise", 8, 256, 5, 29, backward=True),
        Case("depthwise", 8, 256, 7, 31, backward=True),
        Case("depthwise", 1, 256, 63, 127),
        Case("depthwise", 1, 64, 127, 255),
        Case("depthwise", 1, 256, 31, 63),
    ]
    small = [(6, 22), (5, 29), (7, 31), (17, 49)]
    depthwise += [Case("depthwise", b, 256, z, x) for z, x in small for b in (1, 8)]
    depthwise += [Case("depthwise", b, 96, 4, 18) for b in (1, 8)]  # NanoTrack v3, padded
    return batched + depthwise


def full_cases() -> list[Case]:
    """Return all operators, shapes and batches, forward and backward."""
    shapes = [(6, 22), (5, 29), (7, 31), (8, 16), (17, 49), (31, 63), (63, 127), (127, 255)]
    return [
        Case(op, batch, 64 if x == 255 else 256, z, x, backward)
        for op in ("naive", "batched", "depthwise")
        for z, x in shapes
        for batch in (1, 8, 32)
        for backward in (False, True)
    ]
