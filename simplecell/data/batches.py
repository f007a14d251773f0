"""What a batch is, where batches come from, and the sides that data are divided into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from simplecell.data.addressed import Address

#: Tensors with the examples first; lists where sizes differ; "id" (a list of str) is always there.
Batch = Mapping[str, Any]


@runtime_checkable
class Examples(Protocol):
    """Examples in a fixed order, made into batches on demand.

    ``ids`` are stable and unique. ``batch(indices, address)`` gives the examples at ``indices``; with an
    address they are augmented by the random numbers found there, without one they are as they are.
    """

    @property
    def ids(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64], address: Address | None = None) -> Batch: ...


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many of 0 … count − 1, from all over: int64, rising."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


@dataclass(frozen=True)
class Splits:
    """The sides of a data set, and what its numbers mean.

    meaning: JSON values; goes into the artefact (classes, geometry, mean and deviation, …).
    facts: JSON values for the run's record (counts, what was left out and why); not in the artefact.
    others: sides beyond the three, such as ``unlabelled`` or ``domain_b``.
    """

    train: Examples
    validation: Examples
    test: Examples
    meaning: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    others: Mapping[str, Examples] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Examples:
        if name in ("train", "validation", "test"):
            return getattr(self, name)  # type: ignore[no-any-return]
        return self.others[name]
