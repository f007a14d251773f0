"""Four ways to the same convolution, and pooling: what a convolutional layer computes.

::

    y[n, k, i, j] = Σ_c Σ_u Σ_v  x[n, c, i·s + u·d, j·s + v·d] · w[k, c, u, v]      (stride s, dilation d)

Nets compute this *correlation*: the filter is not turned round. The ways differ in what they cost:

direct      a multiplication each for a filter's element: as many passes over the picture as the filter has
im2col      every window a row of a matrix, one product of matrices (Chellapilla, Puri, Simard 2006)
fft         the product of spectra (Mathieu, Henaff, LeCun 2014): the same for any size of filter
winograd    F(2×2, 3×3): 16 multiplications for 4 results instead of 36 (Lavin and Gray 2016)

Pictures are N, C, H, W here, as in PyTorch; ``simplecell.foundations.kernels`` has them N, H, W, C, as
TensorFlow, for the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from simplecell.errors import UserError

Array = NDArray[Any]


def output_size(size: int, filter_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Results along a side: ⌊(size + 2·padding − reach) / stride⌋ + 1, 0 where not one filter fits.

    The reach of a filter is (filter_size − 1)·dilation + 1.
    """
    reach = (filter_size - 1) * dilation + 1
    return max(0, (size + 2 * padding - reach) // stride + 1)


def convolve(
    pictures: Array,
    filters: Array,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    method: str = "im2col",
) -> Array:
    """The convolution of pictures N, C, H, W with filters K, C/groups, h, w: N, K, outputs.

    padding: zeros on each side. dilation: steps between the elements of a filter. groups: channels and
    filters are divided into so many parts that know nothing of each other; as many as channels is a depthwise
    convolution. method: a name of METHODS.
    Raises UserError where shapes do not fit, nothing comes out, or the method cannot do it.
    """
    _check(pictures, filters, stride, padding, dilation, groups)
    if method not in METHODS:
        raise UserError(f"there is no method {method!r}", remedy=f"take one of {', '.join(METHODS)}")
    padded = np.pad(pictures, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    parts = [
        METHODS[method](x, w, stride, dilation)
        for x, w in zip(np.split(padded, groups, 1), np.split(filters, groups, 0), strict=True)
    ]
    return parts[0] if groups == 1 else np.concatenate(parts, axis=1)


def _direct(padded: Array, filters: Array, stride: int, dilation: int) -> Array:
    tall, wide = _outputs(padded, filters, stride, dilation)
    found = np.zeros((len(padded), len(filters), tall, wide), np.result_type(padded, filters))
    for u in range(filters.shape[2]):
        for v in range(filters.shape[3]):
            rows = slice(u * dilation, u * dilation + (tall - 1) * stride + 1, stride)
            columns = slice(v * dilation, v * dilation + (wide - 1) * stride + 1, stride)
            found += np.einsum("nchw,kc->nkhw", padded[:, :, rows, columns], filters[:, :, u, v])
    return found


def _im2col(padded: Array, filters: Array, stride: int, dilation: int) -> Array:
    windows = _windows(padded, filters.shape[2:], stride, dilation)  # N, C, tall, wide, h, w
    count, _, tall, wide = windows.shape[:4]
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(count * tall * wide, -1)  # the one copy
    products = rows @ filters.reshape(len(filters), -1).T
    return products.reshape(count, tall, wide, -1).transpose(0, 3, 1, 2)


def _fft(padded: Array, filters: Array, stride: int, dilation: int) -> Array:
    tall, wide = _outputs(padded, filters, 1, dilation)
    size = padded.shape[2:]
    # A correlation is a convolution with the filter turned round: in the spectrum, its conjugate.
    spread = np.zeros((*filters.shape[:2], *size), filters.dtype)
    spread[
        :,
        :,
        : (filters.shape[2] - 1) * dilation + 1 : dilation,
        : (filters.shape[3] - 1) * dilation + 1 : dilation,
    ] = filters
    spectra = np.fft.rfft2(padded), np.conj(np.fft.rfft2(spread))
    product = np.einsum("nchw,kchw->nkhw", *spectra)
    found = np.fft.irfft2(product, size)[:, :, :tall, :wide]  # what lies behind has come round the edge
    whole: Array = found[:, :, ::stride, ::stride].astype(np.result_type(padded, filters))
    return whole


# Lavin and Gray 2016, section 4.1: Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A for a tile d, 4 × 4, and a filter g, 3 × 3.
_B = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]], np.float64)
_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float64)
_A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]], np.float64)


def _winograd(padded: Array, filters: Array, stride: int, dilation: int) -> Array:
    if filters.shape[2:] != (3, 3) or stride != 1 or dilation != 1:
        raise UserError(
            "Winograd's F(2×2, 3×3) is for filters of 3 × 3 at stride and dilation 1",
            remedy="take im2col for others",
        )
    kind = np.result_type(padded, filters)
    b, g, a = (matrix.astype(kind) for matrix in (_B, _G, _A))
    tall, wide = _outputs(padded, filters, 1, 1)
    odd = [(0, 0), (0, 0), (0, tall % 2), (0, wide % 2)]  # tiles give two rows and columns each
    tiles = sliding_window_view(np.pad(padded, odd), (4, 4), (2, 3))[
        :, :, ::2, ::2
    ]  # N, C, rows, columns, 4, 4
    count, channels, rows, columns = tiles.shape[:4]
    seen = np.einsum("ia,ncrsij,jb->abncrs", b, tiles, b, optimize=True).reshape(16, count, channels, -1)
    asked = np.einsum("ai,kcij,bj->abkc", g, filters, g, optimize=True).reshape(16, 1, len(filters), channels)
    product = (asked @ seen).reshape(4, 4, count, len(filters), rows, columns)  # 16 products of matrices
    made = np.einsum("ia,ijnkrs,jb->nkrasb", a, product, a, optimize=True)
    whole: Array = made.reshape(count, len(filters), 2 * rows, 2 * columns)[:, :, :tall, :wide]
    return whole


#: By name. Each takes padded pictures, filters, stride and dilation.
METHODS: dict[str, Callable[[Array, Array, int, int], Array]] = {
    "direct": _direct,
    "im2col": _im2col,
    "fft": _fft,
    "winograd": _winograd,
}


def convolution_gradients(
    pictures: Array,
    filters: Array,
    above: Array,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> tuple[Array, Array]:
    """∂C/∂pictures and ∂C/∂filters from ``above``, ∂C/∂y of the shape that ``convolve`` gives.

    Each element of a filter met its part of the picture once for each result: so it gathers the products of
    both, and hands the result's gradient, times itself, back to that part.
    """
    _check(pictures, filters, stride, padding, dilation, groups)
    padded = np.pad(pictures, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    to_pictures, to_filters = np.zeros_like(padded), np.zeros_like(filters)
    tall, wide = above.shape[2:]
    channels, kernels = filters.shape[1], len(filters) // groups
    for group in range(groups):
        c, k = slice(group * channels, (group + 1) * channels), slice(group * kernels, (group + 1) * kernels)
        for u in range(filters.shape[2]):
            for v in range(filters.shape[3]):
                rows = slice(u * dilation, u * dilation + (tall - 1) * stride + 1, stride)
                columns = slice(v * dilation, v * dilation + (wide - 1) * stride + 1, stride)
                part, given = padded[:, c, rows, columns], above[:, k]
                to_filters[k, :, u, v] = np.einsum("nkhw,nchw->kc", given, part, optimize=True)
                to_pictures[:, c, rows, columns] += np.einsum(
                    "nkhw,kc->nchw", given, filters[k, :, u, v], optimize=True
                )
    height, width = pictures.shape[2:]
    return to_pictures[:, :, padding : padding + height, padding : padding + width], to_filters


def pool(pictures: Array, size: int, stride: int = 0, kind: str = "max") -> Array:
    """The largest ("max") or the mean of each window of size × size: N, C, outputs. stride: 0 is the size."""
    step = stride or size
    if kind not in ("max", "mean"):
        raise UserError(f"there is no pooling {kind!r}", remedy="take max or mean")
    if size < 1 or step < 1 or min(pictures.shape[2:]) < size:
        raise UserError(
            f"no window of {size} × {size} fits pictures of the shape {pictures.shape}",
            remedy="give a smaller window, or larger pictures",
        )
    windows = _windows(pictures, (size, size), step, 1)
    found: Array = windows.max((4, 5)) if kind == "max" else windows.mean((4, 5))
    return found


def _windows(pictures: Array, size: tuple[int, ...], stride: int, dilation: int) -> Array:
    """All windows, without a copy: N, C, outputs, size."""
    reach = tuple((side - 1) * dilation + 1 for side in size)
    every = sliding_window_view(pictures, reach, (2, 3))
    return every[:, :, ::stride, ::stride, ::dilation, ::dilation]


def _outputs(padded: Array, filters: Array, stride: int, dilation: int) -> tuple[int, int]:
    tall, wide = (
        output_size(padded.shape[axis], filters.shape[axis], stride, 0, dilation) for axis in (2, 3)
    )
    return tall, wide


def _check(pictures: Array, filters: Array, stride: int, padding: int, dilation: int, groups: int) -> None:
    if pictures.ndim != 4 or filters.ndim != 4:
        raise UserError(
            f"the shapes {pictures.shape} of pictures and {filters.shape} of filters have not four sides",
            remedy="give N, C, H, W and K, C, h, w",
        )
    if min(stride, dilation, groups) < 1 or padding < 0:
        raise UserError("stride, dilation and groups are 1 at least, padding is 0", remedy="give larger ones")
    if len(filters) % groups or pictures.shape[1] != groups * filters.shape[1]:
        raise UserError(
            f"{pictures.shape[1]} channels and {len(filters)} filters of {filters.shape[1]} channels do not "
            f"make {groups} group(s)",
            remedy="give filters K, C / groups, h, w with K a multiple of groups",
        )
    sides = zip(pictures.shape[2:], filters.shape[2:], strict=True)
    if not all(output_size(side, own, stride, padding, dilation) for side, own in sides):
        raise UserError(
            f"filters of the shape {filters.shape} do not fit into pictures of the shape {pictures.shape}",
            remedy="give smaller filters, or padding",
        )
