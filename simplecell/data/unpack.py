"""Unpack an archive of pictures without trusting its member names."""

from __future__ import annotations

import errno
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from simplecell.errors import UserError

#: An archive that gives more than so many times its own bytes is a bomb; pictures give about as many.
MOST_UNPACKED = 100
_PIECE = 1 << 20  # bytes
# What the libraries raise of bytes that are no archive, or one of a kind that they cannot read.
_FORMAT_ERRORS = (
    *(tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError),
    *(ValueError, OverflowError, MemoryError, RuntimeError, NotImplementedError, IndexError, struct.error),
)


def unpack(archive: Path, into: Path, root: str = "") -> None:
    """Write the files under ``root`` of a .zip or a .tar (compressed or not) into the new folder ``into``.

    Only regular files are written, with the permissions of this user, never outside ``into``. Raises
    UserError for a member that is a link or a device or whose path leaves the archive, for an archive that
    is cut short or is none, for one that grows beyond ``MOST_UNPACKED`` times its size, and for one that
    holds nothing under ``root``; ``into`` is then the caller's to remove.
    """
    into.mkdir()
    prefix = PurePosixPath(root)
    left = MOST_UNPACKED * archive.stat().st_size
    found = False
    try:
        with closing(_members(archive)) as members:
            for name, opened in members:
                path = _inside(name, archive)
                if path == prefix or not path.is_relative_to(prefix):
                    continue
                target = into / path.relative_to(prefix)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened() as content, target.open("xb") as file:
                    left = _copy(content, file, left)
                if left < 0:
                    raise _hostile(archive, name, f"makes it unpack to {MOST_UNPACKED} times its size")
                found = True
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise _hostile(archive, Path(error.filename).name, "is there twice") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _hostile(archive, name, "has a name too long for a file") from None
        if error.filename is not None or error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # the disk's fault, not the archive's
        raise _not_whole(archive, error) from None
    except _FORMAT_ERRORS as error:
        raise _not_whole(archive, error) from None
    if not found:
        raise UserError(
            f"holds no files under {root or 'its top'}", where=archive, remedy="do not use this archive"
        )


def _copy(content: IO[bytes], file: IO[bytes], left: int) -> int:
    """Copy until the content ends or more than ``left`` bytes are copied; how many are left then."""
    while left >= 0 and (piece := content.read(_PIECE)):
        file.write(piece)
        left -= len(piece)
    return left


def _members(archive: Path) -> Generator[tuple[str, Callable[[], IO[bytes]]], None, None]:
    """The name of each regular file, in the archive's order, and what opens its content."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _hostile(archive, info.filename, "is a link or a device")
                if info.flag_bits & 1:
                    raise _hostile(archive, info.filename, "is encrypted")
                if not info.is_dir():
                    yield info.filename, partial(packed.open, info)
        return
    with tarfile.open(archive) as tape:
        for member in tape:
            if not (member.isfile() or member.isdir()):
                raise _hostile(archive, member.name, "is a link or a device")
            if member.issparse() or member.size < 0:
                raise _hostile(archive, member.name, "is not as large as it says")
            if member.isfile():
                yield member.name, partial(_extracted, tape, member)


def _extracted(tape: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tape.extractfile(member)
    assert content is not None  # as for folders
    return content


def _inside(name: str, archive: Path) -> PurePosixPath:
    """The member's path, refused where it could lead out of the folder on any system."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise _hostile(archive, name, "has a path that leads out of the archive")
    return path


def _not_whole(archive: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"is no whole archive ({reason})", where=archive, remedy="remove it and fetch it again")


def _hostile(archive: Path, name: str, fault: str) -> UserError:
    return UserError(f"its member {name!r} {fault}", where=archive, remedy="do not use this archive")
