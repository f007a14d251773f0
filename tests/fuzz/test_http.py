"""Requests, spoilt: each gets an answer or a refusal, and the server goes on."""

from __future__ import annotations

import io
import json
import re
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from PIL import Image

pytest.importorskip("uvicorn", reason="needs the extra serve: uvicorn")
pytest.importorskip("fastapi", reason="needs the extra serve: fastapi")

from simplecell.serve.limits import Limits
from tests.fuzz.mutation import mutated
from tests.serve.serving import Running, form, png, running

#: Seconds within which a request is done with, one way or another.
PATIENCE = 10


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    named = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def photo(kind: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((40, 30), 80).convert("RGB").save(file, kind)
    return file.getvalue()


_MANY, _HEADERS = form(("a.png", png(3)), ("b.jpg", photo("JPEG")), ("../../etc/passwd", photo("GIF")))
_CHUNKS = (
    b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (png(5)[:30], png(5)[30:])) + b"0\r\n\r\n"
)
REQUESTS = [
    request("POST", "/v1/predict", png(7), Content_Type="image/png"),
    request("POST", "/v1/predict?show=true&plus=3", photo("WEBP")),
    request("POST", "/v1/predict?model=net&double=true", photo("TIFF")),
    request("POST", "/v1/predict", _MANY, Content_Type=_HEADERS["Content-Type"]),
    request("POST", "/v1/predict", _CHUNKS, Transfer_Encoding="chunked").replace(b"Content-Length: ", b"X: "),
    request("GET", "/v1/models", Origin="https://example.org"),
    request("GET", "/page/main.js"),
    request("OPTIONS", "/v1/predict", Access_Control_Request_Method="POST"),
    request("GET", "/metrics") + request("GET", "/healthz"),
]
WORDS = [
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\0", b"Content-Length: 99999999\r\n", b"Content-Length: -1\r\n", b": "),
    *(b"Transfer-Encoding: chunked\r\n", b"ffffffffffffffff\r\n", b"Expect: 100-continue\r\n", b"HTTP/9.9"),
    *(
        b"--frontier\r\n",
        b"--frontier--",
        b'filename="',
        b"%00",
        b"%2e%2e%2f",
        b"../",
        b"?top=-1",
        b"&plus=x",
    ),
    *(b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"Host: evil.example\r\n", b"application/json"),
]
_HEAD = re.compile(rb"HTTP/1\.1 (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    limits = Limits(max_body=100_000, max_pixels=100_000, max_pictures=4, timeout=2.0)
    with running(limits=limits) as found:
        yield found


def sent(server: Running, content: bytes) -> bytes:
    """Everything that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        received = b""
        try:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            pass  # refused before all was read
        return received


@given(mutated(REQUESTS, WORDS))
def test_a_spoilt_request_is_answered_or_refused(server: Running, content: bytes) -> None:
    received = sent(server, content)
    for head in _HEAD.finditer(received):
        status, headers = int(head[1]), head[2].lower()
        assert status in (100, 200, 204, 304) or 400 <= status < 500 or status == 503, received[:500]
        if b"application/problem+json" in headers:
            length = re.search(rb"content-length: (\d+)", headers)
            assert length is not None
            told = json.loads(received[head.end() : head.end() + int(length[1])] or b"{}")
            assert not told or re.fullmatch(r"[^\n]{3,500}", told["detail"])
    assert b"Traceback" not in received
    assert b"site-packages" not in received


def test_afterwards_it_still_answers(server: Running) -> None:
    assert server.ask("/v1/predict", png(9)).levels == [9]
    counted = re.findall(r'^simplecell_requests_total{.*status="(\d+)"} (\d+)$', metrics(server), re.M)
    assert counted
    assert "500" not in dict(counted)


def metrics(server: Running) -> str:
    return server.ask("/metrics").body.decode()
