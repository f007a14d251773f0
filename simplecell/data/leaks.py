"""Pictures that are equal, or nearly so, on two sides of a data set or twice on one.

Equal is told by a digest of the decoded pixels. Nearly equal is told by thumbnails (16 × 16, grey,
antialiased), each with its mean subtracted, so that another compression, size or brightness of the same
photograph is found.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from simplecell.data.looks import SIDE

#: Pictures are nearly equal up to this root mean square difference of their thumbnails, in levels of 0 … 255.
#: Measured: 4,025 photographs and traffic signs differ from their own copies (JPEG quality 60, nine tenths of
#: the size, 5 levels brighter) by 2.8 at most, and of 1,930 photographs the only two pairs below 10 are shots
#: of one scene (1.8 and 6.5). Of 60,000 MNIST digits 11 are this close to another one.
NEAR = 4.0

#: Thumbnails of a smaller deviation show too little to be told apart; for them only equal pixels count.
FLAT = 2 * NEAR

#: So many of the strongest of a thumbnail's 256 components are compared first. They bound the difference
#: from below, so nothing is missed, and few pairs are left for the full comparison.
_COMPONENTS = 32

#: Thumbnails compared with all others at a time. Distances to 10,000 others then stay in a processor's cache;
#: with 1,024 the comparison took three times as long.
_CHUNK = 128


class Looked(Protocol):
    """What is needed of N pictures: digests (uint8, N × 16) and thumbnails (uint8, N × 16 × 16)."""

    @property
    def digests(self) -> NDArray[np.uint8]: ...

    @property
    def thumbnails(self) -> NDArray[np.uint8]: ...


class Leak(NamedTuple):
    """Picture ``first`` of one side and picture ``second`` of another, or of the same, are the same."""

    first: int
    second: int
    kind: Literal["equal", "near"]


def leaks(a: Looked, b: Looked) -> list[Leak]:
    """The pictures of ``a`` that ``b`` has too, each once, with an equal or else the closest one there."""
    places = {digest: place for place, digest in reversed(list(enumerate(_names(b))))}
    equal = [places.get(digest, -1) for digest in _names(a)]
    return _join(equal, _nearest(a.thumbnails, b.thumbnails))


def repeats(a: Looked) -> list[Leak]:
    """The pictures that were there before: ``first`` came later in ``a`` than ``second``."""
    places: dict[bytes, int] = {}
    equal = []
    for place, digest in enumerate(_names(a)):
        earlier = places.setdefault(digest, place)
        equal.append(earlier if earlier < place else -1)
    return _join(equal, _nearest(a.thumbnails, None))


def _names(looked: Looked) -> list[bytes]:
    return [digest.tobytes() for digest in looked.digests]


def _join(equal: list[int], near: NDArray[np.int64]) -> list[Leak]:
    found = []
    for first, (same, close) in enumerate(zip(equal, near.tolist(), strict=True)):
        if same >= 0:
            found.append(Leak(first, same, "equal"))
        elif close >= 0:
            found.append(Leak(first, close, "near"))
    return found


@contextmanager
def _one_thread() -> Generator[None, None, None]:
    """Compute on one thread: a chunk is so small that waiting for each other costs more than it saves, and
    on a busy machine thirty times more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def _nearest(a: NDArray[np.uint8], b: NDArray[np.uint8] | None) -> NDArray[np.int64]:
    """For each thumbnail of ``a`` the place of the closest of ``b``, or -1 where none is near; for b None,
    of those before it in ``a``."""
    nearest = np.full(len(a), -1, np.int64)
    marked_a, vectors_a = _vivid(a)
    marked_b, vectors_b = (marked_a, vectors_a) if b is None else _vivid(b)
    if not len(marked_a) or not len(marked_b):
        return nearest
    basis = _strongest(vectors_b)
    short_a, short_b = vectors_a @ basis, vectors_b @ basis
    threshold = NEAR**2 * SIDE**2
    # |x - y|² = |x|² - 2xy + |y|² as one product; float32 errs by far less than the slack.
    left = torch.cat([-2 * short_a, _square(short_a), torch.ones(len(short_a), 1)], 1)
    right = torch.cat([short_b, torch.ones(len(short_b), 1), _square(short_b)], 1).T.contiguous()
    for start in range(0, len(left), _CHUNK):
        rows = left[start : start + _CHUNK]
        distances = rows @ (right if b is not None else right[:, : start + len(rows)])
        if b is None:
            later = torch.ones(len(rows), len(rows), dtype=torch.bool).triu()
            distances[:, start:].masked_fill_(later, torch.inf)
        for row in torch.nonzero(distances.amin(1) <= 1.01 * threshold)[:, 0].tolist():
            others = torch.nonzero(distances[row] <= 1.01 * threshold)[:, 0]
            exact = _square(vectors_b[others].double() - vectors_a[start + row].double())[:, 0]
            best = int(exact.argmin())
            if exact[best] <= threshold:
                nearest[marked_a[start + row]] = marked_b[int(others[best])]
    return nearest


def _vivid(thumbnails: NDArray[np.uint8]) -> tuple[NDArray[np.int64], torch.Tensor]:
    """The places of the thumbnails that are not flat, and these as float32, n × 256, of mean 0 each."""
    vectors = thumbnails.reshape(len(thumbnails), SIDE * SIDE).astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True)
    marked = np.flatnonzero(vectors.std(axis=1) >= FLAT)
    return marked, torch.from_numpy(vectors[marked])


def _strongest(vectors: torch.Tensor) -> torch.Tensor:
    """An orthonormal basis, 256 × components, of the directions in which the vectors vary most."""
    values = vectors[:: max(1, len(vectors) // 10_000)].double()
    basis: torch.Tensor = torch.linalg.eigh(values.T @ values).eigenvectors
    return basis[:, -_COMPONENTS:].float()


def _square(vectors: torch.Tensor) -> torch.Tensor:
    return (vectors * vectors).sum(1, keepdim=True)
