"""What can go wrong in a graph: one class for each mistake, all of them a sentence that says what to do.

Beside ``GraphError``, most are the exception that Python has for such a mistake (ValueError, TypeError …), so
that a program written for TensorFlow catches what it expects.
"""

from __future__ import annotations

from simplecell.errors import UserError


class GraphError(UserError):
    """The base of every mistake in building or running a graph."""


class ArgumentError(GraphError, ValueError):
    """An argument that is no possible value: padding="same", a negative stride, an integer divided by 0."""


class ClosedError(GraphError, RuntimeError):
    """A session that was closed is run."""


class DtypeError(GraphError, TypeError):
    """Two dtypes meet that do not mix, or a value does not fit its dtype."""


class ForeignError(GraphError, ValueError):
    """What belongs to one graph is used in another, or in a session of another."""


class GradientError(GraphError, LookupError):
    """A gradient is asked through an operation that has none."""


class LiteralError(GraphError, ValueError):
    """A word stands where a number belongs."""


class ShapeError(GraphError, ValueError):
    """Shapes do not fit, found while building or, where a dimension was None, while running."""


class UnfedError(GraphError):
    """A placeholder is needed and not fed."""


class UninitialisedError(GraphError):
    """A variable is read before its initialiser has run."""


class UnknownNameError(GraphError, KeyError):
    """The graph has nothing of that name."""
