"""A request that is refused: its status and one sentence, as application/problem+json (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus

Header = tuple[bytes, bytes]


class Problem(Exception):  # noqa: N818 - as RFC 9457 has it
    """Why there is no answer.

    detail: one sentence for whoever asked; it tells nothing of the server's files or code.
    headers: what goes with it, such as Retry-After.
    """

    def __init__(self, status: int, detail: str, headers: Iterable[Header] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = list(headers)

    def content(self) -> bytes:
        """The body."""
        told = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")


def busy(detail: str, seconds: int) -> Problem:
    """503: asking again after so many seconds may help."""
    return Problem(503, detail, [(b"retry-after", b"%d" % seconds)])
