"""Convolution and pooling in the graph, N, H, W, C, on the kernels of ``foundations.kernels``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simplecell.foundations import kernels
from simplecell.foundations.graph.arithmetic import floating, numeric_apart
from simplecell.foundations.graph.dtypes import Array
from simplecell.foundations.graph.errors import ArgumentError, GradientError, ShapeError
from simplecell.foundations.graph.shapes import TensorShape
from simplecell.foundations.graph.tensor import Operation, Signature, Tensor, Value, apply, as_tensor, define

Windows = kernels.Windows


def windows_of(
    size: tuple[int, int], strides: Any, padding: str, dilations: Any = (1, 1, 1, 1), *, where: str
) -> Windows:
    """The arguments of TensorFlow, four numbers for N, H, W, C or one or two for H, W, as a window."""
    if padding not in ("SAME", "VALID"):
        raise ArgumentError(f"padding is {padding!r}", where=where, remedy='use "SAME" or "VALID"')
    return Windows(size, pair(strides, "strides", where), padding, pair(dilations, "dilations", where))


def pair(value: Any, name: str, where: str) -> tuple[int, int]:
    """Height and width of one number, two, or four with 1 for pictures and channels."""
    several: Sequence[int] = [value, value] if isinstance(value, int) else list(value)
    if len(several) == 4 and several[0] == several[3] == 1:
        several = several[1:3]
    if len(several) != 2 or not all(isinstance(each, int) and each > 0 for each in several):
        raise ArgumentError(
            f"{name} is {value!r}", where=where, remedy="give [1, height, width, 1] with whole numbers from 1"
        )
    return several[0], several[1]


def _slid(op: Operation, channels: int | None) -> TensorShape:
    """N, H′, W′ of what a window gives as it moves over the first input, with that many channels."""
    shape = op.inputs[0].shape.merge_with([None] * 4, where=op.name)
    windows: Windows = op.attributes["windows"]
    sides = []
    for axis in (0, 1):
        length = shape[axis + 1]
        parts = windows.size[axis], windows.strides[axis], windows.padding, windows.dilations[axis]
        count = None if length is None else kernels.along(length, *parts)[0]
        if count == 0:
            raise ShapeError(
                f"a window of {windows.size} does not fit into {shape}", where=op.name, remedy='use "SAME"'
            )
        sides.append(count)
    return TensorShape([shape[0], *sides, channels])


def _convolved(op: Operation) -> Signature:
    dtype, _ = numeric_apart(op)
    x, filters = op.inputs
    shape = x.shape.merge_with([None] * 4, where=op.name)
    if None not in (shape[3], filters.shape[2]) and shape[3] != filters.shape[2]:
        raise ShapeError(
            f"the picture has {shape[3]} channels, the filters take {filters.shape[2]}",
            where=op.name,
            remedy="give filters of shape height, width, channels in, channels out",
        )
    return dtype, _slid(op, filters.shape[3])


def _pooled(op: Operation) -> Signature:
    shape = op.inputs[0].shape
    return floating(op)[0], _slid(op, None if shape.dims is None else shape[3])


def _like(position: int) -> Any:
    return lambda op: (op.inputs[position].dtype, op.inputs[position].shape)


# A convolution is linear in the picture and in the filters, so its two gradients are made of each other:
# whichever of picture, filters and result is asked for, it follows from the other two.


def _input_gradient(x: Array, filters: Array, flowing: Array, windows: Windows) -> Array:
    return kernels.conv2d_input_gradient(flowing, filters, x.shape, windows)


def _filter_gradient(x: Array, filters: Array, flowing: Array, windows: Windows) -> Array:
    return kernels.conv2d_filter_gradient(flowing, x, windows)


def _back(kind: str, op: Operation, *inputs: Tensor) -> Tensor:
    return apply(kind, inputs, op.attributes)


define(
    "Conv2D",
    _convolved,
    kernels.conv2d,
    gradients=(
        lambda op, g: _back("Conv2DInputGrad", op, *op.inputs, g),
        lambda op, g: _back("Conv2DFilterGrad", op, *op.inputs, g),
    ),
)
define(
    "Conv2DInputGrad",
    _like(0),
    _input_gradient,
    gradients=(
        None,
        lambda op, g: _back("Conv2DFilterGrad", op, g, *op.inputs[1:]),
        lambda op, g: _back("Conv2D", op, g, op.inputs[1]),
    ),
)
define(
    "Conv2DFilterGrad",
    _like(1),
    _filter_gradient,
    gradients=(
        lambda op, g: _back("Conv2DInputGrad", op, op.inputs[0], g, op.inputs[2]),
        None,
        lambda op, g: _back("Conv2D", op, op.inputs[0], g),
    ),
)


def conv2d(
    input: Value,
    filter: Value,
    strides: Any,
    padding: str,
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """Slide filters over pictures: N, H, W, C and height, width, C, K give N, H′, W′, K.

    strides, dilations: [1, down, along, 1]. padding: "SAME" or "VALID".
    Raises ShapeError when channels differ or no window fits, ArgumentError.
    """
    where = name or "Conv2D"
    x = as_tensor(input)
    filters = as_tensor(filter, x.dtype)
    size = filters.shape.merge_with([None] * 4, where=where)
    if None in size[:2]:
        raise ShapeError("the filters' size is not known", where=where, remedy="give them a static shape")
    windows = windows_of((size[0], size[1]), strides, padding, dilations, where=where)
    return apply("Conv2D", [x, filters], {"windows": windows}, name)


def _largest_back(x: Array, result: Array, flowing: Array, windows: Windows) -> Array:
    return kernels.max_pool_gradient(flowing, x, result, windows)


def _mean_back(x: Array, flowing: Array, windows: Windows) -> Array:
    return kernels.avg_pool_gradient(flowing, x.shape, windows)


def _no_second(op: Operation, g: Tensor) -> Tensor:
    raise GradientError(f"{op.type} has no gradient of its own", where=op.name, remedy="differentiate once")


define(
    "MaxPool",
    _pooled,
    kernels.max_pool,
    gradients=(lambda op, g: apply("MaxPoolGrad", [op.inputs[0], op.outputs[0], g], op.attributes),),
)
define("MaxPoolGrad", _like(0), _largest_back, gradients=(_no_second,) * 3)
define(
    "AvgPool",
    _pooled,
    kernels.avg_pool,
    gradients=(lambda op, g: apply("AvgPoolGrad", [op.inputs[0], g], op.attributes),),
)
define(
    "AvgPoolGrad",
    _like(0),
    _mean_back,
    gradients=(None, lambda op, g: apply("AvgPool", [g], op.attributes)),
)


def max_pool(value: Value, ksize: Any, strides: Any, padding: str, name: str | None = None) -> Tensor:
    """The largest element of each window and channel. ksize, strides: [1, height, width, 1]."""
    return _pool("MaxPool", value, ksize, strides, padding, name)


def avg_pool(value: Value, ksize: Any, strides: Any, padding: str, name: str | None = None) -> Tensor:
    """The mean of each window and channel, padding left out. ksize, strides: [1, height, width, 1]."""
    return _pool("AvgPool", value, ksize, strides, padding, name)


def _pool(kind: str, value: Value, ksize: Any, strides: Any, padding: str, name: str | None) -> Tensor:
    where = name or kind
    windows = windows_of(pair(ksize, "ksize", where), strides, padding, where=where)
    return apply(kind, [as_tensor(value)], {"windows": windows}, name)
