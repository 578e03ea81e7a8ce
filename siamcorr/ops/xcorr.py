"""The three correlations of Siamese trackers: naive, batched, depthwise.

All slide a template z over a search x and sum the products (cross-correlation: no flip). They
differ in the pairing of searches and templates, and in whether channels are summed:

    naive      every search with every template, channels summed    SiamFC's first formulation
    batched    search b with its own template b, channels summed    SiamFC, SiamRPN
    depthwise  search b with template b, each channel by itself     SiamRPN++ and most after it

The order is (search, template), as in F.conv2d(input, weight). A call goes from here to
`checks.py`, then to `dispatch.py`, which calls a method, `autograd.py` or a graph's operator.
"""

from typing import Any

from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from siamcorr.ops.checks import Method, Padding, check_call, check_scale, pad_search
from siamcorr.ops.compute import response_to_spectrum
from siamcorr.ops.dispatch import dispatch, run
from siamcorr.ops.prepare import PreparedTemplate, check_prepared
from siamcorr.ops.shapes import OperatorName, Task


def xcorr_naive(
    search: Tensor,
    template: Tensor | PreparedTemplate,
    *,
    padding: Padding = "valid",
    dilation: int = 1,
    scale: float = 1.0,
    method: Method = "auto",
) -> Tensor:
    """Correlate every search with every template: all pairs.

    response[b, o, i, j] = scale * sum over c, u, v of x[b, c, i + d*u, j + d*v] * z[o, c, u, v]

    Args:
        search: x, (B, C, H, W).
        template: z, (O, C, h, w): O templates, independent of the batch; or the result of
            `siamcorr.prepare`, which includes all options.
        padding: zeros around search: an int, "valid" (0) or "same" (the response has search's
            size).
        dilation: d, distance of neighbouring template cells on the search, >= 1.
        scale: multiplies the template before the sum, so that half precision does not overflow.
        method: "auto" chooses by shape, dtype and device; "conv", "gemm", "fft", on a CPU "native"
            and on CUDA "triton" compute the same response up to rounding.

    Returns:
        (B, O, H', W') with H' = H + 2*padding - d*(h - 1), likewise W'; the dtype of search.

    Raises:
        TypeError: not tensors, or not of one floating dtype.
        ValueError: other shapes, different devices, a template larger than the padded search,
            an unknown padding, dilation or method.

    Reference:
        Bertinetto et al., Fully-Convolutional Siamese Networks, 2016, arXiv:1606.09549.

    Example:
        >>> import torch
        >>> xcorr_naive(torch.rand(3, 8, 22, 22), torch.rand(1, 8, 6, 6)).shape
        torch.Size([3, 1, 17, 17])
    """
    return _correlate("naive", search, template, padding, dilation, scale, method)


def xcorr_batched(
    search: Tensor,
    template: Tensor | PreparedTemplate,
    *,
    padding: Padding = "valid",
    dilation: int = 1,
    scale: float = 1.0,
    method: Method = "auto",
) -> Tensor:
    """Correlate each search with its own template, or with its own O templates.

    response[b, o, i, j] = scale * sum over c, u, v of
        x[b, c, i + d*u, j + d*v] * z[b, o*C + c, u, v]

    Args:
        search: x, (B, C, H, W).
        template: z, (B, O*C, h, w); O = 1 is SiamFC, O > 1 the up-channel form of SiamRPN. A
            batch of 1 serves every search.
        padding: as in `xcorr_naive`.
        dilation: as in `xcorr_naive`.
        scale: as in `xcorr_naive`.
        method: as in `xcorr_naive`.

    Returns:
        (B, O, H', W') with H' = H + 2*padding - d*(h - 1), likewise W'; the dtype of search.

    Raises:
        TypeError: not tensors, or not of one floating dtype.
        ValueError: a template batch that is neither 1 nor B, channels that are not a multiple of
            C, and all that `xcorr_naive` refuses.

    Reference:
        Bertinetto et al., 2016, arXiv:1606.09549 (O = 1). Li et al., High Performance Visual
        Tracking with Siamese Region Proposal Network, CVPR 2018 (O > 1).

    Example:
        >>> import torch
        >>> xcorr_batched(torch.rand(4, 8, 22, 22), torch.rand(4, 5 * 8, 6, 6)).shape
        torch.Size([4, 5, 17, 17])
    """
    return _correlate("batched", search, template, padding, dilation, scale, method)


def xcorr_depthwise(
    search: Tensor,
    template: Tensor | PreparedTemplate,
    *,
    padding: Padding = "valid",
    dilation: int = 1,
    scale: float = 1.0,
    method: Method = "auto",
) -> Tensor:
    """Correlate each search with its own template, channel by channel, without summing them.

    response[b, c, i, j] = scale * sum over u, v of x[b, c, i + d*u, j + d*v] * z[b, c, u, v]

    Args:
        search: x, (B, C, H, W).
        template: z, (B, C, h, w). A batch of 1 serves every search.
        padding: as in `xcorr_naive`.
        dilation: as in `xcorr_naive`.
        scale: as in `xcorr_naive`.
        method: as in `xcorr_naive`.

    Returns:
        (B, C, H', W') with H' = H + 2*padding - d*(h - 1), likewise W'; the dtype of search.

    Raises:
        TypeError: not tensors, or not of one floating dtype.
        ValueError: a template batch that is neither 1 nor B, and all that `xcorr_naive` refuses.

    Reference:
        Li et al., SiamRPN++: Evolution of Siamese Visual Tracking with Very Deep Networks,
        2018, arXiv:1812.11703.

    Example:
        >>> import torch
        >>> xcorr_depthwise(torch.rand(4, 8, 29, 29), torch.rand(4, 8, 5, 5)).shape
        torch.Size([4, 8, 25, 25])
    """
    return _correlate("depthwise", search, template, padding, dilation, scale, method)


OPERATORS = {"naive": xcorr_naive, "batched": xcorr_batched, "depthwise": xcorr_depthwise}


def _correlate(
    op: OperatorName,
    search: Tensor,
    template: Tensor | PreparedTemplate,
    padding: Padding,
    dilation: int,
    scale: float,
    method: Method,
) -> Tensor:
    if has_torch_function((search, template)):  # a subclass or mode must see one operator
        tensors: Any = (search, template)
        options: Any = {"padding": padding, "dilation": dilation, "scale": scale, "method": method}
        result: Tensor = handle_torch_function(OPERATORS[op], tensors, *tensors, **options)
        return result
    if isinstance(template, PreparedTemplate):
        if (padding, dilation, scale, method) != ("valid", 1, 1.0, "auto"):
            raise ValueError(
                f"xcorr_{op}: a prepared template includes its options; pass no others"
            )
        return _correlate_prepared(f"xcorr_{op}", search, template)
    call = check_call(op, search, template, padding, dilation, method)
    if type(scale) is not float:
        check_scale(f"xcorr_{op}", scale)
    return dispatch(search, template, scale, call)


def _correlate_prepared(name: str, search: Tensor, ready: PreparedTemplate) -> Tensor:
    """Compute the response to a prepared template, with its own options."""
    check_prepared(name, search, ready)
    search = pad_search(name, search, ready.template, ready.padding, ready.geometry.dilation)
    task = Task("response", ready.geometry.with_sizes(search.shape), ready.method)
    if ready.spectrum is None or search.shape[0] == 0:
        return run(search, ready.template, task)
    return response_to_spectrum(search, ready.spectrum, task)
