"""What tests of the server share: nets that answer by arithmetic, a server in a thread, a plain client."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("uvicorn", reason="needs the extra serve: uvicorn")
pytest.importorskip("fastapi", reason="needs the extra serve: fastapi")

from simplecell.predictions import Prediction, Values
from simplecell.serve.limits import Limits
from simplecell.serve.model import Model, Picture, Source
from simplecell.serve.process import Process
from simplecell.settings import setting

Pairs = Sequence[tuple[str, Picture]]


@dataclass(frozen=True)
class Ask:
    """One option of each kind that tests need."""

    plus: int = setting(0, "added to the level", at_least=0, at_most=1000)
    double: bool = setting(False, "twice the level")


def level(pairs: Pairs, ask: Any) -> list[Prediction]:
    """Each picture's first pixel, so that an answer tells whose it is."""
    factor = 2 if ask.double else 1
    return [Values(path, {"level": factor * int(p[0, 0, 0]) + ask.plus}) for path, p in pairs]


MODEL = Model("measure", "ab" * 32, {"classes": ["a", "b"], "input": {"channels": 1}}, Ask, level)


def source(answer: Callable[[Pairs, Any], Sequence[Prediction]] = level, name: str = "net") -> Source:
    return Source(name, None, lambda: replace(MODEL, answer=answer))


def png(value: int, side: int = 8) -> bytes:
    """A grey picture of one level, 0 to 255."""
    file = io.BytesIO()
    Image.fromarray(np.full((side, side), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def form(*files: tuple[str, bytes], boundary: str = "frontier") -> tuple[bytes, dict[str, str]]:
    """multipart/form-data of files, and the header that goes with it."""
    parts = []
    for name, content in files:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="picture"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def levels(self) -> list[int]:
        return [each["level"] for each in self.json["predictions"]]


@dataclass
class Running:
    """A server in a thread of this process."""

    process: Process
    thread: threading.Thread
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(
        self,
        path: str = "/v1/predict",
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "",
        over: http.client.HTTPConnection | None = None,
    ) -> Answer:
        """One request; POST where it has a body. over: a kept connection."""
        connection = over or self.connect()
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers or {}))
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            if over is None:
                connection.close()

    def metric(self, line: str) -> float:
        """The value of one line of /metrics; 0 where there is none."""
        for each in self.ask("/metrics").body.decode().splitlines():
            if each.startswith(f"{line} "):
                return float(each.rpartition(" ")[2])
        return 0.0

    def stop(self) -> None:
        self.process.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def running(
    *sources: Source,
    limits: Limits | None = None,
    token: str | None = None,
    cors: Sequence[str] = (),
    host: str = "127.0.0.1",
) -> Iterator[Running]:
    """A server of these nets; ended afterwards."""
    process = Process(sources or (source(),), limits or Limits(), host=host, port=0, token=token, cors=cors)
    thread = threading.Thread(target=process.run)
    thread.start()
    server = Running(process, thread, int(process.address.rpartition(":")[2]))
    until(lambda: process.started)
    try:
        yield server
    finally:
        server.stop()


def until(happened: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


class Held:
    """A net that answers nothing until it is let go, and tells what it was given."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[list[str]] = []

    def __call__(self, pairs: Pairs, ask: Any) -> list[Prediction]:
        self.batches.append([path for path, _ in pairs])
        assert self.go.wait(30)
        return level(pairs, ask)

    @property
    def asked(self) -> int:
        """Pictures it was given."""
        return sum(map(len, self.batches))


def in_threads(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """All calls at once; what each gave, in order."""
    answers: list[Answer | None] = [None] * len(calls)

    def call(k: int) -> None:
        answers[k] = calls[k]()

    threads = [threading.Thread(target=call, args=(k,)) for k in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [answer for answer in answers if answer is not None]
    assert len(found) == len(calls)
    return found


def write(path: Path, content: object) -> None:
    """A file in the place of the one before, at once."""
    other = path.with_suffix(".new")
    other.write_text(str(content))
    other.replace(path)
