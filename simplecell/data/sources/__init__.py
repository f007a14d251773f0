"""Data sets as people have them: found, recognised and indexed without opening a picture."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from simplecell.data.pictures import unreadable
from simplecell.data.sources import archive, cifar, folder, idx, shards, table
from simplecell.data.sources.layout import is_hidden, is_picture
from simplecell.data.sources.source import ALL, Source, Table, check_trainable
from simplecell.errors import UserError

__all__ = ["ALL", "FORMATS", "Source", "Table", "check_trainable", "read_source"]

_READERS: dict[str, Callable[[Path], Source]] = {
    "folder": folder.read,
    "table": table.read,
    "idx": idx.read,
    "cifar": cifar.read,
    "archive": archive.read,
    "shards": shards.read,
}
#: The names that ``--format`` takes, with the words people may use instead.
FORMATS: dict[str, str] = {name: name for name in _READERS} | {
    "csv": "table",
    "tsv": "table",
    "mnist": "idx",
    "cifar10": "cifar",
    "cifar100": "cifar",
    "tar": "archive",
    "webdataset": "shards",
}


def read_source(path: Path, format: str = "auto") -> Source:
    """Index the data set at ``path``: a file, a folder, or a pattern of shards.

    format: "auto" recognises it; otherwise one of ``FORMATS``. Raises UserError with the fault and what to
    do, naming the file, where the data cannot be what they are taken for.
    """
    if format != "auto" and format not in FORMATS:
        near = difflib.get_close_matches(format.lower(), ["auto", *FORMATS], n=1)
        raise UserError(
            f"there is no format {format!r}",
            where="--format",
            remedy=f"did you mean {near[0]}" if near else f"give one of auto, {', '.join(_READERS)}",
        )
    if shards.is_pattern(path):
        return _ordered(shards.read(path))
    if not os.path.exists(path):
        raise UserError("there is no such file or folder", where=path, remedy="check the path")
    name, place = (FORMATS[format], path) if format != "auto" else _recognise(path)
    if place.is_dir() and name == "table":
        raise UserError(
            "a table is a file, this is a folder", where=place, remedy="give the .csv or .tsv in it"
        )
    if not place.is_dir() and name in ("folder", "idx", "cifar"):
        raise UserError(
            f"the format {name} wants a folder, this is a file", where=place, remedy="give its folder"
        )
    if place.is_dir() and name == "archive":
        raise UserError("an archive is a file, this is a folder", where=place, remedy="give the .tar in it")
    return _ordered(_READERS[name](place))


def _ordered(source: Source) -> Source:
    """The same with the sides in the order in which they are used, others after them by name."""
    usual = ["train", "validation", "test"]
    names = sorted(source.tables, key=lambda side: (usual.index(side) if side in usual else len(usual), side))
    return replace(source, tables={name: source.tables[name] for name in names})


def _recognise(path: Path) -> tuple[str, Path]:
    """The format of the data, and the file or folder that holds them."""
    return _recognise_folder(path) if path.is_dir() else (_recognise_file(path), path)


def _recognise_file(path: Path) -> str:
    name = path.name.lower()
    if name.endswith((".csv", ".tsv")):
        return "table"
    try:
        if archive.is_gzip(path) and name.endswith((".tar.gz", ".tgz")):
            return "archive"
        if archive.is_tar(path):
            return "shards" if shards.recognises(path) else "archive"
    except OSError as error:
        raise unreadable(path, error) from error
    if name.endswith((".tar", ".tar.gz", ".tgz")):
        raise UserError(
            "it is named like an archive but is none", where=path, remedy="fetch or make it again"
        )
    packed = name.endswith((".zip", ".7z", ".rar", ".gz", ".bz2", ".xz", ".zst"))
    raise UserError(
        "it is not a kind of data set that is known",
        where=path,
        remedy="unpack it and give the folder"
        if packed
        else "give a folder of class folders, a .csv of path,label, a .tar, or name it by --format",
    )


def _recognise_folder(path: Path) -> tuple[str, Path]:
    """Look through folders that hold nothing but one folder, and at what stands in the first that does."""
    place = path
    while True:
        if idx.recognises(place):
            return "idx", place
        if cifar.recognises(place):
            return "cifar", place
        try:
            entries = [entry for entry in os.scandir(place) if not is_hidden(entry.name)]
        except OSError as error:
            raise unreadable(place, error) from error
        if len(entries) != 1 or not entries[0].is_dir():
            break
        place = place / entries[0].name
    folders = [entry.name for entry in entries if entry.is_dir()]
    tars = sorted(entry.name for entry in entries if entry.name.endswith((".tar", ".tar.gz", ".tgz")))
    tables = sorted(entry.name for entry in entries if entry.name.lower().endswith((".csv", ".tsv")))
    if tars and not folders:
        if tars[0].endswith(".tar") and shards.recognises(place / tars[0]):
            return "shards", place
        if len(tars) == 1:
            return "archive", place / tars[0]
    loose = any(is_picture(entry.name) for entry in entries)
    if tables and (loose or not folders):
        raise UserError(
            "its pictures lie in no class folder",
            where=place,
            remedy=f"give the table in it, {place / tables[0]}",
        )
    return "folder", path
