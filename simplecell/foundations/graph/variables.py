"""Variables, what assigns to them, and the order of what has effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from simplecell.foundations.graph.dtypes import Array
from simplecell.foundations.graph.errors import DtypeError
from simplecell.foundations.graph.graph import get_default_graph
from simplecell.foundations.graph.state import State
from simplecell.foundations.graph.tensor import (
    Operation,
    Signature,
    Tensor,
    Value,
    as_tensor,
    define,
    graph_of,
    operation,
    result,
)


def _assigned(op: Operation) -> Signature:
    variable = result(op.writes[0])
    shape = variable.shape.merge_with(op.inputs[0].shape, where=op.name)
    if op.type != "Assign" and not variable.dtype.is_number:
        raise DtypeError(f"{variable.dtype.name} has no {op.type}", where=op.name, remedy="use assign")
    return variable.dtype, shape


def _assign(state: State, op: Operation, value: Array) -> Array:
    (variable,) = op.writes
    current = state.variables.get(variable)
    if current is None or current.shape != np.shape(value):
        current = state.variables[variable] = np.array(value, dtype=result(variable).dtype.as_numpy_dtype)
    else:
        np.copyto(current, value)
    return current


def _changing(change: np.ufunc) -> Callable[[State, Operation, Array], Array]:
    def assign(state: State, op: Operation, value: Array) -> Array:
        current = state.variables[op.writes[0]]
        change(current, value, out=current)
        return current

    return assign


define("Variable", lambda op: (op.attributes["dtype"], op.attributes["shape"]))
define("Assign", _assigned, _assign, stateful=True, assigns=True)
define("AssignAdd", _assigned, _changing(np.add), stateful=True)
define("AssignSub", _assigned, _changing(np.subtract), stateful=True)
define("NoOp", lambda op: None, lambda: None)


class Variable(Tensor):
    """A value that a session keeps between runs. It has none before its initialiser has run.

    initial_value: what becomes a tensor, or a function that gives it. trainable: optimisers change it.

    Within one run, an assignment waits for everything that reads the variable and does not itself wait for
    the assignment: ``run([train, w])`` gives w as it was before the step, always.
    """

    def __init__(
        self,
        initial_value: Value,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        value = initial_value() if callable(initial_value) else initial_value
        graph = graph_of(value)
        with (
            graph.as_default(),
            graph.control_dependencies(None),
            graph.name_scope(name or "Variable") as scope,
        ):
            self.initial_value = as_tensor(value, dtype, name="initial_value", where=scope[:-1])
            dtype, shape = self.initial_value.dtype, self.initial_value.shape
            super().__init__(operation("Variable", [], {"dtype": dtype, "shape": shape}, scope), dtype, shape)
            self.op.output = self
            self.initializer = operation("Assign", [self.initial_value], {}, "Assign", [self.op])
        self.trainable = trainable
        graph.variables.append(self)

    def value(self) -> Tensor:
        """The variable as a tensor, which it is."""
        return self

    def assign(self, value: Value, name: str | None = None) -> Tensor:
        """Give it a new value when this runs; the result is that value."""
        return self._assignment("Assign", value, name)

    def assign_add(self, delta: Value, name: str | None = None) -> Tensor:
        """Add to its value when this runs; the result is the new value."""
        return self._assignment("AssignAdd", delta, name)

    def assign_sub(self, delta: Value, name: str | None = None) -> Tensor:
        """Subtract from its value when this runs; the result is the new value."""
        return self._assignment("AssignSub", delta, name)

    def _assignment(self, kind: str, value: Value, name: str | None) -> Tensor:
        with self.graph.as_default():
            given = as_tensor(value, self.dtype, name=f"{name or kind}/value", where=self.op.name)
            return result(operation(kind, [given], {}, name or kind, [self.op]))

    def __repr__(self) -> str:
        return f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}>"


def assign(ref: Variable, value: Value, name: str | None = None) -> Tensor:
    """``ref.assign(value)``."""
    return ref.assign(value, name)


def assign_add(ref: Variable, value: Value, name: str | None = None) -> Tensor:
    """``ref.assign_add(value)``."""
    return ref.assign_add(value, name)


def assign_sub(ref: Variable, value: Value, name: str | None = None) -> Tensor:
    """``ref.assign_sub(value)``."""
    return ref.assign_sub(value, name)


def global_variables() -> list[Variable]:
    """All variables of the default graph, in the order in which they were made."""
    return list(get_default_graph().variables)


def trainable_variables() -> list[Variable]:
    """The variables of the default graph that optimisers change."""
    return [each for each in global_variables() if each.trainable]


def variables_initializer(var_list: Iterable[Variable], name: str = "init") -> Operation:
    """An operation that gives these variables their initial values."""
    return group(*(each.initializer for each in var_list), name=name)


def global_variables_initializer() -> Operation:
    """An operation that gives all variables that exist now their initial values."""
    return variables_initializer(global_variables())


def group(*inputs: Operation | Tensor, name: str = "group_deps") -> Operation:
    """An operation that is done when all of these are; it has no value."""
    graph = inputs[0].graph if inputs else get_default_graph()
    with graph.as_default(), graph.control_dependencies(inputs):
        return operation("NoOp", [], name=name)


def no_op(name: str = "NoOp") -> Operation:
    """An operation that does nothing: a place to wait at."""
    return operation("NoOp", [], name=name)


def control_dependencies(control_inputs: Sequence[Any] | None) -> AbstractContextManager[None]:
    """What is made inside the block runs after these operations or tensors."""
    return get_default_graph().control_dependencies(control_inputs)


def name_scope(name: str | None, default_name: str | None = None) -> AbstractContextManager[str]:
    """Names inside the block begin with the scope's name and a slash."""
    return get_default_graph().name_scope(name or default_name)
