"""What stands in for the harmless objects that training scripts leave beside their weights.

A learning rate in numpy, an argparse.Namespace, a pathlib.Path: their names are known, and the
objects are of no use here. So their names lead to stand-ins, which keep what they are given and
do nothing with it; numpy itself is never called on a stranger's data.
"""

import math
from typing import Any

import torch
from torch import Tensor

# Bytes of an array by the code of its dtype, as numpy writes it.
DTYPES = {
    "f8": torch.float64,
    "f4": torch.float32,
    "f2": torch.float16,
    "i8": torch.int64,
    "i4": torch.int32,
    "i2": torch.int16,
    "i1": torch.int8,
    "u1": torch.uint8,
    "b1": torch.bool,
}


class StandIn:
    """Takes any arguments and any state, and keeps them."""

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *arguments: Any, **named: Any) -> "StandIn":
        """Keep the arguments; unpicklers call this, and some of them nothing else."""
        made = super().__new__(cls)
        made.arguments = arguments
        return made

    def __init__(self, *arguments: Any, **named: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        """Keep the state."""
        self.state = state


class Dtype(StandIn):
    """A numpy.dtype; its first argument is a code like "f4"."""


class Array(StandIn):
    """A numpy.ndarray; its state is (version, shape, dtype, column-major, bytes)."""

    def tensor(self) -> Tensor | None:
        """The same numbers; None for what is no plain array of numbers."""
        try:
            _, shape, dtype, column_major, content = self.state
            kind = DTYPES[dtype.arguments[0]]
            order = dtype.state[1]
            sizes = [int(size) for size in shape]
        except (TypeError, ValueError, KeyError, AttributeError, IndexError):
            return None
        plain = isinstance(content, bytes) and order in ("<", "|") and column_major in (0, False)
        if (
            not plain
            or min(sizes, default=0) < 0
            or len(content) != math.prod(sizes) * kind.itemsize
        ):
            return None
        if not content:
            return torch.zeros(sizes, dtype=kind)
        return torch.frombuffer(bytearray(content), dtype=kind).reshape(sizes)


def encode(text: str, encoding: str = "latin1") -> bytes:
    """How old pickles spell bytes; no other encoding is looked up.

    Raises:
        ValueError: another encoding.
    """
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"encode: must be latin1, got {encoding!r}")
    return text.encode("latin1")


NUMPY = ("numpy.core", "numpy._core")  # as numpy 1 and numpy 2 call it
PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path")

# Pairs of what stands in and the name that it stands in for, as torch.serialization takes them.
ALLOWED: list[Any] = [
    *((StandIn, f"{core}.multiarray.scalar") for core in NUMPY),
    *((Array, f"{core}.multiarray._reconstruct") for core in NUMPY),
    *((Array, f"{core}.numeric._frombuffer") for core in NUMPY),
    (Array, "numpy.ndarray"),
    (Dtype, "numpy.dtype"),
    (encode, "_codecs.encode"),
    (StandIn, "argparse.Namespace"),
    *((StandIn, f"{module}.{name}") for module in ("pathlib", "pathlib._local") for name in PATHS),
]
