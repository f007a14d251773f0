"""A CSV or TSV with a line a picture: its path and label, optionally its split, and any other columns."""

from __future__ import annotations

import csv
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simplecell.data.pictures import FilePictures, unreadable
from simplecell.data.sources.layout import is_picture
from simplecell.data.sources.source import ALL, MOST_PICTURES, Source, Table, ordered, side_name
from simplecell.errors import UserError

_PATH = ("path", "file", "filename", "image", "picture")
_LABEL = ("label", "class", "category", "target")
_SPLIT = "split"

#: A table is read whole; above this many bytes it is refused. A line a picture, that is some millions.
MAX_BYTES = 2**28
_LONGEST_LINE = 2**20  # characters
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def read(path: Path) -> Source:
    """Index the pictures that a table names, relative to its folder. UserError names the line at fault.

    The header tells the columns: ``path``, ``file``, ``filename``, ``image`` or ``picture``; ``label``,
    ``class``, ``category`` or ``target``; ``split``. Without such names the first two columns count.
    """
    header, lines, rows = _rows(path)
    path_column, label_column, split_column = _roles(header, path)
    names = [row[path_column].strip().replace("\\", "/") for row in rows]
    labels = [row[label_column].strip() for row in rows]
    splits = [row[split_column].strip() for row in rows] if split_column is not None else [ALL] * len(rows)
    for number, name, label, split in zip(lines, names, labels, splits, strict=True):
        if not (name and label and split):
            blank = "path" if not name else "label" if not label else "split"
            raise _fault(path, number, f"the {blank} is empty", "fill it in or remove the line")
    _check_unique(path, names, lines)
    _check_present(path, names)

    classes = ordered(labels)
    index = {name: number for number, name in enumerate(classes)}
    whole = Table(
        tuple(names),
        np.array([index[label] for label in labels], dtype=np.int64),
        FilePictures(path.parent, tuple(names)),
        {
            name: tuple(row[column] for row in rows)
            for column, name in enumerate(header)
            if column not in (path_column, label_column, split_column)
        },
    )
    sides: dict[str, list[int]] = {}
    for row, split in enumerate(splits):
        sides.setdefault(side_name(split) or split, []).append(row)
    return Source(path, "table", classes, {side: whole.take(chosen) for side, chosen in sides.items()})


def _rows(path: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """The header, and for every row that is not blank its line number and its cells."""
    text = _text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(",\t;", key=first.count)  # a comma where there is none of them
    reader = csv.reader(_lines(text, path), delimiter=delimiter, strict=True)
    lines, rows = [], []
    header: list[str] = []
    start = 1
    try:
        for row in reader:
            if row and not header:
                header = [name.strip() for name in row]
            elif row:
                if len(row) != len(header):
                    raise _fault(
                        path,
                        start,
                        f"there are {len(row)} cells under {len(header)} columns",
                        "mend the line",
                    )
                lines.append(start)
                rows.append(row)
                if len(rows) > MOST_PICTURES:
                    raise _fault(
                        path, start, f"there are more than {MOST_PICTURES:,} rows", "make it shorter"
                    )
            start = reader.line_num + 1
    except csv.Error as error:
        raise _fault(path, start, f"the quoting is broken ({error})", "mend the line") from error
    if not rows:
        raise UserError(
            "the table has no rows", where=path, remedy="write path,label and below it a line a picture"
        )
    return header, lines, rows


def _lines(text: str, path: Path) -> Iterator[str]:
    """The lines with their ends, of whatever system."""
    for number, match in enumerate(_LINE.finditer(text), 1):
        if match.end() - match.start() > _LONGEST_LINE:
            raise _fault(path, number, f"there are more than {_LONGEST_LINE:,} characters", "mend the line")
        yield match[0]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) > MAX_BYTES:
        raise UserError(
            f"the table has more than {MAX_BYTES >> 20} MiB", where=path, remedy="divide it into several"
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError("the table is UTF-16", where=path, remedy="save it as UTF-8")
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise _fault(path, line, "there is a NUL byte", "save the table anew as plain UTF-8 text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _fault(path, line, "the text is not UTF-8", "save the table as UTF-8") from error


def _roles(header: list[str], path: Path) -> tuple[int, int, int | None]:
    """The columns of path, label and, where there is one, split."""
    lower = [name.lower() for name in header]
    if len(header) < 2:
        raise _fault(path, 1, "there is one column only", "write a header path,label and both on every line")
    if len(set(lower)) < len(lower):
        twice = next(name for name in lower if lower.count(name) > 1)
        raise _fault(path, 1, f"two columns are named {twice!r}", "rename one of them")
    paths = [lower.index(name) for name in _PATH if name in lower]
    labels = [lower.index(name) for name in _LABEL if name in lower]
    split = lower.index(_SPLIT) if _SPLIT in lower else None
    if not paths and any(is_picture(name) for name in header):
        raise _fault(path, 1, "there is a picture where the header should be", "write path,label above it")
    free = [column for column in range(len(header)) if column not in (*paths[:1], *labels[:1], split)]
    path_column = paths[0] if paths else free.pop(0) if free else None
    label_column = labels[0] if labels else free.pop(0) if free else None
    if path_column is None or label_column is None:
        raise _fault(path, 1, "there is no column of labels", "write a header with path and label")
    return path_column, label_column, split


def _check_unique(path: Path, names: list[str], lines: list[int]) -> None:
    first: dict[str, int] = {}
    for number, name in zip(lines, names, strict=True):
        earlier = first.setdefault(posixpath.normpath(name), number)
        if earlier != number:
            raise _fault(path, number, f"{name} stands on line {earlier} already", "remove one of the lines")


def _check_present(path: Path, names: list[str]) -> None:
    folder = os.fspath(path.parent)
    absent = [name for name in names if not os.path.isfile(os.path.join(folder, name))]
    if absent:
        more = ", …" if len(absent) > 3 else ""
        raise UserError(
            f"the table names {len(absent):,} absent picture{'s' if len(absent) > 1 else ''} "
            f"({', '.join(absent[:3])}{more})",
            where=path,
            remedy=f"paths count from {folder}: restore the files or correct the lines",
        )


def _fault(path: Path, line: int, what: str, remedy: str) -> UserError:
    return UserError(what, where=f"{path}, line {line}", remedy=remedy)
