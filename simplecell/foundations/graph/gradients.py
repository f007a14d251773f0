"""Backpropagation: reverse mode on the graph (Rumelhart, Hinton, Williams 1986, equations 4 to 7).

The gradient of y by x is made of new operations of the same graph. From y backwards, in the reverse of the
order in which they were made, each operation receives the gradient of its result, which is the sum of what
all its users sent, and sends to each of its inputs that gradient times its own derivative by the input.
Nothing is computed until a session runs; gradients have gradients in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from simplecell.foundations.graph.errors import DtypeError
from simplecell.foundations.graph.shapes import keeps
from simplecell.foundations.graph.shaping import ones_like, sum_to
from simplecell.foundations.graph.tensor import Operation, Tensor, Value, apply, as_tensor, define, like_first


def _added(first: Any, *others: Any) -> Any:
    total = first + others[0]
    for each in others[1:]:
        total += each
    return total


define("AddN", like_first, _added, gradients=lambda op, g, index: g)


def gradients(
    ys: Tensor | Sequence[Tensor],
    xs: Tensor | Sequence[Tensor],
    grad_ys: Value | Sequence[Value] | None = None,
    name: str = "gradients",
) -> list[Tensor | None]:
    """For each x the gradient of the sum of all elements of all ys by it; None where no y depends on it.

    grad_ys: the gradient that flows into each y, by default 1 in every element.
    Raises DtypeError when a y is not floating-point, GradientError at an operation that has no gradient.
    """
    targets = [ys] if isinstance(ys, Tensor) else list(ys)
    sources = [xs] if isinstance(xs, Tensor) else list(xs)
    given = [grad_ys] if not isinstance(grad_ys, list | tuple) else list(grad_ys)
    seeds = given if grad_ys is not None else [None] * len(targets)
    for y in targets:
        if not y.dtype.is_floating:
            raise DtypeError(f"{y.dtype.name} has no gradient", where=y.name, remedy="cast to float32")
    graph = targets[0].graph
    for x in sources:
        graph.operation(x)  # raises when it is another graph's
    with graph.as_default(), graph.control_dependencies(None), graph.name_scope(name):
        arrived: dict[Tensor, list[Tensor]] = {}
        for y, seed in zip(targets, seeds, strict=True):
            start = ones_like(y) if seed is None else as_tensor(seed, y.dtype)
            arrived.setdefault(y, []).append(start)
        totals: dict[Tensor, Tensor] = {}
        ways = between(sources, targets)
        for op in sorted(ways, key=lambda op: -op.number):
            if op.output in arrived:
                totals[op.output] = _total(arrived[op.output])
                with graph.name_scope(f"{op.name.rpartition('/')[2]}_grad"):
                    _send_back(op, totals[op.output], ways, arrived)
    return [totals.get(x) for x in sources]


def between(sources: Iterable[Tensor], targets: Iterable[Tensor]) -> set[Operation]:
    """The operations on the ways from the sources to the targets, both included."""
    before: set[Operation] = set()
    waiting = [each.op for each in targets]
    while waiting:
        op = waiting.pop()
        if op not in before:
            before.add(op)
            waiting += [each.op for each in op.inputs]
    reached = {each.op for each in sources} & before
    for op in sorted(before, key=lambda op: op.number):
        if any(each.op in reached for each in op.inputs):
            reached.add(op)
    return reached


def _total(parts: list[Tensor]) -> Tensor:
    """An operation whose result is used in several places gets the sum of what they send."""
    return parts[0] if len(parts) == 1 else apply("AddN", parts)


def _send_back(
    op: Operation, flowing: Tensor, ways: set[Operation], arrived: dict[Tensor, list[Tensor]]
) -> None:
    for index, x in enumerate(op.inputs):
        if x.op in ways and x.dtype.is_floating:
            sent = op.kind.gradient(op, flowing, index)
            if sent is not None:
                others = [each.shape for each in op.inputs if each is not x]
                stretched = op.kind.broadcasts and not keeps(x.shape, others)
                arrived.setdefault(x, []).append(sum_to(sent, x) if stretched else sent)
