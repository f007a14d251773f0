"""The types of a tensor's elements, and how values of Python and NumPy become arrays of them.

Types are strict, as TensorFlow's: nothing is promoted. What has no type yet (Python's numbers) takes the type
that it meets, or int32 and float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simplecell.foundations.graph.errors import DtypeError, LiteralError, ShapeError

Array = NDArray[Any]


@dataclass(frozen=True)
class DType:
    """A type of elements. code: its number in TensorFlow's files (types.proto)."""

    name: str
    as_numpy_dtype: np.dtype[Any]
    code: int

    @property
    def is_floating(self) -> bool:
        return self.as_numpy_dtype.kind == "f"

    @property
    def is_integer(self) -> bool:
        return self.as_numpy_dtype.kind in "iu"

    @property
    def is_number(self) -> bool:
        return self.as_numpy_dtype.kind in "fiu"

    def __repr__(self) -> str:
        return f"tf.{self.name}"


float32 = DType("float32", np.dtype(np.float32), 1)
float64 = DType("float64", np.dtype(np.float64), 2)
int32 = DType("int32", np.dtype(np.int32), 3)
uint8 = DType("uint8", np.dtype(np.uint8), 4)
int64 = DType("int64", np.dtype(np.int64), 9)
string = DType("string", np.dtype(object), 7)
boolean = DType("bool", np.dtype(np.bool_), 10)

_DTYPES = (float32, float64, int32, uint8, int64, string, boolean)
_OF_NUMPY = {each.as_numpy_dtype: each for each in _DTYPES}
_NAMED: dict[Any, DType] = {each.name: each for each in _DTYPES} | {
    "float": float32,
    "double": float64,
    "int": int32,
    float: float32,
    int: int32,
    bool: boolean,
    str: string,
}


def as_dtype(value: Any) -> DType:
    """The type that is meant by one of ours, its name ("float" is float32), a type of Python or of NumPy."""
    if isinstance(value, DType):
        return value
    if isinstance(value, str | type) and value in _NAMED:
        return _NAMED[value]
    try:
        return _OF_NUMPY[np.dtype(value)]
    except (TypeError, KeyError):
        names = ", ".join(each.name for each in _DTYPES)
        raise DtypeError(f"{value!r} is no type of a tensor", remedy=f"use one of {names}") from None


def as_array(value: Any, dtype: DType | None = None, *, where: str = "") -> Array:
    """The value as an array of the type; without one, Python's numbers become int32 or float32.

    A NumPy array that has the type already is given back as it is, not copied. where: whose value it is, for
    the sentence. Raises DtypeError for a value that its type cannot hold (2.5 in int32), LiteralError for a
    word in place of a number, ShapeError for rows of unequal length.
    """
    if isinstance(value, np.ndarray) and dtype is not None and value.dtype == dtype.as_numpy_dtype:
        return value if dtype is not string else _strings(value, where)
    try:
        found = np.asarray(value)
    except ValueError:
        raise ShapeError(
            "its rows have different lengths", where=where, remedy="give every row as many elements"
        ) from None
    if dtype is None:
        dtype = _dtype_of(found, typed=isinstance(value, np.ndarray | np.generic), where=where)
    if dtype is string:
        return _strings(np.asarray(value, dtype=object), where)
    return _numbers(value, found, dtype, where)


def _dtype_of(found: Array, *, typed: bool, where: str) -> DType:
    """The type of a value that comes without one. typed: NumPy gave it a type on purpose."""
    if found.dtype.kind in "US" or (found.dtype == object and found.size):
        return string
    if not typed and found.dtype.kind == "f":
        return float32
    if not typed and found.dtype.kind == "i":
        return int32 if _within(found, np.dtype(np.int32)) else int64
    try:
        return _OF_NUMPY[found.dtype]
    except KeyError:
        raise DtypeError(
            f"there are no tensors of {found.dtype}", where=where, remedy="convert it with astype first"
        ) from None


def _strings(values: Array, where: str) -> Array:
    for each in values.flat:
        if not isinstance(each, str | bytes):
            raise DtypeError(f"{each!r} is no string", where=where, remedy="put it into quotes, or str()")
    return values


def _numbers(value: Any, found: Array, dtype: DType, where: str) -> Array:
    target = dtype.as_numpy_dtype
    if found.dtype.kind in "USO":
        try:
            return np.asarray(value, dtype=target)
        except (ValueError, TypeError) as error:  # Python's own words: invalid literal for int() …
            place = f" for {where}" if where else ""
            raise LiteralError(str(error), remedy=f"give values of {dtype.name}{place}") from None
    loses = {"b": "fiu", "i": "f", "u": "f"}.get(target.kind, "")
    if found.size and (found.dtype.kind in loses or found.dtype.kind == "c"):
        raise DtypeError(
            f"{found.flat[0]} is {found.dtype.name} and does not become {dtype.name} by itself",
            where=where,
            remedy=f"give values of {dtype.name}, or cast",
        )
    if target.kind in "iu" and not np.can_cast(found.dtype, target) and not _within(found, target):
        raise DtypeError(
            f"a value is out of the range of {dtype.name}", where=where, remedy="use a wider type"
        )
    return found.astype(target)


def _within(found: Array, target: np.dtype[Any]) -> bool:
    limits = np.iinfo(target)
    return not found.size or (int(found.min()) >= limits.min and int(found.max()) <= limits.max)
