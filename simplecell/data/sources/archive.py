"""A tar or .tar.gz of pictures in class folders, read without being unpacked to disk."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any

from simplecell.data.pictures import HeldPictures, Member, MemberPictures, Pictures, unreadable
from simplecell.data.sources.layout import Layout, arrange, is_hidden, is_picture, left_out
from simplecell.data.sources.source import Source
from simplecell.errors import UserError

#: A compressed archive is held in memory; above this many bytes, uncompressed, it is to be unpacked first.
MAX_UNPACKED = 2**30

# What no data set needs, and hostile archives are made of: tarfile reads headers of any length at once, one
# within the other by recursion, and a path of many folders has as many folders above it.
_LONGEST_HEADER = 1 << 14  # bytes of a path or other facts beyond a member's own block
_LONGEST_NAME = 4096  # characters; Linux takes as many bytes
_DEEPEST = 32  # folders

_REMEDY = "fetch or make it again"
_FORMAT_ERRORS = (
    *(tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error),
    *(ValueError, OverflowError, RecursionError),  # of UnicodeDecodeError and numbers that lie; long chains
)


def read(path: Path) -> Source:
    """Index the pictures of an archive; see ``layout`` for what its folders mean.

    Raises UserError for an archive that is cut short or damaged, or that holds what no data set needs:
    absolute paths, "..", links, devices.
    """
    if is_gzip(path):
        return _read_compressed(path)
    found, folders, others = _sorted_out(index(path))
    paths = [member.name for member in found]
    return _source(path, paths, arrange(paths, folders, path), MemberPictures(tuple(found)), others)


def _read_compressed(path: Path) -> Source:
    contents: dict[str, bytes] = {}
    folders: list[str] = []
    others: Counter[str] = Counter()
    try:
        with gzip.open(path, "rb") as packed:
            tape = _Tape(packed, path, MAX_UNPACKED)
            for member, name, _ in _members(tape, path):
                if member.isdir():
                    folders.append(name)
                elif is_picture(name) and not is_hidden(name):
                    contents[name] = tape.content(member.size)
                elif not is_hidden(name):
                    others[PurePosixPath(name).suffix.lower()] += 1
    except _FORMAT_ERRORS as error:
        raise UserError("the archive is cut short or damaged", where=path, remedy=_REMEDY) from error
    except OSError as error:
        raise unreadable(path, error) from error
    paths = list(contents)
    layout = arrange(paths, _all_folders(paths, folders), path)
    held = HeldPictures(tuple(f"{path}/{name}" for name in paths), tuple(contents.values()))
    return _source(path, paths, layout, held, others)


def _source(path: Path, paths: list[str], layout: Layout, pictures: Pictures, others: Counter[str]) -> Source:
    notes = left_out(others, layout, paths)
    return Source(path, "archive", layout.classes, layout.tables(paths, pictures), notes)


def is_gzip(path: Path) -> bool:
    """Whether the file begins like gzip."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def is_tar(path: Path) -> bool:
    """Whether the file begins like an uncompressed tar: with the header of a member, or as an empty one."""
    with path.open("rb") as file:
        block = file.read(tarfile.BLOCKSIZE)
    if block == bytes(tarfile.BLOCKSIZE):
        return True
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def first_names(path: Path, count: int) -> list[str]:
    """The names of the first files of an uncompressed tar; fewer where it is damaged."""
    names: list[str] = []
    with suppress(UserError, *_FORMAT_ERRORS), path.open("rb") as file:
        members = _members(_Tape(file, path), path)
        names += [name for member, name, _ in islice(members, count) if member.isfile()]
    return names


def index(path: Path) -> list[Member]:
    """Every file of an uncompressed tar and, with size -1, every folder. UserError as for ``read``.

    Where a name occurs twice the later one counts, as when a tar is unpacked.
    """
    members: dict[str, Member] = {}
    end = 0
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            for member, name, after in _members(_Tape(file, path), path):
                size = -1 if member.isdir() else member.size
                if member.offset_data + max(size, 0) > length:
                    raise UserError(f"the archive ends in the middle of {name}", where=path, remedy=_REMEDY)
                members[name] = Member(path, name, member.offset_data, size)
                end = after
        _check_end(path, end)
    except _FORMAT_ERRORS as error:
        raise UserError("the archive is cut short or damaged", where=path, remedy=_REMEDY) from error
    except OSError as error:
        raise unreadable(path, error) from error
    return list(members.values())


def _members(tape: _Tape, path: Path) -> Iterator[tuple[tarfile.TarInfo, str, int]]:
    """Every member with its name and where the next begins; UserError where it is none for a data set."""
    opened: Any = tape  # read, seek and tell are all that a tar is asked
    with tarfile.open(fileobj=opened, mode="r:") as tar:
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined] # it would keep them all, a kilobyte each
            yield member, _checked_name(member, path), tar.offset


def _check_end(path: Path, offset: int) -> None:
    """tarfile takes any nonsense after the first member for the end; a whole archive ends in a zero block."""
    with path.open("rb") as file:
        file.seek(offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise UserError("the archive has no end mark, so it may be cut short", where=path, remedy=_REMEDY)


def _checked_name(member: tarfile.TarInfo, path: Path) -> str:
    """The member's name without ./ in front; UserError if it reaches outside or is no plain file."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    fault = (
        "has an absolute path"
        if member.name.startswith("/") or (parts and parts[0].endswith(":"))
        else "reaches outside by .."
        if ".." in parts
        else "is neither a plain file nor a folder"
        if not (member.isreg() or member.isdir()) or member.issparse()
        else "has a size below nothing"
        if member.size < 0
        else "has a path too long or too deep"
        if len(member.name) > _LONGEST_NAME or len(parts) > _DEEPEST
        else "has a name that is not UTF-8"
        if any("\ud800" <= letter <= "\udfff" for letter in member.name)
        else ""
    )
    if fault:
        raise UserError(
            f"member {member.name!r} {fault}", where=path, remedy="make the archive anew from plain files"
        )
    return "/".join(parts)


def _sorted_out(members: list[Member]) -> tuple[list[Member], list[str], Counter[str]]:
    """Pictures, folders, and other files counted by suffix."""
    visible = [member for member in members if not is_hidden(member.name)]
    pictures = [member for member in visible if member.size >= 0 and is_picture(member.name)]
    others = Counter(
        PurePosixPath(member.name).suffix.lower()
        for member in visible
        if member.size >= 0 and not is_picture(member.name)
    )
    folders = [member.name for member in visible if member.size < 0]
    return pictures, _all_folders([member.name for member in pictures], folders), others


def _all_folders(paths: list[str], folders: list[str]) -> list[str]:
    """The folders an archive lists and those its paths imply."""
    direct = {path.rpartition("/")[0] for path in paths}
    implied = {folder for path in direct for folder in _lineage(path)}
    return sorted(implied | {folder for folder in folders if folder})


def _lineage(folder: str) -> Iterator[str]:
    """A folder and all those above it."""
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


class _Tape:
    """An archive as tarfile may read it: onwards only, no long header, and not beyond ``most`` bytes."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, path: Path, most: int | None = None) -> None:
        self._file = file
        self._path = path
        self._most = most

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int) -> int:
        if offset < self.tell():
            raise tarfile.ReadError("a member ends before it begins")
        self._check(offset)
        return self._file.seek(offset)

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise UserError(
                f"the header of a member tells of {size:,} bytes, where at most {_LONGEST_HEADER:,} are read",
                where=self._path,
                remedy="make the archive anew from plain files, without extended attributes",
            )
        self._check(self.tell() + size)
        return self._file.read(size)

    def content(self, size: int) -> bytes:
        """The content of the member whose header has just been read."""
        self._check(self.tell() + size)
        content = self._file.read(size)
        if len(content) < size:
            raise EOFError
        return content

    def _check(self, end: int) -> None:
        if self._most is not None and end > self._most:
            raise UserError(
                f"the archive holds more than {self._most / 2**30:.3g} GiB, too much to unpack into memory",
                where=self._path,
                remedy="unpack it (or make it a .tar, which is read in place) and give that",
            )
