"""Changing the shape and order of elements: most of it is a new view of the same memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from simplecell.foundations.graph.dtypes import Array, as_dtype, int32
from simplecell.foundations.graph.errors import ShapeError
from simplecell.foundations.graph.shapes import TensorShape, normal_axes, surely_equal
from simplecell.foundations.graph.tensor import (
    Operation,
    Signature,
    Tensor,
    Value,
    apply,
    as_tensor,
    define,
    like_first,
)

# -- shapes as tensors -------------------------------------------------------------------------------------

define(
    "Shape",
    lambda op: (int32, TensorShape([op.inputs[0].shape.ndims])),
    lambda x: np.array(np.shape(x), dtype=np.int32),
)


def shape_of(x: Tensor) -> Tensor:
    """The shape as a tensor: a constant where it is known."""
    known = x.shape.known
    return apply("Shape", [x]) if known is None else as_tensor(np.array(known, dtype=np.int32), name="Shape")


def shape(input: Value, name: str | None = None) -> Tensor:
    """The shape, int32, as it is when it runs."""
    return apply("Shape", [as_tensor(input)], name=name)


def rank(input: Value, name: str | None = None) -> Tensor:
    """The number of dimensions, int32."""
    return apply("Rank", [as_tensor(input)], name=name)


def size(input: Value, name: str | None = None) -> Tensor:
    """The number of elements, int32."""
    return apply("Size", [as_tensor(input)], name=name)


define("Rank", lambda op: (int32, TensorShape(())), lambda x: np.int32(np.ndim(x)))
define("Size", lambda op: (int32, TensorShape(())), lambda x: np.int32(np.size(x)))


def constant_value(tensor: Tensor) -> Array | None:
    """The value, where it is known while building."""
    value: Array | None = tensor.op.attributes["value"] if tensor.op.type == "Const" else None
    return value


def dims_of(tensor: Tensor) -> list[int | None] | None:
    """What is known of the numbers in a vector that tells a shape."""
    value = constant_value(tensor)
    if value is not None:
        return [int(each) for each in value.ravel()]
    if tensor.op.type == "Shape":
        dims = tensor.op.inputs[0].shape.dims
        return None if dims is None else list(dims)
    if tensor.op.type == "Pack":
        several = [constant_value(each) for each in tensor.op.inputs]
        return [None if each is None else int(each) for each in several]
    return [None] * tensor.shape[0] if tensor.shape.known else None


def _told(op: Operation) -> Signature:
    """The shape is what the second input says."""
    return op.inputs[0].dtype, TensorShape(dims_of(op.inputs[1]))


# -- the same elements in another shape --------------------------------------------------------------------


def _reshaped(op: Operation) -> Signature:
    x, dims = op.inputs[0], dims_of(op.inputs[1])
    if dims is None:
        return x.dtype, TensorShape(None)
    if dims.count(-1) > 1:
        raise ShapeError(f"{dims} leaves two dimensions open", where=op.name, remedy="use -1 once")
    known = x.shape.known
    rest = math.prod(each for each in dims if each is not None and each != -1)
    if known is not None and None not in dims:
        elements = math.prod(known)
        fits = elements == rest if -1 not in dims else rest > 0 and elements % rest == 0
        if not fits:
            raise ShapeError(
                f"{elements} elements of shape {known} do not make {dims}",
                where=op.name,
                remedy="give a shape with as many elements",
            )
        return x.dtype, TensorShape([elements // rest if each == -1 else each for each in dims])
    return x.dtype, TensorShape([None if each == -1 else each for each in dims])


define(
    "Reshape",
    _reshaped,
    lambda x, dims: np.reshape(x, dims.tolist()),
    view=True,
    gradients=(lambda op, g: reshape(g, shape_of(op.inputs[0])), None),
)


def reshape(tensor: Value, shape: Value, name: str | None = None) -> Tensor:
    """The elements in their order, in another shape; -1 in one place is whatever is left.

    Raises ShapeError when the numbers of elements differ.
    """
    return apply("Reshape", [as_tensor(tensor), as_tensor(shape, name="shape")], name=name)


def _transposed(op: Operation) -> Signature:
    x, perm = op.inputs[0], op.attributes["perm"]
    if x.shape.dims is None:
        return x.dtype, TensorShape(None)
    order = perm if perm is not None else tuple(reversed(range(len(x.shape))))
    if sorted(order) != list(range(len(x.shape))):
        raise ShapeError(
            f"{list(order)} is no order of {len(x.shape)} axes", where=op.name, remedy="name each axis once"
        )
    return x.dtype, TensorShape([x.shape[each] for each in order])


def _turned_back(op: Operation, g: Tensor) -> Tensor:
    perm = op.attributes["perm"]
    return transpose(g, None if perm is None else np.argsort(perm).tolist())


define("Transpose", _transposed, lambda x, perm: np.transpose(x, perm), view=True, gradients=(_turned_back,))


def transpose(a: Value, perm: Sequence[int] | None = None, name: str | None = None) -> Tensor:
    """The axes in another order, by default reversed."""
    order = None if perm is None else tuple(int(each) for each in perm)
    return apply("Transpose", [as_tensor(a)], {"perm": order}, name or "transpose")


def _expanded(op: Operation) -> Signature:
    x, axis = op.inputs[0], op.attributes["axis"]
    if x.shape.dims is None:
        return x.dtype, TensorShape(None)
    (place,) = normal_axes(axis, len(x.shape) + 1, where=op.name) or (0,)
    return x.dtype, TensorShape([*x.shape.dims[:place], 1, *x.shape.dims[place:]])


def _squeezed(op: Operation) -> Signature:
    x, axis = op.inputs[0], op.attributes["axis"]
    if x.shape.dims is None or (axis is None and x.shape.known is None):
        return x.dtype, TensorShape(None)
    ones = tuple(index for index, each in enumerate(x.shape) if each == 1)
    axes = ones if axis is None else normal_axes(axis, len(x.shape), where=op.name) or ()
    for each in axes:
        if x.shape[each] not in (1, None):
            raise ShapeError(
                f"axis {each} of {x.shape} is not 1 long", where=op.name, remedy="squeeze axes of length 1"
            )
    return x.dtype, TensorShape([each for index, each in enumerate(x.shape) if index not in axes])


def _reshaped_back(op: Operation, g: Tensor) -> Tensor:
    return reshape(g, shape_of(op.inputs[0]))


define("ExpandDims", _expanded, np.expand_dims, view=True, gradients=(_reshaped_back,))
define("Squeeze", _squeezed, np.squeeze, view=True, gradients=(_reshaped_back,))


def expand_dims(input: Value, axis: int, name: str | None = None) -> Tensor:
    """A new axis of length 1 at that place."""
    return apply("ExpandDims", [as_tensor(input)], {"axis": int(axis)}, name)


def squeeze(input: Value, axis: Any = None, name: str | None = None) -> Tensor:
    """Without its axes of length 1, or those named."""
    axes = None if axis is None else tuple(axis) if isinstance(axis, list | tuple) else (int(axis),)
    return apply("Squeeze", [as_tensor(input)], {"axis": axes}, name)


define("Identity", like_first, lambda x: x, view=True, gradients=(lambda op, g: g,))
define("StopGradient", like_first, lambda x: x, view=True)


def identity(input: Value, name: str | None = None) -> Tensor:
    """The same value: a place to wait at for control dependencies."""
    return apply("Identity", [as_tensor(input)], name=name)


def stop_gradient(input: Value, name: str | None = None) -> Tensor:
    """The same value, for which no gradient flows back."""
    return apply("StopGradient", [as_tensor(input)], name=name)


# -- stretching, and adding up what was stretched ----------------------------------------------------------


def _spread(x: Array, dims: Array, axis: Any) -> Array:
    target = tuple(dims.tolist())
    if axis is None:
        x = np.reshape(x, (1,) * len(target))
    elif axis != ():
        x = np.expand_dims(x, normal_axes(axis, len(target)) or ())
    return np.broadcast_to(x, target)


def _gathered(op: Operation, g: Tensor) -> Tensor:
    axis = op.attributes["axis"]
    if axis == ():
        return sum_to(g, op.inputs[0])
    return apply("Sum", [g], {"axis": axis, "keepdims": False})


def _sum_to(x: Array, dims: Array) -> Any:
    target = tuple(dims.tolist())
    if x.shape == target:
        return x
    stretched = (1,) * (x.ndim - len(target)) + target
    axes = tuple(index for index, each in enumerate(stretched) if each == 1 != x.shape[index])
    return np.sum(x, axis=axes, dtype=x.dtype, keepdims=True).reshape(target)


define("BroadcastTo", _told, _spread, view=True, gradients=(_gathered, None))
define(
    "SumTo",
    _told,
    _sum_to,
    view=True,
    gradients=(lambda op, g: broadcast_to(g, shape_of(op.inputs[0])), None),
)


def broadcast_to(input: Value, shape: Value, axis: Any = (), name: str | None = None) -> Tensor:
    """Stretched to the shape by NumPy's rule. axis: axes of the result that the input lacks; None: all."""
    return apply("BroadcastTo", [as_tensor(input), as_tensor(shape)], {"axis": axis}, name)


def sum_to(x: Tensor, like: Tensor) -> Tensor:
    """The reverse of stretching: x added up to the shape of another tensor, which stretches to x's."""
    return x if surely_equal(x.shape, like.shape) else apply("SumTo", [x, shape_of(like)])


# -- filled with one number --------------------------------------------------------------------------------


def _filled(op: Operation) -> Signature:
    return op.inputs[1].dtype, TensorShape(dims_of(op.inputs[0]))


define(
    "Fill",
    _filled,
    lambda dims, value: np.full(dims.tolist(), value),
    gradients=(None, lambda op, g: apply("Sum", [g], {"axis": None, "keepdims": False})),
)


def fill(dims: Value, value: Value, name: str | None = None) -> Tensor:
    """The value in every element."""
    return apply("Fill", [as_tensor(dims, name="dims"), as_tensor(value, name="value")], name=name)


def _filled_like(x: Value, number: int, dtype: Any, name: str) -> Tensor:
    tensor = as_tensor(x)
    wanted = tensor.dtype if dtype is None else as_dtype(dtype)
    value = np.asarray(number, dtype=wanted.as_numpy_dtype)
    known = tensor.shape.known
    if known is not None:
        return as_tensor(np.full(known, value), name=name)
    return apply("Fill", [shape_of(tensor), as_tensor(value, name="value")], name=name)


def zeros_like(tensor: Value, dtype: Any = None, name: str | None = None) -> Tensor:
    """0 in every element."""
    return _filled_like(tensor, 0, dtype, name or "zeros_like")


def ones_like(tensor: Value, dtype: Any = None, name: str | None = None) -> Tensor:
    """1 in every element."""
    return _filled_like(tensor, 1, dtype, name or "ones_like")


def _one_hot(op: Operation) -> Signature:
    return op.attributes["dtype"], TensorShape(
        None if op.inputs[0].shape.dims is None else [*op.inputs[0].shape, op.attributes["depth"]]
    )


define(
    "OneHot",
    _one_hot,
    lambda x, depth, dtype: np.equal(x[..., None], np.arange(depth)).astype(dtype.as_numpy_dtype),
)


def one_hot(indices: Value, depth: int, dtype: Any = "float32", name: str | None = None) -> Tensor:
    """1 at the index and 0 elsewhere, along a new last axis of that depth; all 0 for an index outside."""
    attributes = {"depth": int(depth), "dtype": as_dtype(dtype)}
    return apply("OneHot", [as_tensor(indices)], attributes, name or "one_hot")
