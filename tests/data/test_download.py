"""Downloads against a server on this machine that breaks off, lies, refuses and is not there."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simplecell.data import download
from simplecell.data.download import fetch
from simplecell.errors import UserError
from simplecell.telling import heard_by

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes: several blocks
SIZE = len(CONTENT)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
FIRST_DIGITS = SHA256[:15]  # as PyTorch has them in the names of its weights
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server on this machine does next, and what it was asked."""

    address: str = ""
    content: bytes = CONTENT
    #: After how many bytes of each answer the connection is cut; the last entry stays.
    cuts: list[int | None] = field(default_factory=lambda: [None])
    ranges: bool = True
    status: int = 0
    length: int | None = None  # a lie in Content-Length
    asked: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.address}/file.bin"


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/file.bin")
                self.end_headers()
                return
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            if state.status:
                self.send_error(state.status)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and state.ranges else 0
            if start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                last = len(state.content) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(state.content)}")
            self.send_header("Content-Length", str(len(body) if state.length is None else state.length))
            self.end_headers()
            cut = state.cuts[0] if len(state.cuts) == 1 else state.cuts.pop(0)
            with contextlib.suppress(ConnectionError):  # the client may hang up at once
                self.wfile.write(body if cut is None else body[:cut])

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        state.address = f"http://127.0.0.1:{listening.server_address[1]}"
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(download, "TIMEOUT", 0.5)


def refusal(url: str | list[str], to: Path, *, checksum: str = SHA256, size: int | None = SIZE) -> str:
    with pytest.raises(UserError) as caught:
        fetch(url, to, checksum=checksum, size=size)
    assert not to.exists()
    return str(caught.value)


@pytest.mark.parametrize(
    "checksum", [SHA256, FIRST_DIGITS, MD5, SHA256.replace(SHA256[7:], SHA256[7:].upper())]
)
@pytest.mark.parametrize("size", [SIZE, None])
def test_a_file_is_fetched_whole_and_nothing_else_is_left(
    server: Server, tmp_path: Path, checksum: str, size: int | None
) -> None:
    told: list[tuple[str, int, int]] = []
    with heard_by(lambda *news: told.append(news)):
        to = fetch(server.url, tmp_path / "new" / "f.bin", checksum=checksum, size=size)
    assert to.read_bytes() == CONTENT
    assert [path.name for path in to.parent.iterdir()] == ["f.bin"]
    assert told[0] == ("fetching f.bin", 0, SIZE)
    assert told[-1] == ("fetching f.bin", SIZE, SIZE)
    assert told == sorted(told)


def test_a_right_file_that_is_there_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "f.bin").write_bytes(CONTENT)
    assert fetch("http://127.0.0.1:1/f", tmp_path / "f.bin", checksum=SHA256).read_bytes() == CONTENT


def test_another_file_of_that_name_is_named_and_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.bin").write_bytes(b"mine")
    with pytest.raises(UserError, match="not the published file"):
        fetch(server.url, tmp_path / "f.bin", checksum=SHA256)
    assert (tmp_path / "f.bin").read_bytes() == b"mine"
    assert server.asked == []


def test_a_connection_that_breaks_again_and_again_is_resumed_where_it_broke(
    server: Server, tmp_path: Path
) -> None:
    server.cuts = [100_000, 7, 300_000, 1, 200_000, None]  # more breaks than attempts without progress
    assert fetch(server.url, tmp_path / "f.bin", checksum=SHA256, size=SIZE).read_bytes() == CONTENT
    starts = [0, 100_000, 100_007, 400_007, 400_008, 600_008]
    assert server.asked == [None] + [f"bytes={start}-" for start in starts[1:]]


def test_a_later_run_goes_on_from_what_an_earlier_one_got(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 0]
    message = refusal(server.url, tmp_path / "f.bin")
    assert "broke off after 300,000 of 1,024,000 bytes" in message
    assert "300,000 bytes are kept and it goes on from there" in message
    server.cuts = [None]
    server.asked.clear()
    assert fetch(server.url, tmp_path / "f.bin", checksum=SHA256, size=SIZE).read_bytes() == CONTENT
    assert server.asked == ["bytes=300000-"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(min_value=1, max_value=400_000), max_size=4),
    start=st.integers(min_value=0, max_value=SIZE + 5),
    ranges=st.booleans(),
    known=st.booleans(),
)
def test_however_it_breaks_the_file_is_right_in_the_end(
    server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    cuts: list[int],
    start: int,
    ranges: bool,
    known: bool,
) -> None:
    to = tmp_path_factory.mktemp("break") / "f.bin"
    (to.parent / "f.bin.part").write_bytes((CONTENT + b"extra")[:start])
    server.cuts = [*cuts, None]
    server.ranges = ranges
    size = SIZE if known else None
    for _ in range(2):  # a server without Range may use up the attempts of one run
        try:
            fetch(server.url, to, checksum=SHA256, size=size)
            break
        except UserError:
            server.cuts = [None]
    assert to.read_bytes() == CONTENT


def test_a_server_that_ignores_range_sends_the_file_anew(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "f.bin.part").write_bytes(b"x" * 1000)  # rubbish: it would spoil the file if it were kept
    assert fetch(server.url, tmp_path / "f.bin", checksum=SHA256, size=SIZE).read_bytes() == CONTENT


def test_a_part_longer_than_what_the_server_has_is_begun_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.bin.part").write_bytes(CONTENT + b"rubbish")
    assert fetch(server.url, tmp_path / "f.bin", checksum=SHA256).read_bytes() == CONTENT
    assert server.asked == [f"bytes={SIZE + 7}-", None]


def test_other_content_is_deleted_and_said_so(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"!"
    assert "not the published one, which was deleted" in refusal(server.url, tmp_path / "f.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_longer_file_than_published_is_refused_before_it_is_read(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT * 3
    assert "3,072,000 bytes where 1,024,000 were published" in refusal(server.url, tmp_path / "f.bin")
    assert list(tmp_path.iterdir()) == []


def test_an_endless_answer_without_a_length_is_cut_off(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):  # the client hangs up, as it should
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                while True:
                    connection.sendall(b"x" * 65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        message = refusal(f"http://127.0.0.1:{listening.getsockname()[1]}/f", tmp_path / "f.bin")
        thread.join()
    assert "sends more than the 1,024,000 bytes" in message
    assert list(tmp_path.iterdir()) == []


def test_a_shorter_file_than_published_is_refused_before_it_is_read(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:500]
    assert "has a file of 500 bytes where 1,024,000 were published" in refusal(server.url, tmp_path / "f.bin")


def test_a_length_longer_than_the_content_counts_as_a_break(server: Server, tmp_path: Path) -> None:
    server.length = SIZE + 100
    message = refusal(server.url, tmp_path / "f.bin", size=None)
    assert "broke off after" in message or "no such range" in message


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (500, 3), (503, 3)])
def test_a_refusal_names_its_status_and_only_a_passing_one_is_tried_again(
    server: Server, tmp_path: Path, status: int, attempts: int
) -> None:
    server.status = status
    message = refusal(server.url, tmp_path / "f.bin")
    assert f"{server.url} answered {status}" in message
    assert len(server.asked) == attempts
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    to = fetch(f"{server.address}/moved", tmp_path / "f.bin", checksum=SHA256, size=SIZE)
    assert to.read_bytes() == CONTENT


def test_a_second_address_helps_where_the_first_is_gone_or_lies(server: Server, tmp_path: Path) -> None:
    for first in ("http://127.0.0.1:1/f.bin", "http://no-such-host.invalid/f.bin"):
        to = fetch([first, server.url], tmp_path / str(len(first)), checksum=SHA256, size=SIZE)
        assert to.read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/f.bin", "http://no-such-host.invalid/f.bin"])
def test_without_a_network_the_sentence_names_the_address_and_the_place_to_put_it(
    tmp_path: Path, url: str
) -> None:
    message = refusal(url, tmp_path / "f.bin")
    assert f"{url} cannot be reached" in message
    assert f"put it at {tmp_path / 'f.bin'}" in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_says_nothing_is_given_up_after_the_time_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/f.bin"
        assert "did not answer in time" in refusal(url, tmp_path / "f.bin")


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/f", "f.bin"])
def test_only_http_addresses_are_opened(tmp_path: Path, url: str) -> None:
    assert "not an http or https address" in refusal(url, tmp_path / "f.bin")


def test_two_processes_do_not_write_one_file(server: Server, tmp_path: Path) -> None:
    with FileLock(tmp_path / "f.bin.part.lock"):
        assert "another process is fetching" in refusal(server.url, tmp_path / "f.bin")


def test_a_folder_that_cannot_be_written_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        fetch(server.url, tmp_path / "file" / "f.bin", checksum=SHA256)
