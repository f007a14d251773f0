"""Too much, too slow, gone, and the end: nothing that was accepted is lost without a word."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from simplecell.serve.limits import Limits
from tests.serve.serving import Answer, Held, Running, form, in_threads, png, running, source, until

QUEUE = 'simplecell_queue_pictures{model="net"}'


@contextmanager
def held(limits: Limits) -> Iterator[tuple[Running, Held]]:
    net = Held()
    with running(source(net), limits=limits) as server:
        try:
            yield server, net
        finally:
            net.go.set()


def later(call: object) -> tuple[threading.Thread, list[Answer]]:
    """A request under way, and where its answer will be."""
    got: list[Answer] = []
    thread = threading.Thread(target=lambda: got.append(call()))  # type: ignore[operator]
    thread.start()
    return thread, got


def test_a_full_queue_refuses_and_says_when_to_come_again() -> None:
    with held(Limits(queue=3, batch_size=1)) as (server, net):
        first = [later(lambda v=v: server.ask(body=png(v))) for v in range(1)]
        until(lambda: net.asked == 1)
        waiting = [later(lambda v=v: server.ask(body=png(v))) for v in range(1, 4)]
        until(lambda: server.metric(QUEUE) == 3)
        refused = server.ask(body=png(9))
        assert refused.status == 503
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "connection" not in refused.headers
        assert server.ask("/readyz").status == 200
        net.go.set()
        for k, (thread, got) in enumerate(first + waiting):
            thread.join()
            assert got[0].levels == [k]
        assert net.asked == 4
        assert server.metric("simplecell_refused_total") == 1
        assert server.ask(body=png(9)).status == 200


def test_an_empty_queue_takes_a_request_that_is_longer_than_the_queue() -> None:
    with running(limits=Limits(queue=2, batch_size=4)) as server:
        body, headers = form(*[("x.png", png(k)) for k in range(10)])
        assert server.ask(body=body, headers=headers).levels == list(range(10))


def test_a_request_that_waits_too_long_is_told_and_not_computed() -> None:
    with held(Limits(timeout=0.3, batch_size=1)) as (server, net):
        answers = in_threads([lambda v=v: server.ask(body=png(v)) for v in range(5)])  # type: ignore[misc]
        assert [answer.status for answer in answers] == [504] * 5
        assert server.metric(QUEUE) == 0
        assert server.metric("simplecell_timeouts_total") == 5
        net.go.set()
        assert server.ask(body=png(7)).levels == [7]
        assert net.asked == 2  # the one that the net had already, and the last


def test_what_a_sender_who_has_left_wanted_is_not_computed() -> None:
    with held(Limits(batch_size=1)) as (server, net):
        first, _ = later(lambda: server.ask(body=png(1)))
        until(lambda: net.asked == 1)
        leaving = [server.connect() for _ in range(3)]
        for connection in leaving:
            connection.request("POST", "/v1/predict", png(2))
        until(lambda: server.metric(QUEUE) == 3)
        for connection in leaving:
            connection.close()
        until(lambda: server.metric(QUEUE) == 0)
        net.go.set()
        first.join()
        assert net.asked == 1
        until(lambda: server.metric("simplecell_gone_total") == 3)
        assert server.metric('simplecell_requests_total{method="POST",route="/v1/predict",status="499"}') == 3


def test_stopping_answers_what_was_accepted_and_refuses_the_rest() -> None:
    with held(Limits(batch_size=2)) as (server, net):
        kept = server.connect()
        server.ask("/healthz", over=kept)
        accepted = [later(lambda v=v: server.ask(body=png(v))) for v in range(6)]
        until(lambda: server.metric(QUEUE) + net.asked == 6)
        server.process.stop()
        for connection in (None, kept):
            refused = server.ask(body=png(9), over=connection)
            assert refused.status == 503
            assert refused.headers["connection"] == "close"
            assert int(refused.headers["retry-after"]) >= 1
        assert server.ask("/readyz").status == 503
        assert server.ask("/healthz").status == 200
        assert server.metric("simplecell_ready") == 0
        net.go.set()
        for k, (thread, got) in enumerate(accepted):
            thread.join()
            assert got[0].levels == [k]
            assert got[0].headers["connection"] == "close"
        server.thread.join(20)
        assert not server.thread.is_alive()
        with pytest.raises(ConnectionRefusedError):
            server.ask("/healthz")


def test_after_the_time_of_grace_those_who_wait_are_told_so() -> None:
    with held(Limits(grace=0.3)) as (server, net):
        thread, got = later(lambda: server.ask(body=png(1)))
        until(lambda: net.asked == 1)
        server.process.stop()
        server.thread.join(20)
        assert not server.thread.is_alive()  # though the net has not come back
        thread.join()
        assert got[0].status == 503
        assert "stopped" in got[0].json["detail"]


# ---- the process

PROGRAM = """
import sys, time
from tests.serve.serving import level, source
from simplecell.serve.limits import Limits
from simplecell.serve.server import serve

def slow(pairs, ask):
    time.sleep(float(sys.argv[1]))
    return level(pairs, ask)

limits = Limits(batch_size=1, grace=float(sys.argv[2]))
sys.exit(serve([source(slow)], limits, host="127.0.0.1", port=0, token=None, cors=()))
"""


@contextmanager
def process(seconds: float, grace: float = 30) -> Iterator[tuple[subprocess.Popen[str], int]]:
    words = [sys.executable, "-c", PROGRAM, str(seconds), str(grace)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as started:
        assert started.stderr is not None
        try:
            line = started.stderr.readline()
            assert line.startswith("serving net at http://127.0.0.1:")
            port = int(line.split(":")[2].split("/")[0])
            until(lambda: _is_ready(port))
            yield started, port
        finally:
            started.kill()


def _is_ready(port: int) -> bool:
    with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
        return bool(answer.status == 200)


def _senders(port: int, count: int) -> list[http.client.HTTPConnection]:
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(count)]
    for k, connection in enumerate(connections):
        connection.request("POST", "/v1/predict", png(k))
    return connections


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_with_0_once_all_is_answered(sign: signal.Signals) -> None:
    with process(seconds=0.1) as (started, port):
        senders = _senders(port, 8)
        time.sleep(0.15)
        started.send_signal(sign)
        for k, sender in enumerate(senders):
            answer = sender.getresponse()
            assert answer.status == 200
            assert b'"level": %d}' % k in answer.read()
            sender.close()
        assert started.wait(20) == 0
        assert started.stderr is not None
        assert "Traceback" not in started.stderr.read()


def test_a_net_that_does_not_come_back_does_not_keep_the_process() -> None:
    with process(seconds=1000, grace=0.2) as (started, port):
        (sender,) = _senders(port, 1)
        time.sleep(0.2)
        started.terminate()
        assert sender.getresponse().status == 503
        assert started.wait(20) == 0
        sender.close()


def test_a_killed_server_leaves_nobody_waiting() -> None:
    with process(seconds=1000) as (started, port):
        senders = _senders(port, 4)
        time.sleep(0.2)
        started.kill()
        for sender in senders:
            with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
                sender.getresponse()
            sender.close()
        assert started.wait(20) == -signal.SIGKILL
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
