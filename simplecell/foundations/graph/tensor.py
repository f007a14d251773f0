"""Operations, and the tensors that they will give.

Nothing is computed here. Building a graph only writes down which operation takes which tensors; what is known
of the result without computing, its type and (in part) its shape, is inferred at once, so that most mistakes
are told at the line that makes them. A session computes (``session.py``).

What operations of one name do stands in a ``Kind``: how type and shape follow, how NumPy computes them, and
which operations their gradient is made of. The kinds are defined family by family in the modules beside this
one, each together with its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from simplecell.foundations.graph.dtypes import DType, as_array, as_dtype
from simplecell.foundations.graph.errors import DtypeError, ForeignError, GraphError
from simplecell.foundations.graph.graph import Graph, get_default_graph
from simplecell.foundations.graph.shapes import TensorShape

#: What becomes a tensor where one is needed: a Tensor, a number, a word, an array, a list of these.
Value = Any
Signature = tuple[DType, TensorShape]
Formula = Callable[["Operation", "Tensor"], "Tensor"]


@dataclass(frozen=True, eq=False)
class Kind:
    """What operations of one name have in common.

    infer: the type and shape of the result, None where there is none; raises where the inputs do not fit.
    compute: from arrays of the inputs, and the attributes by name, to the result. With stateful, the state of
    the session and the operation come first. With reuses, it takes ``out=``, an array for its result.
    gradients: for each input a formula from the operation and the gradient of its result to the gradient of
    that input; or one formula that is given the input's position besides. None: nothing flows back.
    broadcasts: the inputs stretch to the result; the formulas are written as if all had its shape already.
    view: the result may share memory with the first input.
    assigns: the variables that it writes need no value before.
    """

    name: str
    infer: Callable[[Operation], Signature | None]
    compute: Callable[..., Any] | None = None
    gradients: Sequence[Formula | None] | Callable[[Operation, Tensor, int], Tensor] | None = None
    broadcasts: bool = False
    reuses: bool = False
    view: bool = False
    stateful: bool = False
    assigns: bool = False

    def gradient(self, op: Operation, flowing: Tensor, index: int) -> Tensor | None:
        """The gradient of one input, made of new operations; None where nothing flows back to it."""
        if self.gradients is None or callable(self.gradients):
            return self.gradients(op, flowing, index) if self.gradients else None
        formula = self.gradients[index]
        return formula(op, flowing) if formula else None


KINDS: dict[str, Kind] = {}


def define(
    name: str,
    infer: Callable[[Operation], Signature | None],
    compute: Callable[..., Any] | None = None,
    **rest: Any,
) -> None:
    """Add a kind of operation; the rest is as in ``Kind``."""
    KINDS[name] = Kind(name, infer, compute, **rest)


class Operation:
    """A node of a graph.

    number: its place in the order of making. writes: the operations of the variables that running it changes.
    """

    def __init__(
        self,
        graph: Graph,
        kind: Kind,
        name: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, Any],
        writes: Sequence[Operation],
    ) -> None:
        self.graph, self.kind, self.name = graph, kind, name.rstrip("/")
        self.inputs, self.attributes, self.writes = tuple(inputs), dict(attributes), tuple(writes)
        self.control_inputs: tuple[Operation, ...] = ()
        self.number = -1
        signature = kind.infer(self)
        self.output = Tensor(self, *signature) if signature else None

    @property
    def type(self) -> str:
        return self.kind.name

    @property
    def outputs(self) -> list[Tensor]:
        return [] if self.output is None else [self.output]

    def run(self, feed_dict: Mapping[Any, Any] | None = None, session: Runner | None = None) -> None:
        """Run it in the session, or the default one."""
        (session or default_session()).run(self, feed_dict)

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"


class Tensor:
    """A value that a session will compute: the result of one operation."""

    __array_ufunc__ = None  # NumPy leaves array + tensor to us
    __hash__ = object.__hash__  # == is written tf.equal; two tensors are equal when they are the same

    def __init__(self, op: Operation, dtype: DType, shape: TensorShape) -> None:
        self.op, self.dtype, self.shape = op, dtype, shape

    @property
    def name(self) -> str:
        return f"{self.op.name}:0"

    @property
    def graph(self) -> Graph:
        return self.op.graph

    def get_shape(self) -> TensorShape:
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Add what is known of the shape; raises ShapeError when it contradicts."""
        self.shape = self.shape.merge_with(shape, where=self.name)

    def eval(self, feed_dict: Mapping[Any, Any] | None = None, session: Runner | None = None) -> Any:
        """Its value in the session, or the default one."""
        return (session or default_session()).run(self, feed_dict)

    def __repr__(self) -> str:
        rank = "unknown" if self.shape.ndims is None else self.shape.ndims
        return f"<tf.Tensor '{self.name}' rank={rank} shape={self.shape} dtype={self.dtype.name}>"

    def __bool__(self) -> NoReturn:
        raise GraphError("a tensor has no truth before it runs", where=self.name, remedy="use tf.where")

    def __iter__(self) -> NoReturn:
        raise GraphError("a tensor has no elements before it runs", where=self.name, remedy="index it")

    def __add__(self, other: Value) -> Tensor:
        return binary("Add", self, other, "add")

    def __radd__(self, other: Value) -> Tensor:
        return binary("Add", other, self, "add")

    def __sub__(self, other: Value) -> Tensor:
        return binary("Sub", self, other, "sub")

    def __rsub__(self, other: Value) -> Tensor:
        return binary("Sub", other, self, "sub")

    def __mul__(self, other: Value) -> Tensor:
        return binary("Mul", self, other, "mul")

    def __rmul__(self, other: Value) -> Tensor:
        return binary("Mul", other, self, "mul")

    def __truediv__(self, other: Value) -> Tensor:
        return binary("RealDiv", self, other, "truediv")

    def __rtruediv__(self, other: Value) -> Tensor:
        return binary("RealDiv", other, self, "truediv")

    def __floordiv__(self, other: Value) -> Tensor:
        return binary("FloorDiv", self, other, "floordiv")

    def __rfloordiv__(self, other: Value) -> Tensor:
        return binary("FloorDiv", other, self, "floordiv")

    def __mod__(self, other: Value) -> Tensor:
        return binary("FloorMod", self, other, "mod")

    def __rmod__(self, other: Value) -> Tensor:
        return binary("FloorMod", other, self, "mod")

    def __pow__(self, other: Value) -> Tensor:
        return binary("Pow", self, other, "pow")

    def __rpow__(self, other: Value) -> Tensor:
        return binary("Pow", other, self, "pow")

    def __matmul__(self, other: Value) -> Tensor:
        return binary("MatMul", self, other, "matmul")

    def __rmatmul__(self, other: Value) -> Tensor:
        return binary("MatMul", other, self, "matmul")

    def __neg__(self) -> Tensor:
        return apply("Neg", [self])

    def __abs__(self) -> Tensor:
        return apply("Abs", [self])

    def __lt__(self, other: Value) -> Tensor:
        return binary("Less", self, other, "Less")

    def __le__(self, other: Value) -> Tensor:
        return binary("LessEqual", self, other, "LessEqual")

    def __gt__(self, other: Value) -> Tensor:
        return binary("Greater", self, other, "Greater")

    def __ge__(self, other: Value) -> Tensor:
        return binary("GreaterEqual", self, other, "GreaterEqual")

    def __getitem__(self, index: Any) -> Tensor:
        several = index if isinstance(index, tuple) else (index,)
        return apply("StridedSlice", [self], {"index": several}, name="strided_slice")


class Runner(Protocol):
    """What a tensor needs of a session."""

    def run(self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None) -> Any: ...


#: Sessions whose `with` block is open; the last is the default one.
open_sessions: ContextVar[tuple[Runner, ...]] = ContextVar("open_sessions", default=())


def default_session() -> Runner:
    """The session whose block is open."""
    if not open_sessions.get():
        raise GraphError("no session is open", remedy="use `with tf.Session():`, or session.run(…)")
    return open_sessions.get()[-1]


def graph_of(*values: Value) -> Graph:
    """The graph of the first tensor among the values, else the default one."""
    return next((each.graph for each in values if isinstance(each, Tensor)), get_default_graph())


def as_tensor(value: Value, dtype: DType | str | None = None, name: str = "Const", where: str = "") -> Tensor:
    """The value as a tensor of the graph. A list with tensors in it becomes their stack.

    Raises DtypeError when a tensor has another type or a value does not fit.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(value, Tensor):
        if wanted is not None and value.dtype != wanted:
            raise DtypeError(
                f"{value.name} is {value.dtype.name} where {wanted.name} is needed",
                where=where,
                remedy="use tf.cast",
            )
        return value
    if isinstance(value, list | tuple) and _has_tensor(value):
        first = next((each for each in value if isinstance(each, Tensor)), None)
        wanted = first.dtype if first is not None and wanted is None else wanted
        return apply("Pack", [as_tensor(each, wanted) for each in value], {"axis": 0}, name="packed")
    array = as_array(value, wanted, where=where or name)
    if array is value:
        array = array.copy()  # a constant stays, whatever becomes of the caller's array
    return apply("Const", [], {"value": array}, name)


def _has_tensor(values: Any) -> bool:
    return any(
        isinstance(each, Tensor) or (isinstance(each, list | tuple) and _has_tensor(each)) for each in values
    )


def operation(
    kind: str,
    inputs: Sequence[Tensor],
    attributes: Mapping[str, Any] | None = None,
    name: str | None = None,
    writes: Sequence[Operation] = (),
) -> Operation:
    """A new operation of that kind in the graph of its inputs. Raises ForeignError when they have several."""
    graph = writes[0].graph if writes else graph_of(*inputs)
    for each in inputs:
        if each.graph is not graph:
            raise ForeignError(
                f"{each.name} belongs to another graph than {name or kind}",
                remedy="make both within one `with graph.as_default():`",
            )
    made = Operation(graph, KINDS[kind], name or kind, inputs, attributes or {}, writes)
    graph.add(made, name or kind)
    return made


def apply(
    kind: str,
    inputs: Sequence[Tensor],
    attributes: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Tensor:
    """The result of a new operation of that kind on these tensors."""
    return result(operation(kind, inputs, attributes, name))


def result(op: Operation) -> Tensor:
    """The tensor that the operation gives."""
    assert op.output is not None
    return op.output


def binary(kind: str, x: Value, y: Value, name: str) -> Tensor:
    """An operation on two values of one type; what has no type yet takes the other's."""
    graph = graph_of(x, y)
    with graph.as_default(), graph.name_scope(name) as scope:
        typed = next((each.dtype for each in (x, y) if isinstance(each, Tensor)), None)
        left = as_tensor(x, typed, name="x", where=scope[:-1])
        right = as_tensor(y, left.dtype, name="y", where=scope[:-1])
        return apply(kind, [left, right], name=scope)


def like_first(op: Operation) -> Signature:
    """For ``infer``: the result has the type and shape of the first input."""
    return op.inputs[0].dtype, op.inputs[0].shape


def _of_value(op: Operation) -> Signature:
    value = op.attributes["value"]
    return as_dtype(value.dtype), TensorShape(value.shape)


define("Const", _of_value)
