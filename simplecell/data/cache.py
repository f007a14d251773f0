"""Packs: decoded pictures on disk, memory-mapped and shared by all processes of a machine.

A pack is one file: bytes that were appended one after another, then named arrays, then a header (JSON)
that says where they lie, then a footer of fixed size::

    | data … | arrays … | header (JSON) | footer: magic, lengths, digest of arrays and header |

It is written under a name of its own with real writes (never through a sparse map, so a full disk is an
error and not a bus error), and renamed when it is whole: a reader sees all of it or nothing, and two
processes that make the same pack do not meet. There is no fsync: the footer comes last, and the usual file
systems let a file grow only as its data reach the disk, so what a power cut takes away is found missing.

All packs together stay below a limit. The least recently opened go first, but none that is open: whoever
has a pack mapped holds a shared lock on it, which ends with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import struct
import time
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from simplecell.errors import UserError

_FORMAT = 1
_MAGIC = b"simplecell pack\n"
#: magic; bytes of data, of arrays, of header; sha256 of arrays and header
_FOOTER = struct.Struct("<16sQQQ32s")

#: A growing pack looks again whether there is room after this many bytes at the latest.
_STEP = 256 << 20

#: Seconds after which an unfinished pack that nobody holds is left over from a crash.
_ABANDONED = 60


@dataclass(frozen=True)
class Pack:
    """A whole pack. It is not deleted to make room as long as ``data`` lives.

    data: uint8, all bytes that were appended; mapped, to be read only.
    arrays: what ``PackWriter.finish`` was given.
    """

    data: NDArray[np.uint8]
    arrays: Mapping[str, NDArray[Any]]


def folder() -> Path:
    """Where packs lie: SIMPLECELL_CACHE, or simplecell/pictures in the user's folder for caches."""
    named = os.environ.get("SIMPLECELL_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "simplecell" / "pictures"


def limit() -> int:
    """How many bytes all packs together may have: SIMPLECELL_CACHE_GB (default 20) and no more than half
    of what would be free on the disk without them. Raises UserError for a limit that is no size."""
    text = os.environ.get("SIMPLECELL_CACHE_GB", "20")
    try:
        wished = float(text) * 1e9
    except ValueError:
        wished = -1.0
    if not 0 <= wished < float("inf"):
        raise UserError(
            f"{text!r} is not a size", where="SIMPLECELL_CACHE_GB", remedy="give gigabytes, such as 20"
        )
    return min(int(wished), (used() + _free()) // 2)


def used() -> int:
    """How many bytes the packs have at present, unfinished ones included."""
    return sum(file.size for file in _files())


def open_pack(name: str) -> Pack | None:
    """The pack of this name, marked as used now; None if there is none that is whole, or the cache is off."""
    if not limit():
        return None
    path = folder() / f"{name}.pack"
    try:
        file = path.open("rb")
    except OSError:
        return None
    with file:
        _lock(file, fcntl.LOCK_SH)
        try:
            pack = _read(file)
        except ValueError:
            path.unlink(missing_ok=True)
            return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return pack


class PackWriter:
    """Writes the pack of a name; a context manager, whose end removes what was not finished."""

    def __init__(self, name: str) -> None:
        """Raises UserError when the cache's folder cannot be written to."""
        place = folder()
        self._final = place / f"{name}.pack"
        self._part = place / f"{name}.{uuid.uuid4().hex}.part"
        self._written = 0
        self._granted = make_room(1)
        self._file = self._open() if self._granted else None

    @property
    def fits(self) -> bool:
        """Whether there has been room so far; once there is none, nothing that is appended is kept."""
        return self._file is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._discard()

    def _open(self) -> FileIO:
        with _told():
            self._part.parent.mkdir(parents=True, exist_ok=True)
            file = self._part.open("xb+", buffering=0)  # a buffer would copy everything once more
        _lock(file, fcntl.LOCK_SH)
        return file

    def _discard(self) -> None:
        if self._file:
            self._file.close()
            self._part.unlink(missing_ok=True)
            self._file = None

    def append(self, content: NDArray[np.uint8]) -> None:
        """Add bytes at the end; raises UserError when the disk is full."""
        self._write(np.ascontiguousarray(content).reshape(-1).data)

    def finish(self, arrays: Mapping[str, NDArray[Any]]) -> Pack:
        """Add the arrays, give the pack its name, and open it; if it does not fit, it has no data and lives
        in memory only. Raises UserError when the disk is full."""
        data = self._written
        tail = bytearray()
        places = {}
        for name, array in arrays.items():
            places[name] = (array.dtype.str, array.shape, len(tail))
            tail += np.ascontiguousarray(array).tobytes()
            tail += bytes(-len(tail) % 16)
        index = len(tail)
        tail += json.dumps({"format": _FORMAT, "arrays": places}).encode()
        footer = _FOOTER.pack(_MAGIC, data, index, len(tail) - index, hashlib.sha256(tail).digest())
        self._write(memoryview(tail + footer))
        if not self._file:
            return Pack(np.empty(0, np.uint8), dict(arrays))
        with _told():
            os.replace(self._part, self._final)
        return _read(self._file)

    def _write(self, content: memoryview) -> None:
        size = self._written + len(content)
        if self._file and size > self._granted:
            room = make_room(len(content))
            self._granted = self._written + room
            if room < len(content):
                self._discard()
        if self._file:
            with _told():
                while content:
                    content = content[self._file.write(content) :]
            self._written = size


def make_room(wanted: int) -> int:
    """Delete the least recently used packs until ``wanted`` more bytes fit.

    Returns how many bytes fit then, within reason: fewer than ``wanted``, and nothing is deleted, if all
    that may be deleted is not enough.
    """
    room = limit() - used()
    if room < wanted:
        idle = sorted((file for file in _files() if _is_idle(file.path)), key=lambda file: file.time)
        if room + sum(file.size for file in idle) < wanted:
            return 0
        for file in idle:
            if room >= wanted:
                break
            file.path.unlink(missing_ok=True)
            room += file.size
    return min(room, max(wanted, _STEP))


class _File(NamedTuple):
    path: Path
    size: int
    time: float


def _files() -> list[_File]:
    files = []
    with contextlib.suppress(OSError):  # no folder yet, or none that can be written to either
        for entry in os.scandir(folder()):
            if entry.name.endswith((".pack", ".part")):
                with contextlib.suppress(FileNotFoundError):  # deleted by another process just now
                    status = entry.stat()
                    files.append(_File(Path(entry.path), status.st_size, status.st_mtime))
    return files


def _is_idle(path: Path) -> bool:
    """Whether no process has the pack open."""
    try:
        file = path.open("rb")
    except OSError:
        return False
    with file:
        if path.suffix == ".part" and time.time() - os.fstat(file.fileno()).st_mtime < _ABANDONED:
            return False  # perhaps so new that its writer has not locked it yet
        return _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock(file: BinaryIO | FileIO, how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except OSError:  # held by another, or a file system without locks
        return False
    return True


def _read(file: BinaryIO | FileIO) -> Pack:
    """The pack in an open file; raises ValueError when it is not whole. The mapping holds the file, and so
    its lock, even after the file object is closed."""
    size = os.fstat(file.fileno()).st_size
    if size < _FOOTER.size:
        raise ValueError("shorter than a footer")
    file.seek(size - _FOOTER.size)
    magic, data, index, header, digest = _FOOTER.unpack(file.read(_FOOTER.size))
    if magic != _MAGIC or data + index + header + _FOOTER.size != size:
        raise ValueError("no footer, or one of other lengths")
    file.seek(data)
    tail = file.read(index + header)
    if hashlib.sha256(tail).digest() != digest:
        raise ValueError("the arrays or the header are damaged")
    described = json.loads(tail[index:])
    if described["format"] != _FORMAT:
        raise ValueError("another format")
    arrays = {
        name: np.frombuffer(tail, kind, offset=start, count=int(np.prod(shape))).reshape(shape)
        for name, (kind, shape, start) in described["arrays"].items()
    }
    # A private, writable mapping, because torch warns of arrays that must not be written to.
    mapped = np.asarray(np.memmap(file, np.uint8, "c", shape=(data,))) if data else np.empty(0, np.uint8)
    return Pack(mapped, arrays)


def _free() -> int:
    """Bytes free on the disk where the packs lie or will lie."""
    place = folder().absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


@contextlib.contextmanager
def _told() -> Generator[None, None, None]:
    """Tell what goes wrong with the disk in a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise UserError(
            "the disk is full" if full else f"the cache of pictures cannot be written ({error.strerror})",
            where=folder(),
            remedy="free some space, set SIMPLECELL_CACHE to a folder on another disk, or set "
            "SIMPLECELL_CACHE_GB=0 to do without the cache",
        ) from error
