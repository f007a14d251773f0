"""The pictures of a table in a fixed order, wherever their bytes lie: in files, in a tar, in an array.

Opening a collection reads no picture. Every collection may be read by many threads at once and, holding
no open file, may be carried into another process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from simplecell.data.decode import decode
from simplecell.errors import UserError


def unreadable(path: Path, error: OSError) -> UserError:
    """What to raise when the system does not let a file or folder of the data be read."""
    return UserError(
        f"it cannot be read ({error.strerror or error})",
        where=path,
        remedy="restore it, make it readable, or take it out of the data",
    )


class Pictures(Protocol):
    """Pictures in a fixed order.

    ``read(index)`` gives the decoded picture: uint8, H, W, C with C 1 (grey) or 3 (RGB); it is not to be
    written to. ``content(index)`` gives the bytes it is stored as (pixel bytes where it comes from an
    array). Both raise UserError, naming the file, where a picture cannot be had.
    """

    def __len__(self) -> int: ...

    def read(self, index: int) -> NDArray[np.uint8]: ...

    def content(self, index: int) -> bytes: ...


@dataclass(frozen=True, eq=False)
class FilePictures:
    """One file a picture: ``names`` are paths relative to ``folder`` (or absolute)."""

    folder: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> NDArray[np.uint8]:
        return decode(self.content(index), str(self.folder / self.names[index]))

    def content(self, index: int) -> bytes:
        path = self.folder / self.names[index]
        try:
            return path.read_bytes()
        except OSError as error:
            raise unreadable(path, error) from error


class Member(NamedTuple):
    """A file inside an uncompressed tar: its bytes are ``archive[offset : offset + size]``."""

    archive: Path
    name: str
    offset: int
    size: int

    @property
    def where(self) -> str:
        """How a sentence names it: the archive's path, then the member's."""
        return f"{self.archive}/{self.name}"


@dataclass(frozen=True, eq=False)
class MemberPictures:
    """Members of uncompressed tars, read by their offset; nothing is unpacked."""

    members: tuple[Member, ...]

    def __len__(self) -> int:
        return len(self.members)

    def read(self, index: int) -> NDArray[np.uint8]:
        return decode(self.content(index), self.members[index].where)

    def content(self, index: int) -> bytes:
        return member_content(self.members[index])


def member_content(member: Member) -> bytes:
    """The bytes of a member; UserError if the archive is gone or has become shorter."""
    try:
        with member.archive.open("rb") as file:
            file.seek(member.offset)
            content = file.read(member.size)
    except OSError as error:
        raise unreadable(member.archive, error) from error
    if len(content) < member.size:
        raise UserError(
            "the archive ends in the middle of this member",
            where=member.where,
            remedy="restore it from its source",
        )
    return content


@dataclass(frozen=True, eq=False)
class HeldPictures:
    """Encoded pictures held in memory, as they come out of a compressed archive."""

    names: tuple[str, ...]
    contents: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> NDArray[np.uint8]:
        return decode(self.contents[index], self.names[index])

    def content(self, index: int) -> bytes:
        return self.contents[index]


@dataclass(frozen=True, eq=False)
class ArrayPictures:
    """Pictures of one size that are decoded already: ``array`` is uint8, N, H, W, C."""

    array: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.array)

    def read(self, index: int) -> NDArray[np.uint8]:
        picture: NDArray[np.uint8] = self.array[index]
        return picture

    def content(self, index: int) -> bytes:
        return bytes(self.array[index].tobytes())


@dataclass(frozen=True, eq=False)
class TakenPictures:
    """Some pictures of another collection, in the order of ``indices`` (int64)."""

    whole: Pictures
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int) -> NDArray[np.uint8]:
        return self.whole.read(int(self.indices[index]))

    def content(self, index: int) -> bytes:
        return self.whole.content(int(self.indices[index]))


def take(pictures: Pictures, indices: NDArray[np.int64] | Sequence[int]) -> Pictures:
    """The pictures at ``indices``, in that order. An array stays an array, so that it stays fast."""
    chosen = np.asarray(indices, dtype=np.int64)
    if isinstance(pictures, ArrayPictures):
        return ArrayPictures(pictures.array[chosen])
    if isinstance(pictures, TakenPictures):
        return TakenPictures(pictures.whole, pictures.indices[chosen])
    return TakenPictures(pictures, chosen)
