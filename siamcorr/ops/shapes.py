"""The sizes of one correlation, for the methods and the planner."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Literal, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")

OperatorName = Literal["naive", "batched", "depthwise"]
Op = Literal["batched", "depthwise"]
Computed = Literal["response", "search", "template"]  # computed from the other two


@dataclass(frozen=True)
class Geometry:
    """The sizes of a correlation, after padding.

    op: "batched" sums the channels, "depthwise" keeps them. The naive correlation is a batched
        one with a shared template of O*C channels.
    search: (B, C, H, W).
    template: (B or 1, O*C, h, w) for batched, (B or 1, C, h, w) for depthwise.
    dilation: distance of neighbouring template cells on the search, >= 1.
    """

    op: Op
    search: tuple[int, ...]
    template: tuple[int, ...]
    dilation: int = 1

    @classmethod
    def of(
        cls,
        op: OperatorName,
        search: Tensor,
        template: Tensor,
        dilation: int,
        sides: list[int] | None = None,
    ) -> "Geometry":
        """The sizes of an operator's tensors; sides is the padding of search."""
        sizes: tuple[int, ...] = template.shape
        searched: tuple[int, ...] = search.shape
        if op == "naive":  # O templates for all searches: one shared template of O*C channels
            sizes = 1, sizes[0] * sizes[1], sizes[2], sizes[3]
        if sides:
            left, right, top, bottom = sides
            batch, channels, rows, columns = searched
            searched = batch, channels, rows + top + bottom, columns + left + right
        return cls("depthwise" if op == "depthwise" else "batched", searched, sizes, dilation)

    def to_integers(self) -> "Geometry":
        """Convert torch.compile's symbolic sizes to integers, which plans and tiles need."""
        search = tuple([operator.index(size) for size in self.search])
        template = tuple([operator.index(size) for size in self.template])
        return self.with_sizes(search, template)

    def with_sizes(
        self, search: tuple[int, ...], template: tuple[int, ...] | None = None
    ) -> "Geometry":
        """The same correlation with other sizes."""  # torch.compile may not support replace
        return Geometry(self.op, search, template or self.template, self.dilation)

    def each_channel(self) -> "Geometry":
        """The depthwise correlation with the same sizes."""
        return Geometry("depthwise", self.search, self.template, self.dilation)

    @property
    def outputs(self) -> int:
        """O: responses per search; 1 for depthwise."""
        return self.template[1] // self.search[1]

    @property
    def shared(self) -> bool:
        """Whether several searches share one template."""
        return self.template[0] == 1 < self.search[0]

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns of search that a dilated template covers."""
        return (
            (self.template[2] - 1) * self.dilation + 1,
            (self.template[3] - 1) * self.dilation + 1,
        )

    @property
    def response(self) -> tuple[int, int, int, int]:
        """(B, O, H', W') for batched, (B, C, H', W') for depthwise."""
        rows = self.search[2] - self.extent[0] + 1
        columns = self.search[3] - self.extent[1] + 1
        channels = self.outputs if self.op == "batched" else self.search[1]
        return self.search[0], channels, rows, columns

    @property
    def elements(self) -> float:
        """Elements of search, template and response together."""
        return float(sum(map(math.prod, (self.search, self.template, self.response))))

    @property
    def flops(self) -> int:
        """Useful floating point operations: one product and one sum per pair of cells."""
        batch, channels, _, _ = self.search
        _, _, rows, columns = self.response
        cells = self.template[2] * self.template[3]
        return 2 * batch * self.outputs * channels * cells * rows * columns


class Task(NamedTuple):
    """What to compute, and by which method; "auto" lets the planner choose."""

    computed: Computed
    geometry: Geometry
    method: str


def memoize(function: Callable[P, T]) -> Callable[P, T]:
    """Cache the results of a function of sizes; torch.compile traces the function itself."""
    cached = lru_cache(maxsize=4096)(function)

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        result: T = cached(*args, **kwargs)  # type: ignore[arg-type]
        return result

    return wrapper
