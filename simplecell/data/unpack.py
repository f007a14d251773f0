"""Unpack an archive of pictures without trusting its member names."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from simplecell.errors import UserError


def unpack(archive: Path, into: Path, root: str = "") -> None:
    """Write the files under ``root`` of a .zip or a .tar (compressed or not) into the new folder ``into``.

    Only regular files are written, with the permissions of this user, never outside ``into``. Raises
    UserError for a member that is a link or a device or whose path leaves the archive, for an archive that
    is cut short or is none, and for one that holds nothing under ``root``; ``into`` is then the caller's to
    remove.
    """
    into.mkdir()
    prefix = PurePosixPath(root)
    found = False
    try:
        for name, content in _members(archive):
            path = _inside(name, archive)
            if path.is_relative_to(prefix) and path != prefix:
                target = into / path.relative_to(prefix)
                target.parent.mkdir(parents=True, exist_ok=True)
                with content, target.open("xb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
                found = True
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise UserError(
            f"is no whole archive ({error})", where=archive, remedy="remove it and fetch it again"
        ) from None
    except (FileExistsError, NotADirectoryError) as error:
        raise _hostile(archive, Path(error.filename).name, "is there twice") from None
    if not found:
        raise UserError(
            f"holds no files under {root or 'its top'}", where=archive, remedy="do not use this archive"
        )


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The name and the content of each regular file, in the archive's order."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _hostile(archive, info.filename, "is a link or a device")
                if not info.is_dir():
                    yield info.filename, packed.open(info)
        return
    with tarfile.open(archive) as tape:
        for member in tape:
            if not (member.isfile() or member.isdir()):
                raise _hostile(archive, member.name, "is a link or a device")
            content = tape.extractfile(member)
            if content is not None:  # None for a folder
                yield member.name, content


def _inside(name: str, archive: Path) -> PurePosixPath:
    """The member's path, refused where it could lead out of the folder on any system."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise _hostile(archive, name, "has a path that leads out of the archive")
    return path


def _hostile(archive: Path, name: str, fault: str) -> UserError:
    return UserError(f"its member {name!r} {fault}", where=archive, remedy="do not use this archive")
