"""Bytes that are no request, or half of one, or many: the server answers them or hangs up, and goes on."""

from __future__ import annotations

import random
import re
import socket
import time
from collections.abc import Iterator

import pytest

from simplecell.serve import process
from simplecell.serve.limits import Limits
from tests.serve.serving import Running, form, png, running

_TARGETS = [
    b"/v1/predict",
    b"/v1/predict?plus=1",
    b"/v1/models",
    b"/metrics",
    b"/",
    b"/page/main.js",
    b"/docs",
]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(limits=Limits(timeout=0.3, max_body=20_000)) as started:
        yield started


def request(chance: random.Random) -> bytes:
    """A sound request."""
    body, headers = form(("a.png", png(1)), ("b.png", png(2))) if chance.random() < 0.5 else (png(3), {})
    lines = [
        b"POST %b HTTP/1.1" % chance.choice(_TARGETS),
        b"Host: localhost",
        b"Content-Length: %d" % len(body),
        *(f"{name}: {value}".encode() for name, value in headers.items()),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def spoilt(content: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled or put in."""
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(content)), chance.choice((1, 1, 2, 30))
        piece = chance.choice(
            (
                b"",
                chance.randbytes(length),
                content[at : at + length] * 2,
                chance.choice(
                    (b"\r\n", b"\0", b"%00", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n")
                ),
            )
        )
        content = content[:at] + piece + content[at + length :]
        if not content:
            break
    return content


def send(server: Running, content: bytes, patience: float = 0.02) -> bytes:
    """What comes back until the server is silent for a moment or hangs up."""
    got = b""
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.settimeout(patience)
        try:
            raw.sendall(content)
            while piece := raw.recv(65536):
                got += piece
        except (TimeoutError, ConnectionError):
            pass
    return got


def test_spoilt_requests_get_sound_answers_or_none(
    server: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(11)
    statuses: dict[int, int] = {}
    for _ in range(300):
        got = send(server, spoilt(request(chance), chance))
        if got:
            assert got.startswith(b"HTTP/1.1 ")
            statuses[int(got[9:12])] = statuses.get(int(got[9:12]), 0) + 1
            assert not re.search(rb"Traceback|site-packages|\.py\b", got)
    assert statuses.keys() <= {200, 400, 404, 405, 408, 413, 415, 421, 422, 501}
    assert sum(statuses.values()) > 100  # it did read them
    assert 500 not in statuses
    assert server.ask(body=png(9)).levels == [9]
    assert "Traceback" not in capfd.readouterr().err


def test_connections_that_say_nothing_are_no_hindrance(server: Running) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    assert server.ask(body=png(9)).levels == [9]
    for each in silent:
        each.close()


def drip(raw: socket.socket, begin: bytes) -> None:
    """Send a beginning, and then a sign at a time for a minute."""
    raw.sendall(begin)
    for _ in range(600):
        time.sleep(0.1)
        raw.sendall(b"x")


@pytest.mark.parametrize("begin", [b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"GET /"])
def test_a_head_that_comes_too_slowly_is_cut(monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    monkeypatch.setattr(process, "_KEEP_ALIVE", 1)
    with (
        running(limits=Limits(timeout=0.2)) as server,
        socket.create_connection(("127.0.0.1", server.port)) as raw,
    ):
        with pytest.raises(ConnectionError):
            drip(raw, begin)
        assert server.ask(body=png(9)).levels == [9]


def test_a_sender_who_promises_more_than_comes_holds_nothing(server: Running) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n"
    promising = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for each in promising:
        each.sendall(head + b"x" * 10_000)
    for each in promising:
        each.settimeout(10)
        assert each.recv(12) in (b"HTTP/1.1 408", b"HTTP/1.1 503")
        each.close()
    assert server.ask(body=png(9)).levels == [9]
