"""Placeholders for the harmless objects that training scripts store beside their weights.

Examples are a numpy learning rate, an argparse.Namespace or a pathlib.Path. The unpickler maps
their names to placeholder classes, which store their arguments and do nothing else. So numpy
never runs on untrusted data.
"""

import math
from typing import Any

import torch
from torch import Tensor

# torch dtypes by numpy's dtype code.
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


class Placeholder:
    """Takes any arguments and any state, and stores them."""

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *arguments: Any, **named: Any) -> "Placeholder":
        """Store the arguments here: some unpicklers never call __init__."""
        made = super().__new__(cls)
        made.arguments = arguments
        return made

    def __init__(self, *arguments: Any, **named: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        """Store the state."""
        self.state = state


class Dtype(Placeholder):
    """Placeholder of numpy.dtype; its first argument is a code like "f4"."""


class Array(Placeholder):
    """Placeholder of numpy.ndarray; its state is (version, shape, dtype, column-major, bytes)."""

    def tensor(self) -> Tensor | None:
        """The array as a tensor; None if it is not a plain array of numbers."""
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
    """Encode text as latin1, which is how old pickles store bytes.

    Raises:
        ValueError: another encoding.
    """
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"encode: must be latin1, got {encoding!r}")
    return text.encode("latin1")


NUMPY = ("numpy.core", "numpy._core")  # names in numpy 1 and numpy 2
PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path")

# (placeholder, name that it replaces), as torch.serialization.safe_globals takes them.
ALLOWED: list[Any] = [
    *((Placeholder, f"{core}.multiarray.scalar") for core in NUMPY),
    *((Array, f"{core}.multiarray._reconstruct") for core in NUMPY),
    *((Array, f"{core}.numeric._frombuffer") for core in NUMPY),
    (Array, "numpy.ndarray"),
    (Dtype, "numpy.dtype"),
    (encode, "_codecs.encode"),
    (Placeholder, "argparse.Namespace"),
    *(
        (Placeholder, f"{module}.{name}")
        for module in ("pathlib", "pathlib._local")
        for name in PATHS
    ),
]
