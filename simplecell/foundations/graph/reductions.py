"""Sums, means and extremes along axes, and where an extreme lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simplecell.foundations.graph.arithmetic import cast, equal
from simplecell.foundations.graph.dtypes import Array, boolean, int64
from simplecell.foundations.graph.errors import ArgumentError, DtypeError, GradientError
from simplecell.foundations.graph.shapes import TensorShape, normal_axes
from simplecell.foundations.graph.shaping import broadcast_to, constant_value, shape_of, size
from simplecell.foundations.graph.tensor import Operation, Signature, Tensor, Value, apply, as_tensor, define


def _reduced(op: Operation) -> Signature:
    x, axis = op.inputs[0], op.attributes["axis"]
    if op.type in ("All", "Any") and x.dtype is not boolean:
        raise DtypeError(f"{op.type} takes bool, not {x.dtype.name}", where=op.name, remedy="compare first")
    if op.type not in ("All", "Any") and not x.dtype.is_number:
        raise DtypeError(f"{x.dtype.name} has no {op.type}", where=op.name, remedy="use tf.cast")
    return x.dtype, _without(x.shape, axis, keep=op.attributes["keepdims"], where=op.name)


def _without(shape: TensorShape, axis: Any, *, keep: bool, where: str) -> TensorShape:
    """The shape after the axes are reduced."""
    axes = normal_axes(axis, shape.ndims, where=where)
    if axes is None or shape.dims is None:
        return TensorShape(None if axis is not None or keep else ())
    if keep:
        return TensorShape([1 if index in axes else each for index, each in enumerate(shape.dims)])
    return TensorShape([each for index, each in enumerate(shape.dims) if index not in axes])


def _spread(op: Operation, value: Tensor) -> Tensor:
    """A value of the reduced shape, stretched over the elements that it was made of."""
    return broadcast_to(value, shape_of(op.inputs[0]), axis=_lost(op))


def _lost(op: Operation) -> Any:
    """The axes that the result no longer has; all when it has none."""
    return () if op.attributes["keepdims"] else op.attributes["axis"]


def _of_mean(op: Operation, g: Tensor) -> Tensor:
    share = cast(size(op.inputs[0]), g.dtype) / cast(size(op.outputs[0]), g.dtype)
    return _spread(op, g / share)


def _of_extreme(op: Operation, g: Tensor) -> Tensor:
    """Elements that are equally extreme share the gradient."""
    x = op.inputs[0]
    among = cast(equal(x, _spread(op, op.outputs[0])), g.dtype)
    count = apply("Sum", [among], op.attributes)
    return among * _spread(op, g / count)


def _of_product(op: Operation, g: Tensor) -> Tensor:
    others = apply("ProductOfOthers", [op.inputs[0]], {"axis": op.attributes["axis"]})
    return others * _spread(op, g)


def _total(x: Array, axis: Any, keepdims: bool) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _mean(x: Array, axis: Any, keepdims: bool) -> Any:
    if x.dtype.kind in "iu":  # the mean of integers is one, rounded towards 0
        return np.trunc(np.mean(x, axis=axis, keepdims=keepdims)).astype(x.dtype)
    return np.mean(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _product(x: Array, axis: Any, keepdims: bool) -> Any:
    return np.prod(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _others(x: Array, axis: Any) -> Array:
    """For each element the product of all others that are reduced with it: of those before and those behind.

    Dividing the whole product by the element would fail at 0.
    """
    axes = range(x.ndim) if axis is None else normal_axes(axis, x.ndim) or ()
    kept = [each for each in range(x.ndim) if each not in axes]
    order = [*kept, *axes]
    moved = x.transpose(order)
    flat = moved.reshape(*moved.shape[: len(kept)], -1)
    before, behind = np.ones_like(flat), np.ones_like(flat)
    np.cumprod(flat[..., :-1], axis=-1, out=before[..., 1:])
    behind[..., :-1] = np.cumprod(flat[..., :0:-1], axis=-1)[..., ::-1]
    return (before * behind).reshape(moved.shape).transpose(np.argsort(order))


def _no_second(op: Operation, g: Tensor) -> Tensor:
    raise GradientError(f"{op.type} has no gradient of its own", where=op.name, remedy="differentiate once")


define("Sum", _reduced, _total, gradients=(_spread,))
define("Mean", _reduced, _mean, gradients=(_of_mean,))
define("Max", _reduced, np.max, gradients=(_of_extreme,))
define("Min", _reduced, np.min, gradients=(_of_extreme,))
define("Prod", _reduced, _product, gradients=(_of_product,))
define(
    "ProductOfOthers", lambda op: (op.inputs[0].dtype, op.inputs[0].shape), _others, gradients=(_no_second,)
)
define("All", _reduced, np.all)
define("Any", _reduced, np.any)


def static_axis(axis: Any, where: str) -> Any:
    """An axis as numbers: None, one, or a tuple; a constant tensor will do."""
    if isinstance(axis, Tensor):
        found = constant_value(axis)
        if found is None:
            raise ArgumentError("an axis must be known", where=where, remedy="give numbers")
        axis = found
    if isinstance(axis, np.ndarray):
        axis = axis.tolist()
    return tuple(int(each) for each in axis) if isinstance(axis, list | tuple) else axis


def _reduce(kind: str) -> Callable[..., Tensor]:
    def reduce(
        input_tensor: Value,
        axis: Any = None,
        keepdims: bool | None = None,
        name: str | None = None,
        reduction_indices: Any = None,
        keep_dims: bool | None = None,
    ) -> Tensor:
        given = static_axis(axis if reduction_indices is None else reduction_indices, kind)
        attributes = {"axis": given, "keepdims": bool(keepdims or keep_dims)}
        return apply(kind, [as_tensor(input_tensor)], attributes, name)

    reduce.__doc__ = f"""{kind} along the axis or axes, by default all.

    keepdims: leave the reduced axes with length 1. reduction_indices, keep_dims: the older names.
    """
    return reduce


reduce_sum = _reduce("Sum")
reduce_mean = _reduce("Mean")
reduce_max = _reduce("Max")
reduce_min = _reduce("Min")
reduce_prod = _reduce("Prod")
reduce_all = _reduce("All")
reduce_any = _reduce("Any")


def _place(op: Operation) -> Signature:
    x = op.inputs[0]
    if not x.dtype.is_number:
        raise DtypeError(f"{x.dtype.name} has no {op.type}", where=op.name, remedy="use tf.cast")
    return int64, _without(x.shape, op.attributes["axis"], keep=False, where=op.name)


define("ArgMax", _place, lambda x, axis: np.argmax(x, axis=axis))
define("ArgMin", _place, lambda x, axis: np.argmin(x, axis=axis))


def argmax(input: Value, axis: Any = None, name: str | None = None, dimension: Any = None) -> Tensor:
    """Where the largest element lies along the axis (by default 0), the first of equals: int64."""
    place = static_axis(axis if dimension is None else dimension, "ArgMax")
    return apply("ArgMax", [as_tensor(input)], {"axis": 0 if place is None else place}, name)


def argmin(input: Value, axis: Any = None, name: str | None = None, dimension: Any = None) -> Tensor:
    """Where the smallest element lies along the axis (by default 0), the first of equals: int64."""
    place = static_axis(axis if dimension is None else dimension, "ArgMin")
    return apply("ArgMin", [as_tensor(input)], {"axis": 0 if place is None else place}, name)
