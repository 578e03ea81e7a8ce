"""Operators before tensors of any shape, type and layout, and options of any value.

Each answers with numbers, or refuses by TypeError or ValueError in words of its own.
"""

import inspect
import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamcorr import ops

fuzz = settings.get_profile("fuzz")

OPERATORS = [getattr(ops, name) for name in ops.__all__ if name.startswith("xcorr_")]
DTYPES = [
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.int64, torch.uint8, torch.bool, torch.complex64),
]
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 9), st.floats(), st.text(max_size=5), st.just([1, 2])
)
OPTIONS = {
    "padding": st.integers(0, 4) | st.sampled_from(["valid", "same"]) | st.just(10**30) | ANYTHING,
    "dilation": st.integers(1, 3) | st.sampled_from([0, -1, 2**31, 10**30]) | ANYTHING,
    "scale": st.floats() | st.sampled_from([0, 1, 10**400]) | ANYTHING,
    "method": st.sampled_from(["auto", "conv", "gemm", "fft", "native", "triton"]) | ANYTHING,
    "reduction": st.sampled_from(["mean", "max", "none", "sum"]) | ANYTHING,
}


@st.composite
def tensors(draw, dtype, *first):
    """One that often fits: these sizes, then two of any; any strides."""
    rank = draw(st.sampled_from([len(first) + 2] * 9 + [0, 1, 3, 5]))
    sides = draw(st.lists(st.integers(0, 7), min_size=rank, max_size=rank))
    if draw(st.integers(0, 9)) and rank == len(first) + 2:
        sides[:-2] = first
    tensor = torch.randn(sides).to(dtype)
    layout = draw(st.sampled_from(["plain", "sliced", "last", "expanded", "turned"]))
    if layout == "sliced" and rank:
        tensor = torch.randn([2 * side for side in sides]).to(dtype)[(slice(None, None, 2),) * rank]
    if layout == "last" and rank == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    if layout == "expanded" and rank and sides[0]:
        tensor = tensor[:1].expand(sides)
    if layout == "turned" and rank > 1:
        tensor = tensor.mT
    return tensor


@st.composite
def calls(draw):
    operator = draw(st.sampled_from(OPERATORS))
    dtype, other = draw(st.sampled_from(DTYPES[:4])), draw(st.sampled_from(DTYPES))
    batch, channels = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    second = other if draw(st.integers(0, 9)) == 0 else dtype
    templates = [draw(st.sampled_from([batch, 1])), channels]
    if operator is ops.xcorr_multi:
        templates.insert(1, draw(st.integers(0, 3)))
    search = draw(tensors(dtype, batch, channels))
    template = draw(tensors(second, *templates))
    if draw(st.integers(0, 19)) == 0:
        search = draw(ANYTHING)
    known = inspect.signature(operator).parameters
    options = {
        name: draw(values)
        for name, values in OPTIONS.items()
        if name in known and draw(st.integers(0, 2)) == 0
    }
    return operator, search, template, options


@fuzz
@given(calls())
def test_any_call(call):
    operator, search, template, options = call
    try:
        response = operator(search, template, **options)
    except (TypeError, ValueError) as error:
        text = str(error)
        assert text.startswith(("xcorr_", 'method "triton" needs')), text
        assert len(text) < 1000
    else:
        assert response.dtype == search.dtype
        assert response.ndim in (4, 5)
        assert math.prod(response.shape) < 1 << 20
