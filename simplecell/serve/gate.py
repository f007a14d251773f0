"""What every request passes, in plain ASGI: who may ask, what is counted, how a refusal reads.

The one path that has to be short, /v1/predict, goes past the web framework behind it.
"""

from __future__ import annotations

import hmac
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

from simplecell.serve.body import Gone, Message, Receive, discard
from simplecell.serve.log import Log
from simplecell.serve.metrics import Metrics
from simplecell.serve.note import Note
from simplecell.serve.predict import Predict
from simplecell.serve.problem import Header, Problem, busy

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PREDICT = "/v1/predict"
#: What needs no token: the page, which asks for it, and the questions of whoever keeps the server running.
OPEN = frozenset({"/", "/page/*", "/healthz", "/readyz"})
#: What a browser may keep, and asks whether it still holds.
_KEPT = frozenset({"/", "/page/*"})
#: What is answered while the server stops.
_UNTIL_THE_END = frozenset({"/healthz", "/readyz", "/metrics"})
ROUTES = OPEN | _UNTIL_THE_END | {PREDICT, "/v1/models", "/docs", "/openapi.json"}
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})

_JSON: Header = (b"content-type", b"application/json")
_PROBLEM: Header = (b"content-type", b"application/problem+json")
_CLOSE: Header = (b"connection", b"close")
_NO_SNIFFING: Header = (b"x-content-type-options", b"nosniff")
_NO_STORE: Header = (b"cache-control", b"no-store")
#: Seconds that a refused body may still take while the server stops.
_PATIENCE = 1.0
#: nginx's status for a sender who left; stands in the log and the metrics alone.
_LEFT = 499


class Gate:
    """The outermost application.

    stopping: set once; from then on requests are refused, and each answer closes its connection.
    active: requests that were let in and are being answered.
    """

    def __init__(
        self,
        app: App,
        predict: Predict,
        metrics: Metrics,
        log: Log,
        *,
        hosts: frozenset[str] | None,
        token: str | None,
        cors: Sequence[str],
    ) -> None:
        """hosts: names that a request may have in Host; None where any will do."""
        self._app, self._predict, self._metrics, self._log = app, predict, metrics, log
        self._hosts = hosts
        self._token = None if token is None else token.encode()
        self._origins = frozenset(origin.encode() for origin in cors)
        self.stopping = False
        self.active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        route = route_of(scope["path"])
        note = Note()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                note.status = message["status"]
                message["headers"] = [*message["headers"], _NO_SNIFFING, *self._cors(headers)]
                if route not in _KEPT:
                    message["headers"].append(_NO_STORE)
                if self.stopping:
                    message["headers"].append(_CLOSE)
            await send(message)

        try:
            await self._answer(scope, headers, route, receive, sending, note)
        except Gone:
            note.status = _LEFT
        except Problem as problem:
            if self.stopping:
                await discard(receive, _PATIENCE)
            # Whoever waits for leave to send the body would take the next request's place for it.
            close = [_CLOSE] if b"expect" in headers and not self.stopping else []
            await _reply(sending, problem.status, [_PROBLEM, *problem.headers, *close], problem.content())
        except Exception:
            self._log.write(f"{route}: the server failed:\n{traceback.format_exc()}")
            if note.status:  # too late to say so
                raise
            failed = Problem(500, "The server failed; its log tells more.")
            await _reply(sending, failed.status, [_PROBLEM], failed.content())
        finally:
            seconds = time.perf_counter() - began
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.add(method, route, str(note.status))
            self._metrics.seconds.add(seconds, route)
            self._log.request(method, route, note.status, seconds, note.pictures, note.received)

    async def _answer(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        route: str,
        receive: Receive,
        send: Send,
        note: Note,
    ) -> None:
        """Answer, or raise Problem or Gone."""
        self._check_host(headers)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _reply(send, 204, _PREFLIGHT if self._allowed(headers) else [], b"")
            return
        if self.stopping and route not in _UNTIL_THE_END:
            raise busy("The server is stopping; ask the one that follows it.", 1)
        if route not in OPEN:
            self._check_sender(headers)
        self.active += 1
        try:
            if route != PREDICT:
                await self._app(scope, receive, send)
                return
            if scope["method"] != "POST":
                raise Problem(405, "Pictures are sent by POST.", [(b"allow", b"POST")])
            content = await self._predict(scope["query_string"], headers, receive, note)
            await _reply(send, 200, [_JSON], content)
        finally:
            self.active -= 1

    def _check_host(self, headers: Mapping[bytes, bytes]) -> None:
        """A page of the web must not read this server through a name of its own that leads here."""
        if self._hosts is not None:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name not in self._hosts:
                raise Problem(421, "This server answers this machine alone, by the name localhost.")

    def _check_sender(self, headers: Mapping[bytes, bytes]) -> None:
        """Whoever asks has the token, and is no page of another site unless that was named."""
        foreign = headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
        if foreign and self._allowed(headers) is None:
            raise Problem(403, "Pages of other sites may not ask this server; it names those that may.")
        if self._token is None:
            return
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        right = hmac.compare_digest(given.strip(), self._token)
        if scheme.lower() != b"bearer" or not right:
            challenge = (b"www-authenticate", b"Bearer")
            raise Problem(401, "This server asks for its token: Authorization: Bearer ….", [challenge])

    def _allowed(self, headers: Mapping[bytes, bytes]) -> bytes | None:
        """The origin that may read the answer, if the page that asks is of a named one."""
        origin = headers.get(b"origin")
        if origin is None:
            return None
        return b"*" if b"*" in self._origins else origin if origin in self._origins else None

    def _cors(self, headers: Mapping[bytes, bytes]) -> Sequence[Header]:
        """What tells a browser so."""
        if not self._origins:
            return ()
        allowed = self._allowed(headers)
        if allowed is None:
            return (_VARY,)
        return (_VARY, (b"access-control-allow-origin", allowed), *_EXPOSED)


_VARY: Header = (b"vary", b"Origin")
_EXPOSED: tuple[Header, ...] = ((b"access-control-expose-headers", b"Retry-After"),)
_PREFLIGHT: list[Header] = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"Authorization, Content-Type"),
    (b"access-control-max-age", b"600"),
]


def route_of(path: str) -> str:
    """The server's own name for an address, for the log and the metrics."""
    if path in ROUTES:
        return path
    return "/page/*" if path.startswith("/page/") else "other"


async def _reply(send: Send, status: int, headers: Sequence[Header], content: bytes) -> None:
    length: list[Header] = [] if status == 204 else [(b"content-length", b"%d" % len(content))]
    start = {"type": "http.response.start", "status": status, "headers": [*headers, *length]}
    await send(start)
    await send({"type": "http.response.body", "body": content})
