"""The process: its socket, its connections, its signals, and how it stops.

On SIGTERM or SIGINT it goes on listening while it answers what it has accepted, so that nobody who comes
meanwhile is left without a word: readyz says 503, and so does every new request. Then it closes.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import signal
import socket
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

import uvicorn

from simplecell.errors import UserError
from simplecell.serve.app import application
from simplecell.serve.gate import Gate
from simplecell.serve.house import House
from simplecell.serve.limits import MOST_HEAD, Limits
from simplecell.serve.log import Log
from simplecell.serve.metrics import Metrics
from simplecell.serve.model import Source
from simplecell.serve.predict import Predict

#: Seconds that a connection may stay without a request.
_KEEP_ALIVE = 60
#: Seconds for the last answers to be written once all are there.
_LAST_WORDS = 2
#: Seconds between the end of listening and that of connections: who got in last is still told to leave.
_LAST_REFUSALS = 0.2
#: Looks, a tenth of a second apart, at which nothing may be active before it counts as the end.
_QUIET = 2
_TICKS_A_SECOND = 10


class Process(uvicorn.Server):  # type: ignore[misc]  # of an extra
    """A server with its models loaded and its socket bound."""

    def __init__(
        self,
        sources: Sequence[Source],
        limits: Limits,
        *,
        host: str,
        port: int,
        token: str | None,
        cors: Sequence[str],
    ) -> None:
        """Raises UserError where the port cannot be had or a model cannot be loaded."""
        self._limits, self._log, metrics = limits, Log(), Metrics()
        self._socket = bind(host, port)
        try:
            self._house = House(
                sources, limits, metrics, self._log, lambda: len(self.server_state.connections)
            )
        except BaseException:
            self._socket.close()
            raise
        self._predict = Predict(self._house, limits, metrics)
        app = application(self._house, metrics, lambda: self._gate.stopping)
        hosts = allowed_hosts(host, self._socket)
        self._gate = Gate(app, self._predict, metrics, self._log, hosts=hosts, token=token, cors=cors)
        super().__init__(_config(self._gate))
        self._stop_at = float("inf")
        self._quiet = 0
        self._seen: dict[Any, tuple[Any, float]] = {}
        named = f"[{host}]" if ":" in host else host
        self.address = f"http://{named}:{self._socket.getsockname()[1]}"
        if hosts is None and token is None:
            self._log.write("anyone who reaches this machine may ask; --token keeps strangers out.")

    def run(self) -> None:
        """Serve until told to stop."""
        super().run(sockets=[self._socket])

    def stop(self) -> None:
        """Begin to stop: answer what was accepted, for the time of grace at most."""
        self._stop_at = time.monotonic() + self._limits.grace
        self._gate.stopping = True

    # ---- where uvicorn asks

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the stop, a second Ctrl-C ends it at once."""
        if self._gate.stopping and sig == signal.SIGINT:
            self._stop_at = 0
            self.force_exit = True
        elif not self._gate.stopping:
            self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # What was loaded stays: no search for garbage needs to go through it again.
        gc.collect()
        gc.freeze()
        await super().startup(sockets)
        self._watching = asyncio.create_task(self._house.watch())
        names = ", ".join(self._house.slots)
        self._log.write(f"serving {names} at {self.address}/ (Ctrl-C ends this)")

    async def on_tick(self, counter: int) -> bool:
        await super().on_tick(counter)
        if counter % _TICKS_A_SECOND == 0:
            self._cut_the_stuck()
        if not self._gate.stopping:
            return False
        self._quiet = 0 if self._gate.active else self._quiet + 1
        return self._quiet >= _QUIET or time.monotonic() >= self._stop_at

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._watching.cancel()
        self._predict.give_up()
        for listening in (*self.servers, self._socket):
            listening.close()
        await asyncio.sleep(_LAST_REFUSALS)
        await super().shutdown(sockets)

    def _cut_the_stuck(self) -> None:
        """Cut connections that stay at one point for long: heads that do not end, answers nobody takes.

        A request is answered within the timeout, in whatever way, so twice that is a fault of the sender's.
        """
        now = time.monotonic()
        seen = {}
        for connection in self.server_state.connections:
            point = (connection.cycle, connection.cycle is not None and connection.cycle.response_complete)
            before, since = self._seen.get(connection, (None, now))
            seen[connection] = (point, since if point == before else now)
            if now - seen[connection][1] > 2 * max(self._limits.timeout, _KEEP_ALIVE / 2):
                connection.transport.abort()
        self._seen = seen


def bind(host: str, port: int) -> socket.socket:
    """A socket at the address, not listening yet: who comes too early is refused rather than left waiting."""
    bound = None
    try:
        if not 0 <= port < 2**16:  # getaddrinfo would take its last 16 bits
            raise OverflowError
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as error:
        if bound is not None:
            bound.close()
        reason = getattr(error, "strerror", None) or "there is no such port"
        raise UserError(
            f"{host}:{port} cannot be had ({reason})",
            where="--port",
            remedy="name another port, or 0 for any, and an address of this machine",
        ) from None
    return bound


def allowed_hosts(host: str, bound: socket.socket) -> frozenset[str] | None:
    """Names by which a server of this machine alone may be asked; None where others may reach it."""
    if not ipaddress.ip_address(bound.getsockname()[0]).is_loopback:
        return None
    return frozenset({"localhost", "127.0.0.1", "[::1]", host.lower()})


def _config(gate: Gate) -> uvicorn.Config:
    try:
        from simplecell.serve.heads import BoundedHeads

        reader: Any = BoundedHeads
    except ModuleNotFoundError:  # uvicorn without httptools
        reader = "h11"
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # the log is ours
    return uvicorn.Config(
        gate,
        http=reader,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_LAST_WORDS,
        h11_max_incomplete_event_size=MOST_HEAD,
    )
