"""Sessions: where a graph is run, and where its variables have their values."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import Token
from types import TracebackType
from typing import Any

import numpy as np

from simplecell.foundations.graph.dtypes import Array, as_array
from simplecell.foundations.graph.errors import ArgumentError, ClosedError, ShapeError, UninitialisedError
from simplecell.foundations.graph.graph import Graph, get_default_graph
from simplecell.foundations.graph.plan import make_plan
from simplecell.foundations.graph.running import Choice
from simplecell.foundations.graph.state import State
from simplecell.foundations.graph.tensor import Operation, Runner, Tensor, open_sessions


class Session:
    """Runs a graph, and keeps the values of its variables until it is closed.

    graph: by default the default graph. threads: at most so many steps at once, by default one a core.
    As a context manager it is the default session, and its graph the default graph, and is closed at the end.
    """

    def __init__(self, graph: Graph | None = None, threads: int | None = None) -> None:
        self.graph = graph or get_default_graph()
        self._threads = threads or len(os.sched_getaffinity(0))
        self._state = State()
        self._plans: dict[tuple[tuple[Operation, ...], frozenset[Operation]], Choice] = {}
        self._pool = ThreadPoolExecutor(self._threads)  # has no threads before it has work
        self._closed = False
        self._blocks: list[tuple[ExitStack, Token[tuple[Runner, ...]]]] = []

    def run(self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None) -> Any:
        """The values of the fetches, in the same form: one, a list, a tuple, a dict, nested as you like.

        A tensor gives an array (of rank 0 a NumPy scalar, or the word), an operation None. Only what the
        fetches need runs, each operation once. feed_dict: values by tensor, for placeholders and whatever
        else is to have this value in this run.

        Raises ClosedError, ForeignError, UnfedError, UninitialisedError, and for what is fed ShapeError,
        DtypeError and LiteralError (a ValueError: "invalid literal for …").
        """
        if self._closed:
            raise ClosedError("the session is closed", remedy="open another one with tf.Session()")
        leaves: list[Any] = []
        _each(fetches, leaves.append)
        wanted = [self.graph.operation(each) for each in leaves]
        fed = {
            self.graph.operation(tensor): _fed(self.graph.operation(tensor), value)
            for tensor, value in (feed_dict or {}).items()
        }
        key = (tuple(wanted), frozenset(fed))
        choice = self._plans.get(key)
        if choice is None:
            plan = make_plan(wanted, fed, self._state)
            choice = self._plans[key] = Choice(plan, self._threads)
        values = self._begin(choice, fed)
        choice.run(values, self._pool)
        slots = iter(choice.plan.fetched)
        return _each(fetches, lambda each: _given(each, values[next(slots)]))

    def _begin(self, choice: Choice, fed: Mapping[Operation, Array]) -> list[Any]:
        """The values of a run before its first step."""
        values = choice.plan.template.copy()
        for op, slot in choice.plan.fed.items():
            values[slot] = fed[op]
        for slot, variable, needed in choice.plan.variables:
            values[slot] = self._state.variables.get(variable)
            if needed and values[slot] is None:
                raise UninitialisedError(
                    f"variable {variable.name} has no value yet",
                    remedy="run tf.global_variables_initializer() first, in this session",
                )
        return values

    def close(self) -> None:
        """Let go of variables and threads."""
        self._closed = True
        self._state, self._plans = State(), {}
        self._pool.shutdown()

    def __enter__(self) -> Session:
        block = ExitStack()
        block.enter_context(self.graph.as_default())
        self._blocks.append((block, open_sessions.set((*open_sessions.get(), self))))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        block, before = self._blocks.pop()
        open_sessions.reset(before)
        block.close()
        self.close()


def _each(fetches: Any, do: Callable[[Any], Any]) -> Any:
    """What ``do`` makes of each fetch, in the form that the fetches have."""
    if isinstance(fetches, Tensor | Operation | str):
        return do(fetches)
    if isinstance(fetches, Mapping):
        return {key: _each(each, do) for key, each in fetches.items()}
    if isinstance(fetches, list | tuple):
        several = [_each(each, do) for each in fetches]
        if isinstance(fetches, list):
            return several
        return type(fetches)(*several) if hasattr(fetches, "_fields") else tuple(several)
    raise ArgumentError(
        f"{fetches!r} cannot be fetched", remedy="fetch tensors, operations, or lists of them"
    )


def _fed(op: Operation, value: Any) -> Array:
    """A fed value as an array that fits the tensor."""
    tensor = op.output
    if tensor is None or isinstance(value, Tensor):
        fault = "a tensor is fed" if isinstance(value, Tensor) else "an operation has no value to feed"
        raise ArgumentError(fault, where=op.name, remedy="feed numbers or arrays, for tensors")
    array = as_array(value, tensor.dtype, where=tensor.name)
    if not tensor.shape.is_compatible_with(array.shape):
        raise ShapeError(
            f"shape {array.shape} is fed where {tensor.shape} is declared",
            where=tensor.name,
            remedy="feed that shape, or declare None where it varies",
        )
    return array


def _given(fetch: Any, value: Any) -> Any:
    """What a fetch gives: an array, of rank 0 its element; for an operation, nothing."""
    if isinstance(fetch, Operation) or (isinstance(fetch, str) and not fetch.endswith(":0")):
        return None
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value
