"""Requests over a socket: each gets its own answer, or a refusal that tells what is wrong and no more."""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simplecell.errors import UserError
from simplecell.predictions import Prediction, Values
from simplecell.serve.limits import MOST_HEAD, Limits
from simplecell.serve.model import Source
from tests.serve.serving import MODEL, Answer, Running, form, in_threads, level, png, running, source


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as started:
        yield started


def is_problem(answer: Answer, status: int, *words: str) -> None:
    """One sentence as application/problem+json, without anything of the server's inside."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json
    assert told.keys() == {"type", "title", "status", "detail"}
    assert told["type"] == "about:blank"
    assert told["status"] == status
    assert told["detail"].endswith(".")
    assert "\n" not in told["detail"]
    for word in words:
        assert word in told["detail"]
    assert not re.search(r"Traceback|\.py|/home|/tmp|/work|site-packages|0x[0-9a-f]{6}", answer.body.decode())


def test_a_picture_as_it_is_gets_its_answer(server: Running) -> None:
    answer = server.ask(body=png(7))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json == {
        "model": "net",
        "task": "measure",
        "fingerprint": "ab" * 32,
        "predictions": [{"path": "picture-1", "level": 7}],
    }


def test_a_form_of_pictures_gets_answers_in_order_under_their_names(server: Running) -> None:
    body, headers = form(("b.png", png(2)), ("a.png", png(1)), ("", png(3)))
    predictions = server.ask("/v1/predict?plus=10", body, headers).json["predictions"]
    assert [(each["path"], each["level"]) for each in predictions] == [
        ("b.png", 12),
        ("a.png", 11),
        ("picture-3", 13),
    ]


@pytest.fixture
def roomy() -> Iterator[Running]:
    """A server whose queue holds what 16 clients can bring at once: each of its refusals is a fault."""
    with running(limits=Limits(queue=16 * 40)) as started:
        yield started


def test_every_request_gets_its_own_answer_under_concurrency(roomy: Running) -> None:
    """Also where requests have several pictures, several options, and share connections with others."""
    server, chance = roomy, random.Random(5)

    def client() -> list[tuple[Answer, list[int]]]:
        connection, done = server.connect(), []
        for _ in range(20):
            levels = [chance.randrange(256) for _ in range(chance.choice((1, 1, 1, 5, 40)))]
            plus = chance.choice((0, 500))
            body, headers = form(*[("x.png", png(each)) for each in levels])
            answer = server.ask(f"/v1/predict?plus={plus}", body, headers, over=connection)
            done.append((answer, [each + plus for each in levels]))
        connection.close()
        return done

    results: list[list[tuple[Answer, list[int]]]] = in_threads([client] * 16)  # type: ignore[list-item, assignment]
    pairs = [pair for done in results for pair in done]
    assert len(pairs) == 320
    for answer, expected in pairs:
        assert answer.status == 200
        assert answer.levels == expected
    assert server.metric('simplecell_batch_pictures_bucket{model="net",le="32"}') == server.metric(
        'simplecell_batch_pictures_count{model="net"}'
    )


def test_answers_on_one_connection_come_in_the_order_of_pipelined_requests(server: Running) -> None:
    request = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"".join(request % (len(png(k)), png(k)) for k in range(10)))
        got = b""
        while got.count(b'"level"') < 10:
            got += raw.recv(65536)
    assert [int(each) for each in re.findall(rb'"level": (\d+)', got)] == list(range(10))


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("plus=x", 400, ["plus", "whole number"]),
        ("plus=-1", 400, ["plus", "0 or more"]),
        ("plus=1001", 400, ["1000 or less"]),
        ("double=maybe", 400, ["double", "true or false"]),
        ("pluss=1", 400, ["'pluss'", "did you mean plus"]),
        ("plus=1&plus=2", 400, ["twice"]),
        ("model=other", 404, ["net"]),
        ("show=2", 400, ["show"]),
        ("&".join(f"a{k}=1" for k in range(100)), 400, ["more options"]),
    ],
)
def test_a_wrong_query_is_told(server: Running, query: str, status: int, words: list[str]) -> None:
    is_problem(server.ask(f"/v1/predict?{query}", png(1)), status, *words)


@pytest.mark.parametrize("kind", ["application/json", "application/ld+json", "multipart/mixed; boundary=x"])
def test_what_is_no_picture_by_its_type_is_refused(server: Running, kind: str) -> None:
    is_problem(server.ask(body=png(1), headers={"Content-Type": kind}), 415, "form-data")


def test_a_compressed_body_is_refused(server: Running) -> None:
    is_problem(server.ask(body=png(1), headers={"Content-Encoding": "gzip"}), 415, "compressed")


@pytest.mark.parametrize("content", [b"", b"not a picture", png(1)[:40], b"GIF89a", b"\xff\xd8\xff\xe0"])
def test_content_that_is_no_picture_is_told_by_its_name(server: Running, content: bytes) -> None:
    is_problem(server.ask(body=content), 422, "picture-1: ")
    body, headers = form(("good.png", png(1)), ("bad.png", content))
    is_problem(server.ask(body=body, headers=headers), 422, "bad.png: ")


def test_a_file_name_is_never_opened(server: Running) -> None:
    body, headers = form(("../../etc/passwd", b""), ("http://localhost/x.png", b""))
    is_problem(server.ask(body=body, headers=headers), 422, "passwd: the file is empty")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/predict", 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v2", 404),
        ("GET", "/page/x", 404),
    ],
)
def test_another_address_or_method_is_told(server: Running, method: str, path: str, status: int) -> None:
    is_problem(server.ask(path, method=method), status)


@pytest.mark.parametrize("path", ["/page/../app.py", "/page/%2e%2e/app.py", "/page//etc/passwd", "/page/"])
def test_no_address_leads_out_of_the_page(server: Running, path: str) -> None:
    is_problem(server.ask(path), 404)


def test_the_page_allows_no_strange_script_and_is_not_sent_twice(server: Running) -> None:
    page = server.ask("/")
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    again = server.ask("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_one_wrong_picture_spoils_nobody_elses_batch() -> None:
    def picky(pairs: Any, ask: Any) -> Sequence[Prediction]:
        if any(picture[0, 0, 0] == 13 for _, picture in pairs):
            raise UserError("a digit is not to be found", where="/secret/place", remedy="send another")
        if any(picture[0, 0, 0] == 14 for _, picture in pairs):
            raise RuntimeError("secret internals")
        return level(pairs, ask)

    with running(source(picky), limits=Limits(gather=200.0)) as server:
        levels = [1, 13, 2, 14, 3]
        answers = in_threads([lambda v=v: server.ask(body=png(v)) for v in levels])  # type: ignore[misc]
        assert [a.levels for a in answers if a.status == 200] == [[1], [2], [3]]
        is_problem(answers[1], 422, "picture-1: a digit is not to be found; send another.")
        is_problem(answers[3], 500)
        assert b"secret" not in answers[1].body + answers[3].body


def test_a_net_that_gives_no_json_number_is_a_failure_and_not_an_answer() -> None:
    def broken(pairs: Any, ask: Any) -> Sequence[Prediction]:
        return [Values(path, {"level": float("nan")}) for path, _ in pairs]

    with running(source(broken)) as server:
        is_problem(server.ask(body=png(1)), 500)


def test_with_show_the_pictures_come_along() -> None:
    def show(picture: Any, prediction: Any, ask: Any) -> Any:
        return [("where <b>it</b> looked", np.full((4, 5, 3), 200, np.uint8))]

    with running(Source("net", None, lambda: replace(MODEL, show=show))) as server:
        (shown,) = server.ask("/v1/predict?show=true", png(1)).json["predictions"][0]["shown"]
        assert shown["caption"] == "where <b>it</b> looked"
        assert shown["picture"].startswith("data:image/png;base64,")
        assert "shown" not in server.ask(body=png(1)).json["predictions"][0]
        assert server.ask("/v1/models").json["models"][0]["shows"] is True


def test_of_several_models_one_has_to_be_named() -> None:
    def minus(pairs: Any, ask: Any) -> Sequence[Prediction]:
        return [Values(path, {"level": -1}) for path, _ in pairs]

    with running(source(), source(minus, "other")) as server:
        is_problem(server.ask(body=png(1)), 400, "net, other")
        assert server.ask("/v1/predict?model=net", png(1)).levels == [1]
        assert server.ask("/v1/predict?model=other", png(1)).levels == [-1]
        assert [each["name"] for each in server.ask("/v1/models").json["models"]] == ["net", "other"]


# ---- limits

SMALL = Limits(max_body=2000, max_pixels=100, max_pictures=3, timeout=1.0)


@pytest.fixture(scope="module")
def small() -> Iterator[Running]:
    with running(limits=SMALL) as started:
        yield started


def test_a_body_too_long_is_refused_before_it_is_read(small: Running) -> None:
    with socket.create_connection(("127.0.0.1", small.port)) as raw:
        raw.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2001\r\n\r\n")
        assert raw.recv(12) == b"HTTP/1.1 413"


def test_who_waits_for_leave_to_send_is_not_asked_to_go_on(small: Running) -> None:
    with socket.create_connection(("127.0.0.1", small.port)) as raw:
        raw.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2001\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        got = b""
        while piece := raw.recv(65536):  # until the server closes
            got += piece
    assert got.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in got


def test_a_body_that_does_not_tell_its_length_is_bounded_too(small: Running) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * 100

    is_problem(small.ask(body=pieces()), 413, "2,000")
    assert small.ask(body=iter([png(5)[:20], png(5)[20:]])).levels == [5]


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(small: Running) -> None:
    is_problem(small.ask(body=png(1, side=11)), 413, "11 × 11", "100")
    assert "SIMPLECELL" not in small.ask(body=png(1, side=11)).json["detail"]
    assert small.ask(body=png(1, side=10)).status == 200


def test_more_pictures_than_allowed_are_refused(small: Running) -> None:
    body, headers = form(*[("x.png", png(1))] * 4)
    is_problem(small.ask(body=body, headers=headers), 413, "3 pictures")


def test_a_body_that_does_not_come_is_not_waited_for(small: Running) -> None:
    with socket.create_connection(("127.0.0.1", small.port)) as raw:
        raw.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc")
        assert raw.recv(12) == b"HTTP/1.1 408"


@pytest.mark.parametrize(
    "endless",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 2**20,
        b"GET /" + b"x" * 2**20,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: y\r\n" % k for k in range(2**17)),
    ],
)
def test_a_head_that_does_not_end_is_cut(small: Running, endless: bytes) -> None:
    assert len(endless) > 10 * MOST_HEAD
    with socket.create_connection(("127.0.0.1", small.port)) as raw:
        try:
            raw.sendall(endless)
            assert raw.recv(4096)[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400")
        except (ConnectionResetError, BrokenPipeError):
            pass  # it was cut before all was sent
    assert small.ask("/healthz").status == 200


# ---- who may ask


@pytest.fixture(scope="module")
def guarded() -> Iterator[Running]:
    with running(token="open-sesame", cors=["https://friend.example"]) as started:
        yield started


@pytest.mark.parametrize(
    "path", ["/v1/predict", "/v1/models", "/metrics", "/docs", "/openapi.json", "/other"]
)
@pytest.mark.parametrize("given", ["", "open-sesame", "Bearer", "Bearer open-sesam", "Basic open-sesame"])
def test_without_the_token_nothing_is_told(guarded: Running, path: str, given: str) -> None:
    headers = {"Authorization": given} if given else {}
    answer = guarded.ask(path, png(1) if path == "/v1/predict" else None, headers)
    is_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_with_the_token_it_is(guarded: Running) -> None:
    headers = {"Authorization": "bearer open-sesame"}
    assert guarded.ask(body=png(1), headers=headers).levels == [1]
    assert guarded.ask("/v1/models", headers=headers).status == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_the_page_and_health_need_no_token(guarded: Running, path: str) -> None:
    assert guarded.ask(path).status == 200


def test_a_page_of_a_named_origin_may_ask_and_read(guarded: Running) -> None:
    asks = {"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"}
    leave = guarded.ask("/v1/predict", headers=asks, method="OPTIONS")
    assert leave.status == 204
    assert leave.headers["access-control-allow-origin"] == "https://friend.example"
    assert "Authorization" in leave.headers["access-control-allow-headers"]
    headers = {"Origin": "https://friend.example", "Sec-Fetch-Site": "cross-site"}
    answer = guarded.ask(body=png(1), headers={**headers, "Authorization": "Bearer open-sesame"})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://friend.example"
    refused = guarded.ask(body=png(1), headers=headers)  # the page may read why
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] == "https://friend.example"


@pytest.mark.parametrize("origin", ["https://friend.example.evil", "http://friend.example", "null", "*"])
def test_a_page_of_another_origin_may_not(guarded: Running, server: Running, origin: str) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    sends = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Authorization": "Bearer open-sesame"}
    for each in (guarded, server):  # one names others, one names nobody
        leave = each.ask("/v1/predict", headers=asks, method="OPTIONS")
        answer = each.ask(body=png(1), headers=sends)
        is_problem(answer, 403)
        assert not {h for a in (leave, answer) for h in a.headers if h.startswith("access-control-allow")}


def test_every_origin_may_where_that_was_said() -> None:
    with running(cors=["*"]) as server:
        answer = server.ask(body=png(1), headers={"Origin": "null", "Sec-Fetch-Site": "cross-site"})
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "127.0.0.2"]
)
def test_a_name_that_leads_here_by_rebinding_is_refused(server: Running, host: str) -> None:
    for path in ("/", "/v1/models"):
        is_problem(server.ask(path, headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:80", "[::1]"])
def test_the_names_of_this_machine_are_taken(server: Running, host: str) -> None:
    assert server.ask("/v1/models", headers={"Host": host}).status == 200


def test_a_server_for_others_is_asked_by_any_name() -> None:
    with running(host="0.0.0.0") as server:
        assert server.ask("/v1/models", headers={"Host": "nets.example"}).status == 200


# ---- what is written down


def test_the_log_tells_nothing_of_pictures_names_and_options(capfd: pytest.CaptureFixture[str]) -> None:
    with running(token="open-sesame") as server:
        body, headers = form(("private-name.png", png(1)), ("x.png", b"private-content"))
        headers["Authorization"] = "Bearer open-sesame"
        server.ask("/v1/predict?plus=777", body, headers)
        server.ask("/private-address?plus=778")
    lines = capfd.readouterr().err.splitlines()
    told = [line for line in lines if "Z " in line]
    first = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ POST /v1/predict 422 [\d.]+ ms, 2 pictures, \d+ bytes"
    assert re.fullmatch(first, told[0])
    assert re.fullmatch(r"\S+Z GET other 401 [\d.]+ ms, 0 pictures, 0 bytes", told[1])
    assert not re.search("private|777|778|sesame", "".join(lines))


def test_the_models_are_told_with_their_options(server: Running) -> None:
    (told,) = server.ask("/v1/models").json["models"]
    assert told == {
        "name": "net",
        "task": "measure",
        "fingerprint": "ab" * 32,
        "classes": ["a", "b"],
        "input": {"channels": 1},
        "options": {
            "plus": {
                "type": "int",
                "default": 0,
                "help": "added to the level",
                "at_least": 0,
                "at_most": 1000,
            },
            "double": {"type": "bool", "default": False, "help": "twice the level"},
        },
        "shows": False,
    }
    assert json.loads(server.ask("/readyz").body) == {"status": "ready"}
