"""The product of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from simplecell.foundations.graph.arithmetic import numeric_apart
from simplecell.foundations.graph.dtypes import Array
from simplecell.foundations.graph.errors import ShapeError
from simplecell.foundations.graph.shapes import TensorShape
from simplecell.foundations.graph.tensor import Operation, Signature, Tensor, Value, apply, as_tensor, define


def _multiplied(op: Operation) -> Signature:
    dtype, _ = numeric_apart(op)
    shapes = [each.shape.dims for each in op.inputs]
    if None in shapes:
        return dtype, TensorShape(None)
    a, b = (list(each) for each in shapes if each is not None)
    if len(a) < 2 or len(a) != len(b):
        raise ShapeError(
            f"matrices {tuple(a)} and {tuple(b)} do not multiply: both need the same rank, 2 or more",
            where=op.name,
            remedy="reshape one of them",
        )
    rows, inner = (a[-1], a[-2]) if op.attributes.get("transpose_a") else (a[-2], a[-1])
    other, columns = (b[-1], b[-2]) if op.attributes.get("transpose_b") else (b[-2], b[-1])
    if None not in (inner, other) and inner != other:
        raise ShapeError(
            f"matrices {tuple(a)} and {tuple(b)} do not multiply: {inner} columns against {other} rows",
            where=op.name,
            remedy="reshape one of them, or set transpose_a or transpose_b",
        )
    several = TensorShape(a[:-2]).merge_with(b[:-2], where=op.name)
    return dtype, TensorShape([*several, rows, columns])


def _product(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    # A transposed view costs nothing: BLAS reads it in that order.
    return np.matmul(a.swapaxes(-1, -2) if transpose_a else a, b.swapaxes(-1, -2) if transpose_b else b)


def _by_left(op: Operation, g: Tensor) -> Tensor:
    """C = A B: the gradient by A is G Bᵀ."""
    turned_a, turned_b = (op.attributes.get(each, False) for each in ("transpose_a", "transpose_b"))
    b = op.inputs[1]
    return matmul(b, g, turned_b, True) if turned_a else matmul(g, b, False, not turned_b)


def _by_right(op: Operation, g: Tensor) -> Tensor:
    """C = A B: the gradient by B is Aᵀ G."""
    turned_a, turned_b = (op.attributes.get(each, False) for each in ("transpose_a", "transpose_b"))
    a = op.inputs[0]
    return matmul(g, a, True, turned_a) if turned_b else matmul(a, g, not turned_a, False)


define("MatMul", _multiplied, _product, gradients=(_by_left, _by_right))


def matmul(
    a: Value, b: Value, transpose_a: bool = False, transpose_b: bool = False, name: str | None = None
) -> Tensor:
    """The product of matrices …, M, K and …, K, N: …, M, N. Each may be given transposed.

    Raises ShapeError when the columns of a are not as many as the rows of b.
    """
    typed = next((each.dtype for each in (a, b) if isinstance(each, Tensor)), None)
    left = as_tensor(a, typed)
    attributes = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    return apply("MatMul", [left, as_tensor(b, left.dtype)], attributes, name)
