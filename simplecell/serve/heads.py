"""uvicorn's reader of requests, with a bound that it lacks: bytes that are not body must not pile up."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simplecell.serve.limits import MOST_HEAD
from simplecell.serve.problem import Problem


class BoundedHeads(HttpToolsProtocol):  # type: ignore[misc]  # of an extra
    """Cuts a connection whose headers, or trailers, do not end."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        # Bytes since a request began or some of its body came, but for the piece in which that was.
        self._without_body = 0

    def data_received(self, data: bytes) -> None:
        self._without_body += len(data)
        super().data_received(data)
        if self._without_body > MOST_HEAD and not self.transport.is_closing():
            if self.cycle is not None and not self.cycle.response_complete:
                self.transport.abort()  # no second answer fits behind one that has begun
                return
            content = Problem(431, f"The request's head has more than {MOST_HEAD:,} bytes.").content()
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
                b"content-type: application/problem+json\r\ncontent-length: %d\r\n\r\n" % len(content)
            )
            self.transport.write(content)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._without_body = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._without_body = 0
        super().on_body(body)
