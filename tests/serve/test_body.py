"""Bodies taken apart: what honest clients send reads back, what hostile ones send is a sentence."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from simplecell.serve import body
from simplecell.serve.problem import Problem
from tests.serve.serving import form

FORM = {b"content-type": b"multipart/form-data; boundary=frontier"}


def pictures(content: bytes, headers: dict[bytes, bytes] = FORM, most: int = 64) -> body.Pictures:
    return asyncio.run(body.pictures(content, headers, most))


signs = st.characters(categories=["L", "N"], include_characters=" ._-()")
plain_names = st.text(signs, min_size=1, max_size=40)


@given(st.lists(st.tuples(plain_names, st.binary(max_size=3000)), min_size=1, max_size=6))
def test_what_a_form_holds_reads_back(files: list[tuple[str, bytes]]) -> None:
    content, _ = form(*files)
    expected = [(name.strip() or f"picture-{k + 1}", data) for k, (name, data) in enumerate(files)]
    assert pictures(content) == expected


@given(st.lists(st.sampled_from([b"\r\n--frontie", b"\r\n\r\n--", b"\r", b"\n", b"-", b"x", b"--frontier"])))
def test_bytes_that_look_like_boundaries_stay_content(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    assume(b"\r\n--frontier" not in b"\r\n" + content)
    assert pictures(form(("x", content))[0]) == [("x", content)]


@given(st.binary(max_size=300))
def test_any_bytes_are_pictures_or_a_problem(noise: bytes) -> None:
    whole, _ = form(("a.png", b"abc"), ("b.png", b"defg"))
    for content in (noise, whole[: len(noise)], whole + noise, noise + whole, whole.replace(b"abc", noise)):
        status, found = 200, []
        try:
            found = pictures(content)
        except Problem as problem:
            status = problem.status
        assert status == (200 if found else 400)
        assert all(isinstance(data, bytes) and name for name, data in found)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cut short"),
        (b"--frontier--\r\n", "no file"),
        (form(("a", b"x"))[0][:-6], "cut short"),
        (form(("a", b"x"))[0].replace(b"; filename", b"; fine"), "no file; options"),
        (form(("a", b"x"))[0].replace(b"Content-Disposition", b"X" * 5000), "cut short"),
        (form(("a", b"x"))[0].replace(b"\r\n\r\n", b"\r\n" + b"X: y\r\n" * 100 + b"\r\n", 1), "cut short"),
    ],
)
def test_a_form_that_is_none_is_told(content: bytes, words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        pictures(content)
    assert caught.value.status == 400


@pytest.mark.parametrize("kind", [b"multipart/form-data", b"multipart/form-data; boundary=" + b"x" * 5000])
def test_a_form_without_a_sound_boundary_is_told(kind: bytes) -> None:
    with pytest.raises(Problem):
        pictures(form(("a", b"x"))[0], {b"content-type": kind})


def test_a_form_of_a_million_parts_is_left_at_the_limit() -> None:
    content = b"--frontier\r\n\r\n\r\n" * 10**6
    began = time.process_time()
    with pytest.raises(Problem):
        pictures(content)
    assert time.process_time() - began < 20  # a million parts would be minutes


@given(st.text())
def test_a_label_is_one_component_that_can_be_seen(name: str) -> None:
    found = body.label(name.encode("utf-8", "replace"))
    assert len(found) <= 255
    assert not set(found) & {"/", "\\"}
    assert not [sign for sign in found if unicodedata.category(sign) in ("Cc", "Cf", "Cs")]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        (b"7.png", "7.png"),
        (b"../../etc/passwd", "passwd"),
        (rb"C:\photos\cat.jpg", "cat.jpg"),
        ("Größe 1.png".encode(), "Größe 1.png"),
        (b"a\x00b\r\nc\x1b[31m", "abc[31m"),
        ("evil\u202egnp.exe".encode(), "evilgnp.exe"),
        (b"x" * 999, "x" * 255),
        (b"\xff\xfe.png", "\ufffd\ufffd.png"),
        (b"folder/", ""),
    ],
)
def test_labels_by_example(name: bytes, label: str) -> None:
    assert body.label(name) == label


# ---- reading


def receiving(*chunks: bytes, ends: bool = True) -> Callable[[], Awaitable[Any]]:
    """A body in pieces; after the last the sender has left. ends: the last piece is said to be it."""
    waiting = list(chunks)

    async def receive() -> Any:
        if not waiting:
            return {"type": "http.disconnect"}
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting) or not ends}

    return receive


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=10), st.integers(0, 200))
def test_a_body_is_read_whole_or_refused_and_its_room_given_back(chunks: list[bytes], most: int) -> None:
    room, whole = body.Room(1000), b"".join(chunks)
    status, content = 200, whole
    try:
        content = asyncio.run(body.read(receiving(*chunks), {}, most, room))
        room.give_back(len(content))
    except Problem as problem:
        status = problem.status
    assert status == (413 if len(whole) > most else 200)
    assert content == whole
    room.take(1000)  # all of it is free again
    with pytest.raises(Problem):
        room.take(1)


def test_many_bodies_at_once_are_bounded_together() -> None:
    room = body.Room(150)
    asyncio.run(body.read(receiving(b"x" * 100), {}, 100, room))
    with pytest.raises(Problem) as caught:
        asyncio.run(body.read(receiving(b"x" * 40, b"x" * 40), {}, 100, room))
    assert caught.value.status == 503
    assert (b"retry-after", b"1") in caught.value.headers
    assert asyncio.run(body.read(receiving(b"x" * 50), {}, 100, room)) == b"x" * 50


@pytest.mark.parametrize("told", [b"-1", b"1e3", b"", b"0x10", b"9" * 400])
def test_a_strange_length_is_refused(told: bytes) -> None:
    with pytest.raises(Problem) as caught:
        asyncio.run(body.read(receiving(b"x"), {b"content-length": told}, 100, body.Room(1000)))
    assert caught.value.status in (400, 413)


def test_who_leaves_in_mid_body_is_gone() -> None:
    with pytest.raises(body.Gone):
        asyncio.run(body.read(receiving(b"abc", ends=False), {}, 100, body.Room(1000)))
