"""Several tensors into one, and parts of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from simplecell.foundations.graph.dtypes import Array
from simplecell.foundations.graph.errors import ArgumentError, ShapeError
from simplecell.foundations.graph.shapes import TensorShape, normal_axes
from simplecell.foundations.graph.shaping import zeros_like
from simplecell.foundations.graph.tensor import Operation, Signature, Tensor, Value, apply, as_tensor, define


def _concatenated(op: Operation) -> Signature:
    axis = op.attributes["axis"]
    ranks = {each.shape.ndims for each in op.inputs}
    if None in ranks:
        return op.inputs[0].dtype, TensorShape(None)
    merged, length = op.inputs[0].shape, 0 if None not in ranks else None
    (place,) = normal_axes(axis, merged.ndims, where=op.name) or (0,)
    total: int | None = length
    for each in op.inputs:
        if len(each.shape) != len(merged):
            raise ShapeError(f"{merged} and {each.shape} differ in rank", where=op.name, remedy="reshape one")
        here = [None if index == place else dim for index, dim in enumerate(each.shape)]
        merged = TensorShape([None if i == place else dim for i, dim in enumerate(merged)])
        merged = merged.merge_with(here, where=op.name)
        dim = each.shape[place]
        total = None if total is None or dim is None else total + dim
    dims = [total if index == place else dim for index, dim in enumerate(merged)]
    return op.inputs[0].dtype, TensorShape(dims)


def _part(g: Array, *several: Array, axis: int, index: int) -> Array:
    begin = sum(each.shape[axis] for each in several[:index])
    return np.moveaxis(np.moveaxis(g, axis, 0)[begin : begin + several[index].shape[axis]], 0, axis)


def _of_part(op: Operation, g: Tensor, index: int) -> Tensor:
    """Zeros, but for the part's own place."""
    several = op.inputs[1:]
    parts = [
        g if each == op.attributes["index"] else zeros_like(several[each]) for each in range(len(several))
    ]
    return concat(parts, op.attributes["axis"])


define(
    "Concat",
    _concatenated,
    lambda *several, axis: np.concatenate(several, axis=axis),
    gradients=lambda op, g, index: apply("Part", [g, *op.inputs], {**op.attributes, "index": index}),
)
define(
    "Part",
    lambda op: (op.inputs[0].dtype, op.inputs[1 + op.attributes["index"]].shape),
    _part,
    view=True,
    gradients=_of_part,
)


def _alike(values: Sequence[Value]) -> list[Tensor]:
    typed = next((each.dtype for each in values if isinstance(each, Tensor)), None)
    if not len(values):
        raise ArgumentError("there is nothing to join", remedy="give one tensor or more")
    first = as_tensor(values[0], typed)
    return [first, *(as_tensor(each, first.dtype) for each in values[1:])]


def concat(values: Sequence[Value], axis: int, name: str | None = None) -> Tensor:
    """One behind the other along the axis; all other dimensions are equal."""
    return apply("Concat", _alike(values), {"axis": int(axis)}, name or "concat")


def _stacked(op: Operation) -> Signature:
    dims = op.inputs[0].shape
    for each in op.inputs[1:]:
        dims = dims.merge_with(each.shape, where=op.name)
    if dims.dims is None:
        return op.inputs[0].dtype, TensorShape(None)
    (place,) = normal_axes(op.attributes["axis"], len(dims) + 1, where=op.name) or (0,)
    return op.inputs[0].dtype, TensorShape([*dims.dims[:place], len(op.inputs), *dims.dims[place:]])


def _layer(op: Operation, g: Tensor, index: int) -> Tensor:
    axis = op.attributes["axis"]
    before: tuple[Any, ...] = (slice(None),) * axis if axis >= 0 else (Ellipsis,)
    behind: tuple[Any, ...] = () if axis >= 0 else (slice(None),) * (-axis - 1)
    return g[(*before, index, *behind)]


define("Pack", _stacked, lambda *several, axis: np.stack(several, axis=axis), gradients=_layer)


def stack(values: Sequence[Value], axis: int = 0, name: str | None = None) -> Tensor:
    """Tensors of one shape as the layers of a new axis."""
    return apply("Pack", _alike(values), {"axis": int(axis)}, name or "stack")


def _sliced(op: Operation) -> Signature:
    x, index = op.inputs[0], op.attributes["index"]
    for each in index:
        if not (each is None or each is Ellipsis or isinstance(each, int | np.integer | slice)):
            raise ArgumentError(
                f"an index is a number or a slice, not {type(each).__name__}",
                where=op.name,
                remedy="use numbers that are known",
            )
    if x.shape.dims is None:
        return x.dtype, TensorShape(None)
    taken = sum(each is not None and each is not Ellipsis for each in index)
    if taken > len(x.shape):
        raise ShapeError(f"{taken} indices into shape {x.shape}", where=op.name, remedy="give fewer")
    fill = [slice(None)] * (len(x.shape) - taken)
    at = index.index(Ellipsis) if Ellipsis in index else len(index)
    whole = [*index[:at], *fill, *index[at + 1 :]]
    dims = iter(x.shape)
    result: list[int | None] = []
    for each in whole:
        if each is None:
            result.append(1)
            continue
        dim = next(dims)
        if isinstance(each, slice):
            whole_axis = each == slice(None)
            result.append(dim if whole_axis else None if dim is None else len(range(*each.indices(dim))))
        elif dim is not None and not -dim <= each < dim:
            raise ShapeError(f"there is no index {each} in {dim}", where=op.name, remedy="count from 0")
    return x.dtype, TensorShape(result)


def _set_in(x: Array, g: Array, index: Any) -> Array:
    result = np.zeros(x.shape, dtype=g.dtype)
    result[index] = g
    return result


define(
    "StridedSlice",
    _sliced,
    lambda x, index: x[index],
    view=True,
    gradients=(lambda op, g: apply("StridedSliceGrad", [op.inputs[0], g], op.attributes),),
)
define(
    "StridedSliceGrad",
    lambda op: (op.inputs[1].dtype, op.inputs[0].shape),
    _set_in,
    gradients=(None, lambda op, g: apply("StridedSlice", [g], op.attributes)),
)
