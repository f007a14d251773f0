"""The benchmark's client counts what happened: one outcome a request, and none is taken for a better one."""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from simplecell.predictions import Prediction, Values
from tests.serve.serving import png, running, source

_PATH = Path(__file__).parents[2] / "benchmarks" / "peers" / "load.py"


@pytest.fixture(scope="module")
def load() -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_load", _PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def answering(reply: Callable[[socket.socket, bytes], None]) -> Iterator[int]:
    """A server that treats each connection as ``reply`` does, given what was read first."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    reply(connection, connection.recv(65536))

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def outcomes(found: Any) -> dict[str, int]:
    kinds = ("right", "wrong", "refused", "failed", "broken", "lost")
    return {kind: getattr(found, kind) for kind in kinds if getattr(found, kind)}


def test_right_and_wrong_answers_of_a_real_server_are_told_apart(load: Any) -> None:
    def lies(pairs: Any, ask: Any) -> Sequence[Prediction]:
        return [Values(path, {"level": min(int(picture[0, 0, 0]), 40)}) for path, picture in pairs]

    def check(level: int) -> Callable[[bytes], bool]:
        return lambda body: b'"level": %d}' % level in body

    requests = [(load.post("/v1/predict", png(k)), check(k)) for k in range(50)]
    with running(source(lies)) as server:
        found = load.ask(server.port, requests, connections=8)
        assert outcomes(found) == {"right": 41, "wrong": 9}
        assert len(found.seconds) == 50
        refused = load.ask(server.port, [(load.post("/v1/predict", b"none"), bool)], connections=2)
        assert outcomes(refused) == {"failed": 1}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "refused"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", "failed"),
        (b"", "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut short", "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", "wrong"),
    ],
)
def test_what_is_no_answer_is_counted_for_what_it_is(load: Any, content: bytes, kind: str) -> None:
    requests = [(load.post("/", b"x"), lambda body: False)] * 5
    with answering(lambda connection, read: connection.sendall(content)) as port:
        assert outcomes(load.ask(port, requests, connections=1)) == {kind: 5}


def test_a_request_without_an_end_is_lost_and_not_waited_for(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "LOST_AFTER", 0.2)
    over = threading.Event()

    def silent(connection: socket.socket, read: bytes) -> None:
        assert over.wait(30)

    with answering(silent) as port:
        found = load.ask(port, [(load.post("/", b"x"), bool)], connections=1)
        over.set()
    assert outcomes(found) == {"lost": 1}


@pytest.fixture(scope="module")
def benchmark() -> Any:
    """benchmarks/serve.py as a module."""
    spec = importlib.util.spec_from_file_location("benchmark_serve", _PATH.parents[1] / "serve.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_an_answer_is_right_by_class_and_by_score(benchmark: Any) -> None:
    check = benchmark.right("7", 0.9)
    told = b'{"predictions": [{"path": "x", "class": "%b", "score": %b}]}'
    assert check(told % (b"7", b"0.90001"))
    assert not check(told % (b"7", b"0.91"))
    assert not check(told % (b"1", b"0.9"))


def test_a_turn_with_one_fault_or_without_answers_is_not_sound(benchmark: Any, load: Any) -> None:
    assert benchmark.fair(load.Outcomes(right=9))
    assert not benchmark.fair(load.Outcomes())
    for kind in ("wrong", "refused", "failed", "broken", "lost"):
        assert not benchmark.fair(load.Outcomes(right=9, **{kind: 1}))


def test_several_turns_are_told_as_one(benchmark: Any, load: Any) -> None:
    turns = [load.Outcomes(right=10, seconds=[k / 10] * 10, elapsed=k) for k in (1, 2, 5)]
    turns[2].wrong = 5
    found = benchmark.told(turns)
    assert (found["requests"], found["wrong"], found["failed"]) == (35, 5, 0)
    assert found["a_second"] == 5
    assert (found["p50"], found["p99"]) == (0.2, 0.5)
