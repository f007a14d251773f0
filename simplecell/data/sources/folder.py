"""A folder with one sub-folder a class, with or without train, val and test above."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path, PurePosixPath

from simplecell.data.pictures import FilePictures, unreadable
from simplecell.data.sources.layout import arrange, is_hidden, is_picture, left_out
from simplecell.data.sources.source import Source
from simplecell.errors import UserError


def read(path: Path) -> Source:
    """Index the pictures below ``path`` by their names; see ``layout`` for what the folders mean."""
    paths, folders, others = listing(path)
    layout = arrange(paths, folders, path)
    tables = layout.tables(paths, FilePictures(path, tuple(paths)))
    return Source(path, "folder", layout.classes, tables, left_out(others, layout, paths))


def listing(path: Path) -> tuple[list[str], list[str], Counter[str]]:
    """Pictures and folders below ``path``, relative and with slashes, and other files counted by suffix.

    Hidden files are passed over. Links are followed; a folder that is reached twice is refused, since its
    pictures would count twice (or without end).
    """
    paths: list[str] = []
    folders: list[str] = []
    others: Counter[str] = Counter()
    seen: dict[tuple[int, int], str] = {}
    pending = [""]
    while pending:
        prefix = pending.pop()
        folder = path / prefix
        try:
            status = folder.stat()
            entries = list(os.scandir(folder))
        except OSError as error:
            raise unreadable(folder, error) from error
        first = seen.setdefault((status.st_dev, status.st_ino), prefix)
        if first != prefix:
            raise UserError(
                f"the folder is the same as {path / first}, by a link",
                where=folder,
                remedy="remove the link, or its pictures would count twice",
            )
        for entry in entries:
            if is_hidden(entry.name):
                continue
            name = f"{prefix}/{entry.name}" if prefix else entry.name
            _check_encoding(name, path)
            if entry.is_dir():
                folders.append(name)
                pending.append(name)
            elif is_picture(entry.name):
                paths.append(name)
            else:
                others[PurePosixPath(entry.name).suffix.lower()] += 1
    return paths, folders, others


def _check_encoding(name: str, path: Path) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"the file name {name.encode(errors='backslashreplace').decode()} is not UTF-8",
            where=path,
            remedy="rename it",
        ) from None
