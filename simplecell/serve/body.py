"""The bytes of a request: read within bounds, and taken apart into pictures.

Nothing in them is ever opened as a file or an address. A file's name is a label and no more.
"""

from __future__ import annotations

import asyncio
import logging
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from simplecell.serve.problem import Problem, busy

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
#: Pictures as they came: a label and a file's bytes.
Pictures = list[tuple[str, bytes]]

_LONGEST_LABEL = 255
_PART_HEADERS, _PART_HEADER = 8, 4096
#: Bytes of a multipart body beyond which it is taken apart beside the event loop, which must not stand still.
_LONG = 256 * 1024

# It warns of every form that it cannot read, and quotes from it.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class Gone(Exception):  # noqa: N818 - no error, an event
    """Who asked has left."""


class Room:
    """How many bytes all bodies together may hold; each is bounded, but there may be many."""

    def __init__(self, most: int) -> None:
        self._free = most

    def take(self, length: int) -> None:
        """Raises Problem 503 where there is none left."""
        if length > self._free:
            raise busy("The server holds as many bytes of requests as it takes; ask again soon.", 1)
        self._free -= length

    def give_back(self, length: int) -> None:
        self._free += length


async def read(receive: Receive, headers: Mapping[bytes, bytes], most: int, room: Room) -> bytes:
    """The body, of ``most`` bytes at most. Raises Problem 413 before reading where its length is told; Gone.

    What it returns keeps its place in ``room`` until the caller gives it back.
    """
    too_long = Problem(413, f"The request has more than {most:,} bytes; send fewer or smaller pictures.")
    told = headers.get(b"content-length", b"0")
    if not told.isdigit():
        raise Problem(400, "The Content-Length is not a number.")
    if int(told[:20]) > most:
        raise too_long
    chunks: list[bytes] = []
    length = 0
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            chunk = message.get("body", b"")
            room.take(len(chunk))
            length += len(chunk)
            if length > most:
                raise too_long
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except BaseException:
        room.give_back(length)
        raise


async def discard(receive: Receive, seconds: float) -> None:
    """Let a body that nobody wants come to its end for a while: who is cut off while sending reads none."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (message := await receive())["type"] != "http.disconnect":
                if not message.get("more_body", False):
                    return


async def pictures(body: bytes, headers: Mapping[bytes, bytes], most: int) -> Pictures:
    """The pictures in a body, one or more and ``most`` at most. Raises Problem."""
    kind = headers.get(b"content-type", b"")
    name = kind.partition(b";")[0].strip().lower()
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise Problem(415, "The request is compressed; send it as it is.")
    if name == b"multipart/form-data":
        if len(body) > _LONG:
            return await asyncio.to_thread(_parts, body, kind, most)
        return _parts(body, kind, most)
    if name.startswith(b"multipart/") or name.endswith((b"/json", b"+json")):
        raise Problem(415, "Send the picture itself, or multipart/form-data with one part a picture.")
    return [("picture-1", body)]


def _parts(body: bytes, kind: bytes, most: int) -> Pictures:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    found: Pictures = []
    told: dict[bytes, bytes] = {}
    name, value = bytearray(), bytearray()
    pieces: list[bytes] = []
    ended = False

    def begin() -> None:
        if len(found) == most:
            raise Problem(413, f"The request has more than {most} pictures; send fewer at once.")
        told.clear()
        pieces.clear()

    def header() -> None:
        told[bytes(name).lower()] = bytes(value)
        name.clear()
        value.clear()

    def end() -> None:
        _, options = parse_options_header(told.get(b"content-disposition"))
        if b"filename" not in options:
            raise Problem(400, "A part of the form is no file; options go into the address's query.")
        found.append((label(options[b"filename"]) or f"picture-{len(found) + 1}", b"".join(pieces)))

    def close() -> None:
        nonlocal ended
        ended = True

    _, options = parse_options_header(kind)
    callbacks: Any = {
        "on_part_begin": begin,
        "on_header_field": lambda data, start, stop: name.extend(data[start:stop]),
        "on_header_value": lambda data, start, stop: value.extend(data[start:stop]),
        "on_header_end": header,
        "on_part_data": lambda data, start, stop: pieces.append(data[start:stop]),
        "on_part_end": end,
        "on_end": close,
    }
    try:
        parser = MultipartParser(
            options.get(b"boundary", b""),
            callbacks,
            max_header_count=_PART_HEADERS,
            max_header_size=_PART_HEADER,
        )
        parser.write(body)
        parser.finalize()
    except FormParserError:
        ended = False
    if not ended:
        raise Problem(400, "The form is cut short or is not multipart/form-data.")
    if not found:
        raise Problem(400, "The form has no file.")
    return found


def label(filename: bytes) -> str:
    """A file's name as it is shown: its last component, without signs that are not to be seen."""
    last = filename.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    seen = "".join(sign for sign in last if unicodedata.category(sign) not in ("Cc", "Cf", "Cs"))
    return seen.strip()[:_LONGEST_LABEL]
