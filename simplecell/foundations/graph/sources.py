"""Where values come from: constants, placeholders, random numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simplecell.foundations.graph.dtypes import Array, as_array, as_dtype, float32
from simplecell.foundations.graph.errors import ArgumentError, ShapeError
from simplecell.foundations.graph.graph import get_default_graph
from simplecell.foundations.graph.shapes import TensorShape
from simplecell.foundations.graph.shaping import dims_of, fill
from simplecell.foundations.graph.state import State
from simplecell.foundations.graph.tensor import (
    Operation,
    Signature,
    Tensor,
    Value,
    apply,
    as_tensor,
    define,
    graph_of,
)


def constant(value: Value, dtype: Any = None, shape: Any = None, name: str = "Const") -> Tensor:
    """A tensor that always has this value.

    dtype: by default that of a NumPy array, int32 or float32 for Python's numbers, string for words.
    shape: the elements are put into it; one element fills it.
    """
    array = as_array(value, None if dtype is None else as_dtype(dtype), where=name)
    if shape is not None:
        dims = TensorShape(shape).known
        if dims is None or (array.size != 1 and array.size != math.prod(dims)):
            raise ShapeError(f"{array.size} elements do not fill {dims}", where=name, remedy="give as many")
        array = np.broadcast_to(array.ravel(), dims) if array.size == 1 else np.reshape(array, dims)
    return as_tensor(array, name=name)


define("Placeholder", lambda op: (op.attributes["dtype"], op.attributes["shape"]))


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor whose value is fed to each run. shape: None in it is any length; None alone is any shape."""
    attributes = {"dtype": as_dtype(dtype), "shape": TensorShape(shape)}
    return apply("Placeholder", [], attributes, name)


def zeros(shape: Value, dtype: Any = float32, name: str | None = None) -> Tensor:
    """0 in every element."""
    return _filled(shape, 0, dtype, name or "zeros")


def ones(shape: Value, dtype: Any = float32, name: str | None = None) -> Tensor:
    """1 in every element."""
    return _filled(shape, 1, dtype, name or "ones")


def _filled(shape: Value, number: int, dtype: Any, name: str) -> Tensor:
    value = np.asarray(number, dtype=as_dtype(dtype).as_numpy_dtype)
    if isinstance(shape, Tensor):
        return fill(shape, value, name)
    return as_tensor(np.full(TensorShape(shape).as_list(), value), name=name)


def range(start: int, limit: int | None = None, delta: int = 1, name: str = "range") -> Tensor:
    """Numbers from start (by default 0) to below the limit."""
    first, last = (0, start) if limit is None else (start, limit)
    return as_tensor(as_array(np.arange(first, last, delta).tolist() or np.zeros(0, np.int32)), name=name)


# -- random numbers ----------------------------------------------------------------------------------------


def set_random_seed(seed: int | None) -> None:
    """What is random in the default graph is the same in every session from now on."""
    get_default_graph().seed = seed


def seeds(seed: int | None, *near: Value) -> tuple[int, int] | None:
    """What an operation's random numbers follow from: the graph's seed and its own; None: from chance.

    An operation without a seed has its position in the graph, so that no two draw the same numbers.
    """
    graph = graph_of(*near)
    if graph.seed is None and seed is None:
        return None
    return graph.seed or 0, len(graph.get_operations()) if seed is None else int(seed)


def _drawn(op: Operation) -> Signature:
    return op.attributes["dtype"], TensorShape(dims_of(op.inputs[0]))


def _normal(
    state: State, op: Operation, dims: Array, mean: float, stddev: float, dtype: Any, seed: Any
) -> Array:
    numbers = state.chance(op).standard_normal(dims.tolist(), dtype=dtype.as_numpy_dtype)
    return np.asarray(numbers * dtype.as_numpy_dtype.type(stddev) + dtype.as_numpy_dtype.type(mean))


def _truncated(
    state: State, op: Operation, dims: Array, mean: float, stddev: float, dtype: Any, seed: Any
) -> Array:
    """Numbers beyond two deviations are drawn again until there are none."""
    chance = state.chance(op)
    numbers = chance.standard_normal(dims.tolist(), dtype=dtype.as_numpy_dtype)
    numbers = np.asarray(numbers)
    while (beyond := np.abs(numbers) > 2).any():
        numbers[beyond] = chance.standard_normal(np.count_nonzero(beyond), dtype=dtype.as_numpy_dtype)
    return np.asarray(numbers * dtype.as_numpy_dtype.type(stddev) + dtype.as_numpy_dtype.type(mean))


def _uniform(
    state: State, op: Operation, dims: Array, minval: Any, maxval: Any, dtype: Any, seed: Any
) -> Array:
    chance, target = state.chance(op), dtype.as_numpy_dtype
    if dtype.is_integer:
        return np.asarray(chance.integers(minval, maxval, dims.tolist(), dtype=target))
    numbers = chance.random(dims.tolist(), dtype=target)
    return np.asarray(numbers * target.type(maxval - minval) + target.type(minval))


define("RandomNormal", _drawn, _normal, stateful=True)
define("TruncatedNormal", _drawn, _truncated, stateful=True)
define("RandomUniform", _drawn, _uniform, stateful=True)


def _random(kind: str, shape: Value, name: str, seed: int | None, dtype: Any, **limits: Any) -> Tensor:
    wanted = as_dtype(dtype)
    if not wanted.is_number or (wanted.is_integer and kind != "RandomUniform"):
        raise ArgumentError(f"{name} does not draw {wanted.name}", remedy="use float32 or float64")
    dims = as_tensor(shape, "int32", name=f"{name}/shape")
    attributes = {**limits, "dtype": wanted, "seed": seeds(seed, dims)}
    return apply(kind, [dims], attributes, name)


def random_normal(
    shape: Value,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = float32,
    seed: int | None = None,
    name: str = "random_normal",
) -> Tensor:
    """Numbers of the normal distribution, new ones in each run."""
    return _random("RandomNormal", shape, name, seed, dtype, mean=mean, stddev=stddev)


def truncated_normal(
    shape: Value,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = float32,
    seed: int | None = None,
    name: str = "truncated_normal",
) -> Tensor:
    """Numbers of the normal distribution, none farther from the mean than two deviations.

    Their own standard deviation is 0.8796 of ``stddev``.
    """
    return _random("TruncatedNormal", shape, name, seed, dtype, mean=mean, stddev=stddev)


def random_uniform(
    shape: Value,
    minval: float = 0,
    maxval: float | None = None,
    dtype: Any = float32,
    seed: int | None = None,
    name: str = "random_uniform",
) -> Tensor:
    """Numbers from minval to below maxval (by default 1; integers need it), all equally likely."""
    if maxval is None and as_dtype(dtype).is_integer:
        raise ArgumentError("random integers need a limit", where=name, remedy="give maxval")
    top = 1 if maxval is None else maxval
    return _random("RandomUniform", shape, name, seed, dtype, minval=minval, maxval=top)
