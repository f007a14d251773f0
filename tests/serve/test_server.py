"""What is said before the server begins: wrong options, taken ports, missing extras."""

from __future__ import annotations

import socket
import sys

import pytest

from simplecell.errors import UserError
from simplecell.serve.limits import Limits
from simplecell.serve.server import check, serve
from simplecell.settings import fields_of
from tests.serve.serving import source


def begin(**options: object) -> None:
    given = {"host": "127.0.0.1", "port": 0, "token": None, "cors": ()} | options
    serve([source()], Limits(), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["", " ", "two words", "tab\t", "snow☃", "line\n"])
def test_a_token_that_no_header_carries_is_refused(token: str) -> None:
    with pytest.raises(UserError, match="--token"):
        begin(token=token)


@pytest.mark.parametrize(
    "origin",
    ["example.org", "https://", "https://example.org/", "https://Example.org", "ftp://x", "null", ""],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(UserError, match="--cors"):
        begin(cors=[origin])


def test_sound_tokens_and_origins_are_taken() -> None:
    check("aB3-_~.", ["*", "https://example.org", "http://localhost:8080"])


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port} cannot be had"):
            begin(port=port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 0), ("no.such.invalid", 0)])
def test_an_address_that_is_not_there_is_told(host: str, port: int) -> None:
    with pytest.raises(UserError, match="cannot be had"):
        begin(host=host, port=port)


@pytest.mark.parametrize("missing", ["uvicorn", "fastapi", "python_multipart"])
def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == missing or name in ("simplecell.serve.process", "simplecell.serve.app"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=r"not installed; install it with `pip install simplecell\[serve\]`"):
        begin()


def test_limits_are_flags_with_a_line_of_help() -> None:
    for name, field in fields_of(Limits).items():
        assert field.help, name
        assert any(limit is not None for limit in field.limits.values()), name
