"""Pictures as examples: from where they lie to uint8 batches, on a few threads.

Decoding, resizing and copying release the interpreter's lock, so threads are enough and nothing is sent
between processes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from threading import Barrier
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from simplecell.data.addressed import Address
from simplecell.data.augment import Augmentation
from simplecell.data.batches import Batch
from simplecell.data.geometry import Geometry, resize, with_channels
from simplecell.errors import UserError

T = TypeVar("T")
R = TypeVar("R")


#: Told how many pictures are done, and how many there are.
Tell = Callable[[int, int], None]


class Rows(Protocol):
    """Where pictures lie; ``read`` gives one: uint8, H, W, C, not to be written to."""

    def read(self, index: int) -> NDArray[np.uint8]: ...


@dataclass(frozen=True, eq=False)
class ArrayRows:
    """Pictures of one size: ``array`` is uint8, N, H, W, C, in memory or mapped."""

    array: NDArray[np.uint8]

    def read(self, index: int) -> NDArray[np.uint8]:
        picture: NDArray[np.uint8] = self.array[index]
        return picture


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Pictures of several sizes, one after another in ``data``.

    starts: int64, N, where in ``data`` each begins. sizes: int64, N × 3 (height, width, channels).
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def read(self, index: int) -> NDArray[np.uint8]:
        height, width, channels = self.sizes[index].tolist()
        start = int(self.starts[index])
        return self.data[start : start + height * width * channels].reshape(height, width, channels)


@dataclass(frozen=True, eq=False)
class ChangedRows:
    """Pictures that are made anew by ``change`` whenever they are read: slower than a cache, but small."""

    rows: Rows
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

    def read(self, index: int) -> NDArray[np.uint8]:
        return self.change(self.rows.read(index))


@dataclass(frozen=True, eq=False)
class UnchangedRows:
    """Pictures that are read anew, as long as they are as large as they were when they were looked at.

    shapes: int64, N × 3. names: what a sentence calls each. Where one has another shape by now, ``read``
    raises UserError: boxes to crop were drawn for the old one.
    """

    rows: Rows
    shapes: NDArray[np.int64]
    names: Sequence[str]

    def read(self, index: int) -> NDArray[np.uint8]:
        picture, before = self.rows.read(index), tuple(self.shapes[index].tolist())
        if picture.shape != before:
            was, now = (" × ".join(map(str, shape)) for shape in (before, picture.shape))
            raise UserError(
                f"the picture was replaced meanwhile (it was {was}, now it is {now})",
                where=self.names[index],
                remedy="restore it, then go on",
            )
        return picture


@dataclass(eq=False)
class PictureExamples:
    """Pictures with labels, as examples.

    ids, labels: of each example (labels int64, N).
    geometry: what ``fitted`` is fitted to, and the size that random crops are resized to.
    rows: int64, N, where each example lies in ``fitted``, ``full`` and ``sizes``.
    fitted: the full pictures as ``geometry.fit`` makes them.
    full: the pictures that random crops are cut from; ``sizes`` (int64, × 2) has height and width of each.
    augmentation: what is done to examples that have an address.
    """

    ids: Sequence[str]
    labels: NDArray[np.int64]
    geometry: Geometry
    rows: NDArray[np.int64]
    fitted: Rows
    full: Rows
    sizes: NDArray[np.int64]
    augmentation: Augmentation | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: NDArray[np.int64], address: Address | None = None) -> Batch:
        """The examples at ``indices``.

        "id": list of str; "picture": uint8, N, C, H, W with channels-last strides; "label": int64, N; and
        what the augmentation adds. Without an address they are the full pictures, fitted, to the bit what
        ``geometry.fit`` makes of them. Raises UserError where a picture has to be read from its file and
        that has changed for the worse.
        """
        rows = self.rows[indices]
        if address is None or self.augmentation is None:
            return self._batch(indices, self._fitted(rows))
        if self.augmentation.crops:
            pictures = self._cropped(rows, self.augmentation, address)
            return self.augmentation.together(self._batch(indices, pictures), pictures, address)
        batch = self._batch(indices, self._fitted(rows))
        (augmented,) = in_order(partial(self.augmentation.apply, address=address), [batch])
        return augmented

    def _batch(self, indices: NDArray[np.int64], pictures: NDArray[np.uint8]) -> dict[str, Any]:
        return {
            "id": [self.ids[index] for index in indices.tolist()],
            "picture": torch.from_numpy(pictures).permute(0, 3, 1, 2),  # N, C, H, W
            "label": torch.from_numpy(self.labels[indices]),
        }

    def _fitted(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        if isinstance(self.fitted, ArrayRows):
            return self.fitted.array[rows]
        pictures = np.empty((len(rows), *self.geometry.shape), np.uint8)

        def fill(places: range) -> None:
            for place in places:
                pictures[place] = self.fitted.read(int(rows[place]))

        share_out(fill, len(rows))
        return pictures

    def _cropped(
        self, rows: NDArray[np.int64], augmentation: Augmentation, address: Address
    ) -> NDArray[np.uint8]:
        heights, widths = self.sizes[rows].T
        boxes = augmentation.boxes(heights, widths, address).tolist()
        pictures = np.empty((len(rows), *self.geometry.shape), np.uint8)
        tall, wide, channels = self.geometry.shape

        def fill(places: range) -> None:
            for place in places:
                top, left, height, width = boxes[place]
                box = self.full.read(int(rows[place]))[top : top + height, left : left + width]
                pictures[place] = with_channels(resize(box, tall, wide, self.geometry.filter), channels)
            some = slice(places.start, places.stop)
            pictures[some] = augmentation.each(pictures[some], address.take(some))

        share_out(fill, len(rows))
        return pictures


def share_out(work: Callable[[range], None], count: int) -> None:
    """Call ``work`` on consecutive parts of 0 … count-1, on all threads."""
    # More parts than threads, because pictures differ in size: whoever is ready takes the next part.
    size = max(1, -(-count // (2 * torch.get_num_threads())))
    for _ in in_order(work, [range(start, min(start + size, count)) for start in range(0, count, size)]):
        pass


def in_order(work: Callable[[T], R], items: Sequence[T]) -> Generator[R, None, None]:
    """The results of ``work`` on each of the items, in their order, computed by torch's number of threads
    and never far ahead of whoever takes them."""
    threads = torch.get_num_threads()
    pool = _pool(os.getpid(), threads)
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= 4 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads whose torch does not divide its work further: a team of its own for each of them would wait
    for work by spinning, on the processors that the others need. A pool for each process, since threads do
    not survive a fork."""
    all_there = Barrier(threads + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        all_there.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix=f"pictures-{process}")
    for _ in range(threads):
        pool.submit(begin)
    all_there.wait()
    # What a thread sets for itself is also what threads yet to come begin with; that is put right here.
    torch.set_num_threads(threads)
    return pool
