"""Threads beside the event loop: one that runs a net's calls in order, and some that decode pictures."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from simplecell.data.decode import decode
from simplecell.serve.model import Picture

T = TypeVar("T")


class Worker:
    """One thread that runs calls in order. A call that never ends does not keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            self._calls.get()()

    def run(self, call: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run ``call``, which does not raise, in the thread; ``then`` gets what it returns, in the loop."""
        loop = asyncio.get_running_loop()

        def work() -> None:
            value = call()
            if not loop.is_closed():
                loop.call_soon_threadsafe(then, value)

        self._calls.put(work)


class Decoder:
    """Decodes pictures ahead of the net, in threads, as long as what waits decoded is not too much.

    Without that bound, a queue of small files could fill the memory: 25 megapixels of one colour are a PNG
    of some kilobytes, and 75 MB of pixels.
    """

    #: Bytes of a file below which it is left to the net's thread. A digit of 28 × 28, as PNG, takes 30 µs;
    #: a hop to another thread costs as much, and in the event loop decoding made a third fewer requests a
    #: second.
    SMALL = 4096

    def __init__(self, threads: int, most: int) -> None:
        """most: pixels of a picture. Twice as many may wait decoded before no further one is begun."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._most = most
        self._held = 0
        self._lock = threading.Lock()

    def ahead(self, content: bytes, label: str) -> Future[Picture] | None:
        """Begin to decode; None where the net's thread shall do it when it comes to it."""
        if len(content) < self.SMALL or self._held > 2 * self._most:
            return None
        return self._pool.submit(self._decode, content, label)

    def _decode(self, content: bytes, label: str) -> Picture:
        picture = self.now(content, label)
        self._hold(picture.shape[0] * picture.shape[1])
        return picture

    def now(self, content: bytes, label: str) -> Picture:
        """Decode in this thread. Raises UserError."""
        return decode(content, label, self._most)

    def release(self, decoding: Future[Any] | None) -> None:
        """What was begun is needed no more."""
        if decoding is not None:
            decoding.add_done_callback(self._forget)
            decoding.cancel()

    def _forget(self, decoding: Future[Picture]) -> None:
        if not decoding.cancelled() and decoding.exception() is None:
            height, width, _ = decoding.result().shape
            self._hold(-height * width)

    def _hold(self, pixels: int) -> None:
        with self._lock:
            self._held += pixels
