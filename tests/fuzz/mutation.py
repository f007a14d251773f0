"""Real files, spoilt as transport, other programs and attackers spoil them: what tests here draw from."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from hypothesis import settings
from hypothesis import strategies as st

#: Examples of the profile that was chosen: few in `make test`, thousands in `make fuzz`. Tests multiply it.
EXAMPLES: int = settings.default.max_examples
#: Numbers at which counts, lengths and offsets go wrong: ends of the ranges of 7 to 64 bits, and near zero.
_ODD = sorted(
    {edge + step for edge in (0, *(2**bits for bits in (7, 8, 15, 16, 31, 32, 63))) for step in (-1, 0, 1)}
)
_WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}

Edit = Callable[[bytes], bytes]


def mutated(
    files: Sequence[bytes], words: Sequence[bytes] = (), *, least: int = 0, most: int = 6
) -> st.SearchStrategy[bytes]:
    """One of ``files`` with ``least`` to ``most`` edits, each where chance has it.

    Bits flip; bytes are cut out, cut off, put in, doubled or overwritten; numbers of 1 to 8 bytes become
    lies; pieces come from the other files. words: what a reader of this format takes for its own signs
    (quotes, brackets, names of chunks); they are put in and written over others.
    """
    edits = st.lists(_edit(files, words), min_size=least, max_size=most)
    return st.builds(_edited, st.sampled_from(list(files)), edits)


def _edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    for edit in edits:
        content = edit(content)
    return content


def _edit(files: Sequence[bytes], words: Sequence[bytes]) -> st.SearchStrategy[Edit]:
    place, length = st.floats(0, 1, exclude_max=True), st.integers(0, 40)
    pieces = st.binary(max_size=16)
    if words:
        pieces |= st.sampled_from(list(words))
    edits: list[st.SearchStrategy[Edit]] = [
        st.builds(_flip, place, st.integers(0, 7)),
        st.builds(_cut_off, place),
        st.builds(_replace, place, length, st.just(b"")),
        st.builds(_replace, place, st.just(0), pieces),
        st.builds(_overwrite, place, pieces),
        st.builds(_double, place, length, st.integers(1, 50)),
        st.builds(
            _lie, place, st.sampled_from(_ODD), st.sampled_from(sorted(_WIDTHS)), st.sampled_from("<>")
        ),
        st.builds(_splice, place, place, st.sampled_from(list(files))),
    ]
    return st.one_of(edits)


def _at(place: float, content: bytes) -> int:
    """A place given as a share, as an offset. Half of all fall into the first 256 bytes: headers matter."""
    return int(2 * place * min(256, len(content))) if place < 0.5 else int((2 * place - 1) * len(content))


def _flip(place: float, bit: int) -> Edit:
    def edit(content: bytes) -> bytes:
        at = min(_at(place, content), len(content) - 1)
        return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :] if content else content

    return edit


def _cut_off(place: float) -> Edit:
    return lambda content: content[: int(place * len(content))]


def _replace(place: float, length: int, piece: bytes) -> Edit:
    def edit(content: bytes) -> bytes:
        at = _at(place, content)
        return content[:at] + piece + content[at + length :]

    return edit


def _overwrite(place: float, piece: bytes) -> Edit:
    return _replace(place, len(piece), piece)


def _double(place: float, length: int, times: int) -> Edit:
    def edit(content: bytes) -> bytes:
        at = _at(place, content)
        return content[:at] + content[at : at + length] * times + content[at:]

    return edit


def _lie(place: float, number: int, width: int, order: str) -> Edit:
    lie = struct.pack(order + _WIDTHS[width], number % 2 ** (8 * width))
    return _overwrite(place, lie)


def _splice(place: float, other_place: float, other: bytes) -> Edit:
    """The beginning of one file and the end of another."""
    return lambda content: content[: _at(place, content)] + other[_at(other_place, other) :]
