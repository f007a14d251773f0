"""A graph: operations in the order in which they were made, their names and scopes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from simplecell.foundations.graph.errors import DtypeError, ForeignError, GraphError, UnknownNameError

if TYPE_CHECKING:
    from simplecell.foundations.graph.tensor import Operation, Tensor


class Graph:
    """Operations in the order in which they were made, and the variables among them."""

    def __init__(self) -> None:
        self.seed: int | None = None
        self.variables: list[Any] = []
        self._operations: dict[str, Operation] = {}
        self._taken: dict[str, int] = {}  # names in lower case, and how often each was asked for
        self._scope = ""
        self._control: tuple[Operation, ...] = ()

    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """What is made inside the block belongs to this graph."""
        before = _graph.set(self)
        try:
            yield self
        finally:
            _graph.reset(before)

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Names inside the block begin with the scope's, which is given back with its final slash.

        A name that ends with a slash is a scope's that was opened before; None leaves all scopes.
        """
        before = self._scope
        self._scope = name if name and name.endswith("/") else f"{self.unique_name(name)}/" if name else ""
        try:
            yield self._scope
        finally:
            self._scope = before

    @contextmanager
    def control_dependencies(self, before: Sequence[Any] | None) -> Iterator[None]:
        """What is made inside the block runs after these operations or tensors; None drops all such waits."""
        kept = self._control
        self._control = () if before is None else (*kept, *(self.operation(each) for each in before))
        try:
            yield
        finally:
            self._control = kept

    def unique_name(self, name: str) -> str:
        """The name within the scope, with _1, _2 … behind it where it is taken (in any case)."""
        wanted = full = self._scope + name
        count = self._taken.get(wanted.lower(), 0)
        while full.lower() in self._taken:
            full, count = f"{wanted}_{count}" if count else full, count + 1
        self._taken[wanted.lower()] = max(count, 1)
        self._taken.setdefault(full.lower(), 1)
        return full

    def add(self, op: Operation, name: str) -> None:
        """Name and number an operation; a scope's own name, with its slash, is unique already."""
        op.name = name[:-1] if name.endswith("/") else self.unique_name(name)
        op.number = len(self._operations)
        op.control_inputs = self._control
        self._operations[op.name] = op

    def operation(self, value: Any) -> Operation:
        """The operation that is meant by an operation, a tensor, or the name of either."""
        if isinstance(value, str):
            return self.get_operation_by_name(value.removesuffix(":0"))
        found: Operation = getattr(value, "op", value)
        if not hasattr(found, "control_inputs"):
            raise DtypeError(f"{value!r} is no tensor or operation", remedy="give what the graph is made of")
        if found.graph is not self:
            raise ForeignError(
                f"{found.name} belongs to another graph",
                remedy="open the session with Session(graph=…) of its graph",
            )
        return found

    def get_operations(self) -> list[Operation]:
        """All operations, in the order in which they were made."""
        return list(self._operations.values())

    def get_operation_by_name(self, name: str) -> Operation:
        """Raises UnknownNameError."""
        if name not in self._operations:
            raise UnknownNameError(
                f"the graph has no operation {name!r}", remedy="get_operations() has all that it has"
            )
        return self._operations[name]

    def get_tensor_by_name(self, name: str) -> Tensor:
        """By its name with the number of the output behind, "add:0". Raises UnknownNameError."""
        output = self.get_operation_by_name(name[:-2]).output if name.endswith(":0") else None
        if output is None:
            raise UnknownNameError(f"the graph has no tensor {name!r}", remedy='names are like "add:0"')
        return output


_root = Graph()
_graph: ContextVar[Graph | None] = ContextVar("graph", default=None)


def get_default_graph() -> Graph:
    """The graph to which what is made now belongs."""
    return _graph.get() or _root


def reset_default_graph() -> None:
    """Begin with an empty graph, outside of any `with graph.as_default():`."""
    global _root
    if _graph.get() is not None:
        raise GraphError("a graph's block is open", remedy="leave `with graph.as_default():` before")
    _root = Graph()
