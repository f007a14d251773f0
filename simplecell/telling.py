"""Where long work tells how far it is; the command line listens, a library call need not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

Tell = Callable[[str, int, int], None]

_current: ContextVar[Tell | None] = ContextVar("tell", default=None)


def tell(what: str, done: int, total: int) -> None:
    """Say that ``done`` of ``total`` parts of ``what`` are finished."""
    listener = _current.get()
    if listener is not None:
        listener(what, done, total)


@contextlib.contextmanager
def heard_by(listener: Tell) -> Iterator[None]:
    """Within, ``listener`` hears what is told."""
    token = _current.set(listener)
    try:
        yield
    finally:
        _current.reset(token)
