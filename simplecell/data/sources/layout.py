"""Class folders: what the paths of pictures say about classes and sides, on disk and in archives alike.

::

    cats/1.jpg                one folder a class
    train/cats/1.jpg          sides above; train, val or test in any of their usual spellings
    photos/train/cats/1.jpg   a common folder above all of it is looked through
    train/cats/zoo/1.jpg      folders inside a class make no difference
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from simplecell.data.decode import PICTURE_SUFFIXES
from simplecell.data.pictures import Pictures, take
from simplecell.data.sources.source import ALL, Table, side_name
from simplecell.errors import UserError


@dataclass(frozen=True)
class Layout:
    """Where each picture belongs. ``rows`` maps a side to the indices of its pictures, in order of name.

    labels: the class of each picture by name; "" for those outside any class folder, which no side holds.
    """

    classes: tuple[str, ...]
    labels: tuple[str, ...]
    rows: dict[str, list[int]]

    def tables(self, ids: Sequence[str], pictures: Pictures) -> dict[str, Table]:
        """One table a side of the pictures whose paths the layout was made from."""
        index = {name: number for number, name in enumerate(self.classes)}
        return {
            side: Table(
                tuple(ids[row] for row in rows),
                np.array([index[self.labels[row]] for row in rows], dtype=np.int64),
                take(pictures, rows),
            )
            for side, rows in self.rows.items()
        }


def is_hidden(path: str) -> bool:
    """Whether any part of a path is the system's own: .DS_Store, ._1.jpg, __MACOSX, @eaDir."""
    return any(part.startswith((".", "@")) or part == "__MACOSX" for part in path.split("/"))


def is_picture(name: str) -> bool:
    """Whether a file counts as a picture, by its suffix alone."""
    return PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES


def arrange(paths: Sequence[str], folders: Iterable[str], where: Path) -> Layout:
    """Read classes and sides off the paths of pictures, relative and with slashes.

    ``folders`` are the paths of all folders, so that an empty class is known by name. Raises UserError,
    naming ``where``, if there is no picture or none lies in a class folder.
    """
    if not paths:
        raise UserError(
            "there are no pictures in it",
            where=where,
            remedy="give a folder that has one sub-folder of pictures for each class",
        )
    files = [path.split("/") for path in paths]
    inner = [folder.split("/") for folder in folders]
    depth = _common_depth(files, inner)
    files = [parts[depth:] for parts in files]
    inner = [parts[depth:] for parts in inner if len(parts) > depth]

    level = 1 if _has_sides(files) else 0  # at which the class folders stand
    labels = tuple(parts[level] if len(parts) > level + 1 else "" for parts in files)
    rows: dict[str, list[int]] = {}
    for row in sorted(range(len(paths)), key=paths.__getitem__):
        if labels[row]:
            side = (side_name(files[row][0]) or files[row][0]) if level else ALL
            rows.setdefault(side, []).append(row)
    found = set(filter(None, labels))
    if not found or all(side_name(name) for name in found):
        raise UserError(
            "its pictures lie in no class folder",
            where=where,
            remedy="make a sub-folder for each class, or write a table of path,label and give that",
        )
    sides = {files[rows[side][0]][0] for side in rows} if level else set()
    empty = {parts[level] for parts in inner if len(parts) == level + 1 and (not level or parts[0] in sides)}
    return Layout(tuple(sorted(found | empty)), labels, rows)


def _common_depth(files: list[list[str]], folders: list[list[str]]) -> int:
    """How many folders stand above everything else: to be looked through, unless they are a side."""
    depth = 0
    while (
        all(len(parts) > depth + 2 for parts in files)
        and len({parts[depth] for parts in files + folders if len(parts) > depth}) == 1
        and side_name(files[0][depth]) is None
    ):
        depth += 1
    return depth


def _has_sides(files: list[list[str]]) -> bool:
    """Whether a top folder is a side: named like one, with pictures in sub-folders and none beside them.

    (A class may be called "train", too: its pictures lie in it directly.)
    """
    direct = {parts[0] for parts in files if len(parts) == 2}
    nested = {parts[0] for parts in files if len(parts) > 2}
    return any(side_name(name) for name in nested - direct)


def left_out(others: Counter[str], layout: Layout, paths: Sequence[str]) -> tuple[str, ...]:
    """Sentences on the files that are in no table: ``others`` counts files that are no pictures by suffix."""
    notes = []
    if others:
        kinds = ", ".join(
            f"{count:,} {suffix or 'without suffix'}" for suffix, count in others.most_common(5)
        )
        notes.append(f"Files that are not pictures were left out: {others.total():,} ({kinds}).")
    loose = sorted(path for path, label in zip(paths, layout.labels, strict=True) if not label)
    if loose:
        examples = ", ".join(loose[:3]) + (", …" if len(loose) > 3 else "")
        notes.append(f"Pictures outside any class folder were left out: {len(loose):,} ({examples}).")
    return tuple(notes)
