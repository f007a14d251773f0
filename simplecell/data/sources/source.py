"""What a data set is once it has been found: classes, and one table of pictures a side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simplecell.data import pictures as collections
from simplecell.data.pictures import Pictures
from simplecell.errors import UserError

#: The name of the only side of data that have none.
ALL = "all"

#: A file that tells of more pictures than this on one side lies: their names alone would fill the memory.
MOST_PICTURES = 10_000_000

_SIDES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def side_name(name: str) -> str | None:
    """Which of "train", "validation" and "test" a folder, file or word stands for, if any."""
    return _SIDES.get(name.strip().lower())


@dataclass(frozen=True, eq=False)
class Table:
    """Pictures of one side in a fixed order; row i of every field is one example.

    ids: stable and unique within the source; the path relative to it where pictures are files.
    labels: int64, N, indices into the classes of the source.
    columns: what else a table says about each picture, by column name.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    pictures: Pictures
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.labels), len(self.pictures), *map(len, self.columns.values())}
        if len(lengths) > 1:
            raise ValueError(f"the fields of a table differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: NDArray[np.int64] | Sequence[int]) -> Table:
        """The rows at ``indices``, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        rows = chosen.tolist()
        return Table(
            tuple(self.ids[row] for row in rows),
            self.labels[chosen],
            collections.take(self.pictures, chosen),
            {name: tuple(values[row] for row in rows) for name, values in self.columns.items()},
        )


@dataclass(frozen=True, eq=False)
class Source:
    """A data set as it lies on disk; no picture has been opened yet.

    format: one of the names that ``read_source`` takes.
    classes: names; a class may have no picture on some side, or none at all (see ``check_trainable``).
    tables: by side, "train", "validation", "test" and any other; only "all" where data have no sides.
    notes: sentences on what was left out while reading (files that are not pictures, for example).
    """

    path: Path
    format: str
    classes: tuple[str, ...]
    tables: Mapping[str, Table]
    notes: tuple[str, ...] = ()


def ordered(labels: Iterable[str]) -> tuple[str, ...]:
    """The distinct labels as class names: whole numbers by their value, anything else by name."""
    names = set(labels)
    if all(name.isascii() and name.isdecimal() for name in names):
        return tuple(sorted(names, key=_by_value))
    return tuple(sorted(names))


def _by_value(digits: str) -> tuple[int, str, str]:
    """A sort key for whole numbers of any length; ``int`` refuses more than 4,300 digits."""
    plain = digits.lstrip("0")
    return len(plain), plain, digits


def check_trainable(source: Source) -> None:
    """Raise UserError unless a classifier can be trained: two classes, each with training pictures."""
    side = "train" if "train" in source.tables else ALL
    if side not in source.tables:
        raise UserError(
            f"the data have no training side, only {', '.join(source.tables)}",
            where=source.path,
            remedy="add a folder (or a value of the split column) named train",
        )
    if len(source.classes) < 2:
        raise UserError(
            f"the data have one class only, {source.classes[0]!r}",
            where=source.path,
            remedy="add pictures of a second class: telling apart takes two",
        )
    everywhere = {name: _counts(table, len(source.classes)) for name, table in source.tables.items()}
    for index, name in enumerate(source.classes):
        if everywhere[side][index]:
            continue
        elsewhere = [other for other, counts in everywhere.items() if counts[index]]
        if elsewhere:
            raise UserError(
                f"class {name!r} has pictures in {' and '.join(elsewhere)} but none to train on",
                where=source.path,
                remedy="add training pictures or remove the class",
            )
        raise UserError(
            f"class {name!r} has no pictures",
            where=source.path,
            remedy="add pictures or remove its folder",
        )


def _counts(table: Table, classes: int) -> NDArray[np.int64]:
    return np.bincount(table.labels, minlength=classes).astype(np.int64)
