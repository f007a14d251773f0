"""Load for a server on this machine: raw sockets, one request at a time on each of many kept connections.

The client takes little of the processor beside the server's, so it looks at no more of an answer than its
status, its length and its body. Every request ends in exactly one outcome.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

#: Seconds after which a request that has no outcome counts as lost.
LOST_AFTER = 60.0
#: Seconds before a server that has hung up, or is not there, is tried again.
_AGAIN = 0.05


@dataclass
class Outcomes:
    """How requests ended. seconds: of those that were answered, each."""

    right: int = 0
    wrong: int = 0
    refused: int = 0  # 503
    failed: int = 0  # any other status
    broken: int = 0  # the connection ended without an answer, and the client knows
    lost: int = 0
    seconds: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    first_wrong: str = ""

    def quantile(self, share: float) -> float:
        """Seconds within which this share of the answers came."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    @property
    def all(self) -> int:
        return self.right + self.wrong + self.refused + self.failed + self.broken + self.lost


#: A request's bytes, and whether the answer's body is the right one.
Request = tuple[bytes, Callable[[bytes], bool]]


def post(path: str, content: bytes) -> bytes:
    """The bytes of a request that keeps its connection."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


class _Connection(asyncio.Protocol):
    """Sends requests from a shared store, one after another, until it is empty or the server has closed."""

    def __init__(self, store: Iterator[Request], outcomes: Outcomes, done: asyncio.Future[bool]) -> None:
        self._store, self._outcomes, self._done = store, outcomes, done
        self._request: Request | None = None
        self._answer = b""
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(1.0, self._look)
        self._next()

    def _next(self) -> None:
        self._request = next(self._store, None)
        if self._request is None:
            self._finish(again=False)
            return
        self._answer = b""
        self._began = time.perf_counter()
        self._transport.write(self._request[0])

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head = self._answer.find(b"\r\n\r\n")
        if head < 0 or self._request is None:
            return
        headers = self._answer[:head].lower()
        at = headers.index(b"content-length:") + 15
        length = int(headers[at:].split(b"\r\n", 1)[0])
        if len(self._answer) < head + 4 + length:
            return
        self._count(int(headers[9:12]), self._answer[head + 4 :])
        self._request = None
        if b"\r\nconnection: close" in headers:
            self._finish(again=True)
        else:
            self._next()

    def _count(self, status: int, body: bytes) -> None:
        outcomes, request = self._outcomes, self._request
        assert request is not None
        if status == 200:
            outcomes.seconds.append(time.perf_counter() - self._began)
            if request[1](body):
                outcomes.right += 1
                return
            outcomes.wrong += 1
            outcomes.first_wrong = outcomes.first_wrong or body[:500].decode()
        elif status == 503:
            outcomes.refused += 1
        else:
            outcomes.failed += 1

    def connection_lost(self, error: Exception | None) -> None:
        if self._request is not None:
            self._outcomes.broken += 1
            self._request = None
        self._finish(again=True)

    def _look(self) -> None:
        if self._request is not None and time.perf_counter() - self._began > LOST_AFTER:
            self._outcomes.lost += 1
            self._request = None
            self._finish(again=True)
        elif not self._done.done():
            self._timer = asyncio.get_running_loop().call_later(1.0, self._look)

    def _finish(self, again: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._done.done():
            self._done.set_result(again)
        self._transport.close()


async def _keep_asking(port: int, store: Iterator[Request], outcomes: Outcomes) -> None:
    """One connection after another, until the store is empty."""
    loop = asyncio.get_running_loop()
    again = True
    while again:
        done: asyncio.Future[bool] = loop.create_future()
        try:
            await loop.create_connection(partial(_Connection, store, outcomes, done), "127.0.0.1", port)
            again = await done
        except OSError:  # no server is there: nothing was sent
            again = True
        if again:
            await asyncio.sleep(_AGAIN)


def ask(port: int, requests: Sequence[Request] | Iterator[Request], connections: int) -> Outcomes:
    """Send all requests over so many connections; how they ended."""
    outcomes, store = Outcomes(), iter(requests)

    async def main() -> None:
        await asyncio.gather(*(_keep_asking(port, store, outcomes) for _ in range(connections)))

    began = time.perf_counter()
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(main())
    outcomes.elapsed = time.perf_counter() - began
    return outcomes


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
