"""Interchangeable methods to compute a correlation, one file each, with the same functions.

Each file has six functions, {batched, depthwise}_{response, search, template}: the correlation
and the gradients of its two arguments (see `siamcorr.ops.autograd`). They take two tensors and the
Geometry, and return the third tensor:

    OP_response(search, template, geometry)   -> the response, without padding
    OP_search(template, grad, geometry)       -> the gradient of search
    OP_template(search, grad, geometry)       -> the gradient of the template

where grad has the response's shape. Arguments are already checked, padded and scaled. A seventh
function, `work`, counts the method's work for the planner.
"""

from types import ModuleType

from siamcorr.ops.methods import conv, fft, gemm, native, triton

METHODS: dict[str, ModuleType] = {
    "conv": conv,
    "gemm": gemm,
    "fft": fft,
    "native": native,
    "triton": triton,
}
