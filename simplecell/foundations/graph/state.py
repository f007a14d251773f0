"""What a session keeps from one run to the next."""

from __future__ import annotations

import numpy as np

from simplecell.foundations.graph.dtypes import Array
from simplecell.foundations.graph.tensor import Operation


class State:
    """The values of variables, each in one array that assignments write into, and sources of chance.

    Every random operation draws from a generator of its own: what it draws does not depend on which
    operations run beside it, nor in which order.
    """

    def __init__(self) -> None:
        self.variables: dict[Operation, Array] = {}
        self._chance: dict[Operation, np.random.Generator] = {}

    def chance(self, op: Operation) -> np.random.Generator:
        """The operation's generator, made from its seeds, or from chance when it has none."""
        if op not in self._chance:
            self._chance[op] = np.random.default_rng(op.attributes["seed"])
        return self._chance[op]
