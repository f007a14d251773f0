"""Shapes that may be known in part: (None, 784) is any number of rows of 784, <unknown> any shape at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from simplecell.foundations.graph.errors import ShapeError

Dims = tuple[int | None, ...]


class TensorShape:
    """The shape of a tensor while the graph is built.

    dims: the dimensions, None for one that is not known; None in their place when not even the rank is.
    """

    __slots__ = ("dims",)

    def __init__(self, dims: Any) -> None:
        if isinstance(dims, TensorShape):
            self.dims: Dims | None = dims.dims
        elif dims is None:
            self.dims = None
        else:
            several = [dims] if isinstance(dims, int) else dims
            self.dims = tuple(None if each is None else int(each) for each in several)
            if any(each is not None and each < 0 for each in self.dims):
                raise ShapeError(f"{self} has a negative dimension", remedy="use None for one that varies")

    @property
    def ndims(self) -> int | None:
        """The rank, or None."""
        return None if self.dims is None else len(self.dims)

    @property
    def known(self) -> tuple[int, ...] | None:
        """All dimensions, when every one is known."""
        if self.dims is None or None in self.dims:
            return None
        return tuple(each for each in self.dims if each is not None)

    def as_list(self) -> list[int | None]:
        """The dimensions; raises ShapeError when the rank is not known."""
        return list(self._ranked())

    def is_compatible_with(self, other: Any) -> bool:
        """Whether one array could have both shapes."""
        theirs = TensorShape(other).dims
        if self.dims is None or theirs is None:
            return True
        return len(self.dims) == len(theirs) and all(
            None in pair or pair[0] == pair[1] for pair in zip(self.dims, theirs, strict=True)
        )

    def merge_with(self, other: Any, *, where: str = "") -> TensorShape:
        """What is known of a tensor that has both shapes."""
        other = TensorShape(other)
        if not self.is_compatible_with(other):
            raise ShapeError(f"shape {other} does not fit {self}", where=where, remedy="give equal shapes")
        if self.dims is None or other.dims is None:
            return other if self.dims is None else self
        return TensorShape(
            [theirs if ours is None else ours for ours, theirs in zip(self.dims, other.dims, strict=True)]
        )

    def _ranked(self) -> Dims:
        if self.dims is None:
            raise ShapeError("the rank is not known", remedy="give the placeholder a shape")
        return self.dims

    def __iter__(self) -> Iterator[int | None]:
        return iter(self._ranked())

    def __len__(self) -> int:
        return len(self._ranked())

    def __getitem__(self, index: Any) -> Any:
        return self._ranked()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list | tuple | TensorShape) or other is None:
            return self.dims == TensorShape(other).dims
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.dims)

    def __repr__(self) -> str:
        return "<unknown>" if self.dims is None else str(self.dims)


def broadcast(first: TensorShape, second: TensorShape, *, where: str = "") -> TensorShape:
    """The shape of an element-wise result, by NumPy's rule: aligned at the right, a 1 stretches.

    An unknown dimension beside n > 1 can only be n (or stretch to it); beside 1 it stays unknown.
    """
    if first.dims is None or second.dims is None:
        return TensorShape(None)
    rank = max(len(first.dims), len(second.dims))
    one = (1,) * (rank - len(first.dims)) + first.dims
    other = (1,) * (rank - len(second.dims)) + second.dims
    result: list[int | None] = []
    for a, b in zip(one, other, strict=True):
        if a == b or b == 1:
            result.append(a)
        elif a == 1 or a is None:
            result.append(b)
        elif b is None:
            result.append(a)
        else:
            raise ShapeError(
                f"shapes {first} and {second} do not broadcast: {a} against {b}",
                where=where,
                remedy="reshape one of them, or transpose it",
            )
    return TensorShape(result)


def surely_equal(shape: TensorShape, other: TensorShape) -> bool:
    """Whether two tensors have the same shape whatever is fed."""
    return shape.known is not None and shape.known == other.known


def keeps(shape: TensorShape, others: Iterable[TensorShape]) -> bool:
    """Whether a tensor surely keeps its shape when the others are broadcast with it."""
    if shape.dims is None:
        return False
    ours = shape.dims[::-1]
    return all(
        other.dims is not None
        and len(other.dims) <= len(ours)
        and all(dim == 1 or (dim is not None and dim == ours[i]) for i, dim in enumerate(other.dims[::-1]))
        for other in others
    )


def normal_axes(axis: Any, rank: int | None, *, where: str = "") -> tuple[int, ...] | None:
    """Axes counted from the front, each once, in order; None for all of a tensor whose rank is not known.

    axis: None for all, a number or several, negative from the end.
    """
    if axis is None:
        return None if rank is None else tuple(range(rank))
    several: Sequence[int] = [int(each) for each in ([axis] if not isinstance(axis, list | tuple) else axis)]
    if rank is None:
        return tuple(several)
    wrong = [each for each in several if not -rank <= each < rank]
    if wrong:
        raise ShapeError(
            f"there is no axis {wrong[0]} in {rank} dimensions", where=where, remedy="count axes from 0"
        )
    return tuple(sorted({each % rank for each in several}))
