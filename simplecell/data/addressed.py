"""Random numbers that have an address instead of a state.

What is drawn for an example is a function of (seed, epoch, its position in the epoch's order, the name
of the draw). It does not depend on how examples are batched, which worker makes them, or where a run
was interrupted, so a resumed run sees the pictures an unbroken one would have seen.

The hash is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF


def splitmix64(counters: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash each 64-bit counter to 64 well-mixed bits (a bijection)."""
    z = counters + np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def key(*parts: int | str) -> int:
    """Fold an address into 64 bits; ("a", 1) and ("a1",) differ."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        text = f"{'i' if isinstance(part, int) else 's'}{part}".encode()
        digest.update(len(text).to_bytes(8, "little") + text)
    return int.from_bytes(digest.digest(), "little")


def seed32(*parts: int | str) -> int:
    """A seed for a torch generator: only the low 32 bits of a CPU generator's seed count."""
    return key(*parts) & 0xFFFFFFFF


def hashes(count: int, *parts: int | str) -> NDArray[np.uint64]:
    """64 random bits for each of the counters 0 … count-1 at this address."""
    start = np.uint64(key(*parts))
    return splitmix64(splitmix64(np.arange(count, dtype=np.uint64)) ^ start)


def permutation(count: int, *parts: int | str) -> NDArray[np.int64]:
    """A random order of 0 … count-1, the same whenever the address is the same."""
    return np.argsort(hashes(count, *parts), kind="stable").astype(np.int64)


@dataclass(frozen=True)
class Address:
    """Where the examples of a batch stand: one row a position in the order of an epoch.

    seed: a key of the run's seed, the stage and the stream.
    positions: int64, N.
    examples: int64, N, which example stands there.
    """

    seed: int
    epoch: int
    positions: NDArray[np.int64]
    examples: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, rows: NDArray[np.int64] | slice) -> Address:
        """The addresses of some of the examples."""
        return Address(self.seed, self.epoch, self.positions[rows], self.examples[rows])

    def uniform(self, draw: str, count: int = 1) -> NDArray[np.float64]:
        """Numbers in [0, 1): float64, N × count. Another draw name gives independent numbers."""
        start = np.uint64(key(self.seed, self.epoch, draw))
        rows = splitmix64(self.positions.astype(np.uint64) ^ start)
        columns = np.arange(count, dtype=np.uint64) * np.uint64(_GOLDEN)
        bits = splitmix64(rows[:, None] + columns[None, :])
        return np.asarray((bits >> np.uint64(11)) * 2.0**-53, dtype=np.float64)

    def integers(self, draw: str, low: int, high: int, count: int = 1) -> NDArray[np.int64]:
        """Whole numbers in [low, high): int64, N × count."""
        numbers = np.floor(self.uniform(draw, count) * (high - low)).astype(np.int64)
        return np.minimum(numbers, high - low - 1) + low

    def alternating(self, draw: str) -> NDArray[np.bool_]:
        """Whether each example's turn is the one or the other: bool, N. By chance in the first epoch, and
        in each epoch after it the other way than in the last (Jordan 2024, section 3.6)."""
        first = splitmix64(self.examples.astype(np.uint64) ^ np.uint64(key(self.seed, draw))) >> np.uint64(63)
        return np.asarray(first.astype(np.int64) ^ (self.epoch & 1), dtype=np.bool_)
