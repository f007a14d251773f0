"""Element-wise arithmetic, comparison and logic.

Two tensors stretch to each other by NumPy's rule. The formulas of the gradients are written as if both had
the result's shape; ``gradients.py`` adds up what went into a stretched element.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simplecell.foundations.graph.dtypes import Array, DType, as_dtype, boolean, float64, string
from simplecell.foundations.graph.errors import ArgumentError, DtypeError
from simplecell.foundations.graph.shapes import TensorShape, broadcast
from simplecell.foundations.graph.tensor import (
    Operation,
    Signature,
    Tensor,
    Value,
    apply,
    as_tensor,
    binary,
    define,
    like_first,
)

# -- what follows of types and shapes ----------------------------------------------------------------------


def _together(op: Operation) -> TensorShape:
    shape = op.inputs[0].shape
    for each in op.inputs[1:]:
        shape = broadcast(shape, each.shape, where=op.name)
    return shape


def _refuse(op: Operation, needed: str) -> DtypeError:
    return DtypeError(
        f"{op.type} does not take {op.inputs[0].dtype.name}", where=op.name, remedy=f"cast to {needed}"
    )


def numeric(op: Operation) -> Signature:
    """Numbers of one type, to the same type."""
    if not op.inputs[0].dtype.is_number:
        raise _refuse(op, "a type of numbers")
    return op.inputs[0].dtype, _together(op)


def floating(op: Operation) -> Signature:
    """float32 or float64, to the same type."""
    if not op.inputs[0].dtype.is_floating:
        raise _refuse(op, "float32")
    return op.inputs[0].dtype, _together(op)


def numeric_apart(op: Operation) -> Signature:
    """Numbers of one type whose shapes need not be alike."""
    if not op.inputs[0].dtype.is_number:
        raise _refuse(op, "a type of numbers")
    return like_first(op)


def _added(op: Operation) -> Signature:
    """Numbers are added, words joined."""
    return (string, _together(op)) if op.inputs[0].dtype is string else numeric(op)


def _divided(op: Operation) -> Signature:
    """Integers divide to float64, as in Python 3."""
    dtype, shape = numeric(op)
    return (float64 if dtype.is_integer else dtype), shape


def _ordered(op: Operation) -> Signature:
    return boolean, numeric(op)[1]


def _equated(op: Operation) -> Signature:
    return boolean, _together(op)


def _logical(op: Operation) -> Signature:
    if op.inputs[0].dtype is not boolean:
        raise _refuse(op, "bool")
    return boolean, _together(op)


# -- arithmetic of two -------------------------------------------------------------------------------------


def _whole(divide: np.ufunc) -> Any:
    """Division that refuses an integer by zero: there is no infinity among them."""

    def compute(x: Array, y: Array) -> Any:
        if y.dtype.kind in "iu" and not np.all(y):
            raise ArgumentError("an integer is divided by 0", remedy="divide floats, or not by 0")
        return divide(x, y)

    return compute


define("Add", _added, np.add, broadcasts=True, reuses=True, gradients=(lambda op, g: g, lambda op, g: g))
define(
    "Sub", numeric, np.subtract, broadcasts=True, reuses=True, gradients=(lambda op, g: g, lambda op, g: -g)
)
define(
    "Mul",
    numeric,
    np.multiply,
    broadcasts=True,
    reuses=True,
    gradients=(lambda op, g: g * op.inputs[1], lambda op, g: g * op.inputs[0]),
)
define(
    "RealDiv",
    _divided,
    np.true_divide,
    broadcasts=True,
    reuses=True,
    # (x / y)' by y is −x / y², which is −result / y.
    gradients=(lambda op, g: g / op.inputs[1], lambda op, g: g * -op.outputs[0] / op.inputs[1]),
)
define("FloorDiv", numeric, _whole(np.floor_divide), broadcasts=True)
define(
    "FloorMod",
    numeric,
    _whole(np.remainder),
    broadcasts=True,
    gradients=(lambda op, g: g, lambda op, g: -g * (op.inputs[0] // op.inputs[1])),
)


def _by_exponent(op: Operation, g: Tensor) -> Tensor:
    """x^y · ln x, and 0 where x is 0 or less: there ln is not."""
    base = op.inputs[0]
    positive = base > 0
    logarithm = log(where(positive, base, 1.0))
    return g * op.outputs[0] * where(positive, logarithm, 0.0)


define(
    "Pow",
    numeric,
    np.power,
    broadcasts=True,
    reuses=True,
    gradients=(lambda op, g: g * op.inputs[1] * op.inputs[0] ** (op.inputs[1] - 1), _by_exponent),
)
define(
    "Maximum",
    numeric,
    np.maximum,
    broadcasts=True,
    reuses=True,
    gradients=(
        lambda op, g: where(op.inputs[0] >= op.inputs[1], g, 0.0),
        lambda op, g: where(op.inputs[0] >= op.inputs[1], 0.0, g),
    ),
)
define(
    "Minimum",
    numeric,
    np.minimum,
    broadcasts=True,
    reuses=True,
    gradients=(
        lambda op, g: where(op.inputs[0] <= op.inputs[1], g, 0.0),
        lambda op, g: where(op.inputs[0] <= op.inputs[1], 0.0, g),
    ),
)
define("Less", _ordered, np.less, broadcasts=True)
define("LessEqual", _ordered, np.less_equal, broadcasts=True)
define("Greater", _ordered, np.greater, broadcasts=True)
define("GreaterEqual", _ordered, np.greater_equal, broadcasts=True)
define("Equal", _equated, np.equal, broadcasts=True)
define("NotEqual", _equated, np.not_equal, broadcasts=True)
define("LogicalAnd", _logical, np.logical_and, broadcasts=True)
define("LogicalOr", _logical, np.logical_or, broadcasts=True)


def add(x: Value, y: Value, name: str | None = None) -> Tensor:
    """x + y; words are joined."""
    return binary("Add", x, y, name or "Add")


def subtract(x: Value, y: Value, name: str | None = None) -> Tensor:
    """x − y."""
    return binary("Sub", x, y, name or "Sub")


def multiply(x: Value, y: Value, name: str | None = None) -> Tensor:
    """x · y, element by element."""
    return binary("Mul", x, y, name or "Mul")


def divide(x: Value, y: Value, name: str | None = None) -> Tensor:
    """x / y as in Python 3: integers give float64."""
    return binary("RealDiv", x, y, name or "truediv")


def div(x: Value, y: Value, name: str | None = None) -> Tensor:
    """x / y as in Python 2: integers give the integer below."""
    typed = next((each.dtype for each in (x, y) if isinstance(each, Tensor)), None) or as_tensor_type(x)
    return binary("RealDiv" if typed.is_floating else "FloorDiv", x, y, name or "div")


def floordiv(x: Value, y: Value, name: str | None = None) -> Tensor:
    """The whole number below x / y."""
    return binary("FloorDiv", x, y, name or "floordiv")


def mod(x: Value, y: Value, name: str | None = None) -> Tensor:
    """What is left of x after ``floordiv``; it has the sign of y."""
    return binary("FloorMod", x, y, name or "mod")


def pow(x: Value, y: Value, name: str | None = None) -> Tensor:
    """x to the power of y."""
    return binary("Pow", x, y, name or "Pow")


def maximum(x: Value, y: Value, name: str | None = None) -> Tensor:
    """The larger of each two elements; where they are equal, the gradient goes to x."""
    return binary("Maximum", x, y, name or "Maximum")


def minimum(x: Value, y: Value, name: str | None = None) -> Tensor:
    """The smaller of each two elements; where they are equal, the gradient goes to x."""
    return binary("Minimum", x, y, name or "Minimum")


def less(x: Value, y: Value, name: str | None = None) -> Tensor:
    return binary("Less", x, y, name or "Less")


def less_equal(x: Value, y: Value, name: str | None = None) -> Tensor:
    return binary("LessEqual", x, y, name or "LessEqual")


def greater(x: Value, y: Value, name: str | None = None) -> Tensor:
    return binary("Greater", x, y, name or "Greater")


def greater_equal(x: Value, y: Value, name: str | None = None) -> Tensor:
    return binary("GreaterEqual", x, y, name or "GreaterEqual")


def equal(x: Value, y: Value, name: str | None = None) -> Tensor:
    return binary("Equal", x, y, name or "Equal")


def not_equal(x: Value, y: Value, name: str | None = None) -> Tensor:
    return binary("NotEqual", x, y, name or "NotEqual")


def logical_and(x: Value, y: Value, name: str | None = None) -> Tensor:
    return binary("LogicalAnd", x, y, name or "LogicalAnd")


def logical_or(x: Value, y: Value, name: str | None = None) -> Tensor:
    return binary("LogicalOr", x, y, name or "LogicalOr")


# -- functions of one --------------------------------------------------------------------------------------

define("Neg", numeric, np.negative, reuses=True, gradients=(lambda op, g: -g,))
define("Abs", numeric, np.abs, reuses=True, gradients=(lambda op, g: g * sign(op.inputs[0]),))
define("Sign", numeric, np.sign, reuses=True)
define("Square", numeric, np.square, reuses=True, gradients=(lambda op, g: g * (2 * op.inputs[0]),))
define("Sqrt", floating, np.sqrt, reuses=True, gradients=(lambda op, g: g * 0.5 / op.outputs[0],))
define("Exp", floating, np.exp, reuses=True, gradients=(lambda op, g: g * op.outputs[0],))
define("Log", floating, np.log, reuses=True, gradients=(lambda op, g: g / op.inputs[0],))
define("LogicalNot", _logical, np.logical_not)


def _unary(kind: str, x: Value, name: str | None) -> Tensor:
    return apply(kind, [as_tensor(x)], name=name)


def negative(x: Value, name: str | None = None) -> Tensor:
    """−x."""
    return _unary("Neg", x, name)


def abs(x: Value, name: str | None = None) -> Tensor:
    """x without its sign; the gradient at 0 is 0."""
    return _unary("Abs", x, name)


def sign(x: Value, name: str | None = None) -> Tensor:
    """−1, 0 or 1."""
    return _unary("Sign", x, name)


def square(x: Value, name: str | None = None) -> Tensor:
    """x²."""
    return _unary("Square", x, name)


def sqrt(x: Value, name: str | None = None) -> Tensor:
    """The square root; NaN below 0."""
    return _unary("Sqrt", x, name)


def exp(x: Value, name: str | None = None) -> Tensor:
    """e to the power of x."""
    return _unary("Exp", x, name)


def log(x: Value, name: str | None = None) -> Tensor:
    """The natural logarithm; −∞ at 0, NaN below."""
    return _unary("Log", x, name)


def logical_not(x: Value, name: str | None = None) -> Tensor:
    return _unary("LogicalNot", x, name)


# -- choosing and converting -------------------------------------------------------------------------------


def _chosen(op: Operation) -> Signature:
    if op.inputs[0].dtype is not boolean:
        raise _refuse(op, "bool")
    return op.inputs[1].dtype, _together(op)


define(
    "Select",
    _chosen,
    np.where,
    broadcasts=True,
    gradients=(None, lambda op, g: where(op.inputs[0], g, 0.0), lambda op, g: where(op.inputs[0], 0.0, g)),
)


def where(condition: Value, x: Value, y: Value, name: str | None = None) -> Tensor:
    """x where the condition is true and y elsewhere, element by element."""
    typed = next((each.dtype for each in (x, y) if isinstance(each, Tensor)), None)
    chosen = as_tensor(x, typed)
    return apply("Select", [as_tensor(condition), chosen, as_tensor(y, chosen.dtype)], name=name)


def _converted(op: Operation) -> Signature:
    dtype: DType = op.attributes["dtype"]
    if string in (dtype, op.inputs[0].dtype):
        raise DtypeError("words are not cast", where=op.name, remedy="convert them before they are fed")
    return dtype, op.inputs[0].shape


def _back(op: Operation, g: Tensor) -> Tensor:
    return cast(g, op.inputs[0].dtype)


define(
    "Cast",
    _converted,
    lambda x, dtype: np.asarray(x).astype(dtype.as_numpy_dtype),
    gradients=(_back,),
)


def cast(x: Value, dtype: Any, name: str | None = None) -> Tensor:
    """x in another type: true is 1, and 2.7 becomes 2 in an integer."""
    tensor, wanted = as_tensor(x), as_dtype(dtype)
    return tensor if tensor.dtype == wanted else apply("Cast", [tensor], {"dtype": wanted}, name)


def as_tensor_type(value: Value) -> DType:
    """The type that a bare value would take."""
    found = np.asarray(value)
    return as_dtype(found.dtype) if found.dtype.kind in "fiu" else float64
