"""Convolution and pooling of pictures N, H, W, C, with their gradients, on NumPy.

A convolution is one product of matrices (Chellapilla, Puri, Simard: High performance convolutional neural
networks for document processing, 2006): every window of the picture becomes a row ("im2col"), the filters
become the columns. It is done for a few pictures at a time, so that the rows stay in the processor's cache.

Padding is TensorFlow's: "VALID" adds nothing; "SAME" makes ceil(size / stride) of a side, and where that
takes an odd number of zeros, one more goes behind than before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[int, int]

#: Elements of the matrix of windows at a time: 1 MiB of float32. For the two layers of a net for MNIST,
#: forward and backward, 2^14 takes 1.3 times as long and 2^22 1.15 times.
_BLOCK = 2**18


@dataclass(frozen=True)
class Windows:
    """How a window moves over a picture: its size (height, width), strides, dilations, and the padding.

    padding: "SAME" or "VALID". dilations: steps between the elements of a window; 1 has no gaps.
    """

    size: Pair
    strides: Pair = (1, 1)
    padding: str = "SAME"
    dilations: Pair = (1, 1)

    def output_size(self, height: int, width: int) -> Pair:
        """Height and width of the result; 0 where no window fits."""
        return self._along(0, height)[0], self._along(1, width)[0]

    def padding_of(self, height: int, width: int) -> tuple[Pair, Pair]:
        """Zeros to add (above, below), (left, right)."""
        return self._along(0, height)[1:], self._along(1, width)[1:]

    def _along(self, axis: int, length: int) -> tuple[int, int, int]:
        """Windows along one side, and zeros before and behind it."""
        return along(length, self.size[axis], self.strides[axis], self.padding, self.dilations[axis])


def along(length: int, size: int, stride: int, padding: str, dilation: int = 1) -> tuple[int, int, int]:
    """How many windows there are along a side, and how many zeros are added before and behind it."""
    reach = (size - 1) * dilation + 1
    if padding == "VALID":
        return max(0, -(-(length - reach + 1) // stride)), 0, 0
    count = -(-length // stride)
    missing = max(0, (count - 1) * stride + reach - length)
    return count, missing // 2, missing - missing // 2


def conv2d(x: Array, filters: Array, windows: Windows) -> Array:
    """Slide filters over pictures: N, H, W, C and height, width, C, K give N, H′, W′, K.

    As everywhere in the field, the filters are not mirrored: it is a cross-correlation.
    """
    high, wide = windows.output_size(*x.shape[1:3])
    result = np.empty((len(x), high, wide, filters.shape[3]), dtype=x.dtype)
    columns = filters.reshape(-1, filters.shape[3])
    view = _view(_padded(x, windows), windows, high, wide)
    for part, rows in _rows(view):
        np.matmul(rows, columns, out=result[part].reshape(-1, filters.shape[3]))
    return result


def conv2d_filter_gradient(flowing: Array, x: Array, windows: Windows) -> Array:
    """The gradient by the filters, of the gradient by the result: height, width, C, K."""
    _, high, wide, count = flowing.shape
    view = _view(_padded(x, windows), windows, high, wide)
    total = np.zeros((windows.size[0] * windows.size[1] * x.shape[3], count), dtype=x.dtype)
    for part, rows in _rows(view):
        total += rows.T @ flowing[part].reshape(-1, count)
    return total.reshape(*windows.size, x.shape[3], count)


def conv2d_input_gradient(
    flowing: Array, filters: Array, shape: tuple[int, int, int, int], windows: Windows
) -> Array:
    """The gradient by the pictures, which have that shape: each window gives back what it was made of."""
    (top, bottom), (left, right) = windows.padding_of(*shape[1:3])
    number, height, width, channels = shape
    _, high, wide, count = flowing.shape
    result = np.zeros((number, height + top + bottom, width + left + right, channels), dtype=flowing.dtype)
    columns = filters.reshape(-1, count).T
    for part in _blocks(np.broadcast_to(0, (number, high, wide, *windows.size, channels))):
        rows = flowing[part].reshape(-1, count) @ columns
        given = rows.reshape(-1, high, wide, *windows.size, channels)
        for row, column, place in _taps(windows, high, wide):
            result[part][place] += given[:, :, :, row, column]
    return result[:, top : top + height, left : left + width]


def max_pool(x: Array, windows: Windows) -> Array:
    """The largest element of each window and channel; padding never wins."""
    high, wide = windows.output_size(*x.shape[1:3])
    padded = _padded(x, windows, fill=_lowest(x.dtype))
    taps = _taps(windows, high, wide)
    result = padded[next(taps)[2]].copy()
    for _, _, place in taps:
        np.maximum(result, padded[place], out=result)
    return result


def max_pool_gradient(flowing: Array, x: Array, result: Array, windows: Windows) -> Array:
    """The gradient goes to the largest element of each window; of equals, to the first."""
    (top, _), (left, _) = windows.padding_of(*x.shape[1:3])
    padded = _padded(x, windows, fill=_lowest(x.dtype))
    given = np.zeros(padded.shape, dtype=flowing.dtype)
    open_yet = np.ones(result.shape, dtype=bool)
    for _, _, place in _taps(windows, *result.shape[1:3]):
        hit = np.equal(padded[place], result)
        hit &= open_yet
        given[place] += flowing * hit
        open_yet ^= hit
    return given[:, top : top + x.shape[1], left : left + x.shape[2]]


def avg_pool(x: Array, windows: Windows) -> Array:
    """The mean of each window and channel, over what lies in the picture: padding does not count."""
    high, wide = windows.output_size(*x.shape[1:3])
    padded = _padded(x, windows)
    total = np.zeros((len(x), high, wide, x.shape[3]), dtype=x.dtype)
    for _, _, place in _taps(windows, high, wide):
        total += padded[place]
    total /= _counts(x.shape[1], x.shape[2], windows)
    return total


def avg_pool_gradient(flowing: Array, shape: tuple[int, int, int, int], windows: Windows) -> Array:
    """The gradient goes to all elements of a window in equal parts."""
    (top, bottom), (left, right) = windows.padding_of(*shape[1:3])
    number, height, width, channels = shape
    given = np.zeros((number, height + top + bottom, width + left + right, channels), dtype=flowing.dtype)
    share = flowing / _counts(height, width, windows).astype(flowing.dtype)
    for _, _, place in _taps(windows, *flowing.shape[1:3]):
        given[place] += share
    return given[:, top : top + height, left : left + width]


def _counts(height: int, width: int, windows: Windows) -> Array:
    """How many elements of each window lie in the picture: 1, H′, W′, 1."""
    high, wide = windows.output_size(height, width)
    inside = _padded(np.ones((1, height, width, 1)), windows)
    total: Array = np.zeros((1, high, wide, 1))
    for _, _, place in _taps(windows, high, wide):
        total += inside[place]
    return total


def _lowest(dtype: np.dtype[Any]) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _padded(x: Array, windows: Windows, fill: Any = 0) -> Array:
    edges = windows.padding_of(*x.shape[1:3])
    if edges == ((0, 0), (0, 0)):
        return x
    return np.pad(x, ((0, 0), *edges, (0, 0)), constant_values=fill)


def _view(padded: Array, windows: Windows, high: int, wide: int) -> Array:
    """Every window, without copying: N, H′, W′, height, width, C."""
    picture, row, column, channel = padded.strides
    (down, along), (gap_down, gap_along) = windows.strides, windows.dilations
    return as_strided(
        padded,
        (len(padded), high, wide, *windows.size, padded.shape[3]),
        (picture, row * down, column * along, row * gap_down, column * gap_along, channel),
        writeable=False,
    )


def _rows(view: Array) -> Iterator[tuple[slice, Array]]:
    """The windows of some pictures at a time as the rows of a matrix, which the next ones overwrite."""
    columns = math.prod(view.shape[3:])
    matrix: Array | None = None
    for part in _blocks(view):
        windows = view[part]
        if matrix is None:
            matrix = np.empty(windows.shape, dtype=view.dtype)
        rows = matrix[: len(windows)]
        np.copyto(rows, windows)
        yield part, rows.reshape(-1, columns)


def _blocks(view: Array) -> Iterator[slice]:
    """Pictures whose windows together are about one block."""
    step = max(1, _BLOCK // max(1, view[:1].size))
    for begin in range(0, len(view), step):
        yield slice(begin, begin + step)


def _taps(windows: Windows, high: int, wide: int) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
    """For each element of a window: its row and column, and where in the padded pictures it lies for all."""
    (down, along), (gap_down, gap_along) = windows.strides, windows.dilations
    for row in range(windows.size[0]):
        for column in range(windows.size[1]):
            top, left = row * gap_down, column * gap_along
            yield (
                row,
                column,
                (
                    slice(None),
                    slice(top, top + (high - 1) * down + 1, down),
                    slice(left, left + (wide - 1) * along + 1, along),
                ),
            )
