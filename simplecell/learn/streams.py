"""Batches of a stage's streams, made ahead of the loop; what a step sees is a function of the step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simplecell.data.addressed import Address, hashes, key, permutation
from simplecell.data.batches import Batch, Examples
from simplecell.learn.stages import Learn, Stream

#: Batches made ahead. Two hide a slow batch behind a fast one; more only hold memory.
_AHEAD = 2


@dataclass
class Order:
    """The order in which a stream's examples come: epoch after epoch without end."""

    stream: Stream
    examples: Examples
    seed: int
    _epoch: int = -1
    _order: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def batch_size(self) -> int:
        return min(self.stream.batch_size, len(self.examples))

    @property
    def batches_an_epoch(self) -> int:
        """Whole batches only: the few examples over are others in each epoch, by the shuffling."""
        return len(self.examples) // self.batch_size

    def batch(self, number: int) -> Batch:
        """The batch of that number since the stage began."""
        epoch, within = divmod(number, self.batches_an_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._arrange(epoch)
        positions = np.arange(within * self.batch_size, (within + 1) * self.batch_size)
        chosen = self._order[positions]
        address = Address(self.seed, epoch, positions, chosen) if self.stream.augment else None
        return self.examples.batch(chosen, address)

    def _arrange(self, epoch: int) -> NDArray[np.int64]:
        count = len(self.examples)
        if isinstance(self.stream.order, str):
            shuffled = self.stream.order == "shuffled"
            return permutation(count, self.seed, epoch, "order") if shuffled else np.arange(count)
        shares = np.cumsum(self.stream.order, dtype=np.float64)
        drawn = (hashes(count, self.seed, epoch, "order") >> np.uint64(11)) * 2.0**-53
        chosen = np.searchsorted(shares, drawn * shares[-1], side="right")
        return np.asarray(np.minimum(chosen, count - 1), dtype=np.int64)


def orders(stage: Learn, seed: int) -> list[Order]:
    """The orders of a stage's streams; their sources are called here."""
    return [Order(s, s.source(), key(seed, stage.name, s.name)) for s in stage.streams]


def batches(
    streams: Sequence[Order], first: int, last: int, device: torch.device
) -> Generator[Mapping[str, Any], None, None]:
    """The batches numbered first … last-1, made by a thread while the loop computes.

    One stream gives its batch; several give a mapping from the stream's name to its batch.
    """

    def make(number: int) -> Mapping[str, Any]:
        if len(streams) == 1:
            return to_device(streams[0].batch(number), device)
        return {s.stream.name: to_device(s.batch(number), device) for s in streams}

    return _ahead(make, first, last)


def all_batches(
    examples: Examples, batch_size: int, device: torch.device
) -> Generator[Mapping[str, Any], None, None]:
    """Every example once, in its order, not augmented; the last batch may be short."""

    def make(number: int) -> Mapping[str, Any]:
        rows = np.arange(number * batch_size, min((number + 1) * batch_size, len(examples)))
        return to_device(examples.batch(rows), device)

    return _ahead(make, 0, -(-len(examples) // batch_size))


def _ahead(
    make: Callable[[int], Mapping[str, Any]], first: int, last: int
) -> Generator[Mapping[str, Any], None, None]:
    # One thread only: an order remembers its epoch, and batches are to come in order anyway.
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        pending: deque[Future[Mapping[str, Any]]] = deque()
        try:
            for number in range(first, last):
                while len(pending) <= _AHEAD and number + len(pending) < last:
                    pending.append(pool.submit(make, number + len(pending)))
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device; nothing happens where they are there already."""
    if device.type == "cpu":
        return batch
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for name, value in batch.items()
    }
