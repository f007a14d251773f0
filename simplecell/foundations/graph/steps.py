"""Backpropagation to look at: a page that goes through a graph, forwards and backwards, step by step."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from simplecell.foundations.graph.drawing import Note, ancestors, draw
from simplecell.foundations.graph.errors import DtypeError
from simplecell.foundations.graph.gradients import gradients
from simplecell.foundations.graph.tensor import Operation, Runner, Tensor, default_session

_SHORT = 3  # numbers of an array that stand beside its box


def write_steps(
    path: str | os.PathLike[str],
    fetch: Tensor,
    feed_dict: Mapping[Any, Any] | None = None,
    session: Runner | None = None,
) -> Path:
    """Write one HTML file with the forward value and the gradient of everything that goes into the fetch.

    fetch: what is differentiated; of an array, the sum of its elements. session: by default the open one.
    The operations of the gradients are added to the graph; the picture is of what was there before.
    The page needs no network, and goes by buttons and keys. Raises DtypeError when the fetch has no gradient,
    and what a run raises.
    """
    if not fetch.dtype.is_floating:
        raise DtypeError(f"{fetch.dtype.name} has no gradient", where=fetch.name, remedy="cast to float32")
    ops = [op for op in ancestors([fetch]) if op.output is not None]
    tensors = [each for op in ops for each in op.outputs]
    slopes = gradients(fetch, tensors)
    known = [each for each in slopes if each is not None]
    values, found = (session or default_session()).run([tensors, known], feed_dict)
    remaining = iter(found)
    by_op = {op: None if each is None else next(remaining) for op, each in zip(ops, slopes, strict=True)}
    text = page(fetch, dict(zip(ops, values, strict=True)), by_op)
    target = Path(path)
    beside = target.with_name(f".{target.name}.part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, target)
    return target


def page(fetch: Tensor, values: Mapping[Operation, Any], slopes: Mapping[Operation, Any]) -> str:
    """The page, from each operation's value and the gradient of the fetch by it (None: there is none)."""
    ops = list(values)
    backwards = [op for op in reversed(ops) if slopes[op] is not None]
    notes = {op: [Note(f"= {short(values[op])}", "value", at)] for at, op in enumerate(ops)}
    for at, op in enumerate(backwards, len(ops)):
        notes[op].append(Note(f"∂ {short(slopes[op])}", "gradient", at))
    steps = [{"op": op.number, "text": _forwards(op, values), "array": long(values[op])} for op in ops]
    steps += [
        {"op": op.number, "text": _backwards(op, fetch, slopes), "array": long(slopes[op])}
        for op in backwards
    ]
    title = f"Backpropagation through {fetch.op.name}, step by step"
    template = Template(Path(__file__).with_name("steps.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        picture=draw(ops, f"The graph of {fetch.op.name}", notes),
        steps=json.dumps(steps, ensure_ascii=False).replace("<", "\\u003c"),
    )


def _forwards(op: Operation, values: Mapping[Operation, Any]) -> str:
    """What happens at an operation on the way forwards."""
    what = {"Placeholder": "is fed", "Const": "is constant", "Variable": "is a variable"}.get(op.type)
    of = ", ".join(each.op.name for each in op.inputs)
    value = short(values[op])
    return (
        f"Forwards: {op.name} {what}: {value}."
        if what
        else f"Forwards: {op.name} = {op.type}({of}) = {value}."
    )


def _backwards(op: Operation, fetch: Tensor, slopes: Mapping[Operation, Any]) -> str:
    """What happens at an operation on the way backwards."""
    if op is fetch.op:
        return f"Backwards: {op.name} is the result, which grows with itself at a rate of 1."
    senders = [each for each in slopes if slopes[each] is not None and any(x.op is op for x in each.inputs)]
    names = " and ".join(each.name for each in senders)
    adding = ", whose gradients are added" if len(senders) > 1 else ""
    return f"Backwards: ∂{fetch.op.name}/∂{op.name} = {short(slopes[op])}, sent by {names}{adding}."


def short(value: Any) -> str:
    """A number, or the shape of an array and its first elements."""
    array = np.asarray(value)
    numbers = [_number(each) for each in array.ravel()[:_SHORT]]
    if not array.ndim:
        return numbers[0]
    more = ", …" if array.size > _SHORT else ""
    return f"{'×'.join(map(str, array.shape))} [{', '.join(numbers)}{more}]"


def long(value: Any) -> str:
    """An array as NumPy prints it, its middle left out when it is large."""
    array = np.asarray(value)
    if not array.ndim:
        return _number(array[()])
    return np.array2string(
        array, precision=4, threshold=60, edgeitems=3, max_line_width=100, suppress_small=True
    )


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
