"""Sides written down as a table, so that they can be kept, read, corrected and trained on again."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simplecell.data.pictures import FilePictures, Pictures, TakenPictures
from simplecell.data.sources import Source, Table
from simplecell.data.splits import divide
from simplecell.data.splits import folds as folds_of
from simplecell.errors import UserError


def split_tables(
    source: Source, *, validation: float, test: float, group: str, test_last: int, folds: int
) -> tuple[list[dict[str, Table]], dict[str, Any]]:
    """The sides of a source: one division, or with ``folds`` that many, and the facts ``divide`` gives.

    With folds, what is neither tested on nor on a further side validates in exactly one of them, and
    ``validation`` counts for nothing. Raises UserError as ``divide`` and ``folds`` do, and for data that
    bring a validation side of their own to be folded.
    """
    if not folds:
        tables, facts = divide(source, validation=validation, test=test, group=group, test_last=test_last)
        return [tables], facts
    if "validation" in source.tables:
        raise UserError("the data bring their own validation side", where="--folds", remedy="leave it out")
    tables, facts = divide(source, validation=0.0, test=test, group=group, test_last=test_last)
    pairs = folds_of(tables["train"], folds, group)
    return [{**tables, "train": train, "validation": held_out} for train, held_out in pairs], facts


def table_text(tables: Mapping[str, Table], source: Source, folder: Path) -> str:
    """The table as CSV: path (relative to ``folder``, where the table will lie), label, split, other columns.

    Reading it gives the same pictures, labels and sides. Raises UserError where the pictures are not files
    of their own, and for names that a table cannot hold.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = sorted({name for table in tables.values() for name in table.columns})
    writer.writerow(["path", "label", "split", *columns])
    for side, table in tables.items():
        for row, file in enumerate(_files(table.pictures, source)):
            path = Path(os.path.relpath(file, os.path.realpath(folder))).as_posix()
            label = source.classes[int(table.labels[row])]
            for value in (path, label):
                if value != value.strip() or "\\" in value or "\0" in value:
                    raise UserError(
                        "a table cannot hold this name", where=repr(value), remedy="rename the file or class"
                    )
            writer.writerow([path, label, side, *(table.columns[name][row] for name in columns)])
    return text.getvalue()


def _files(pictures: Pictures, source: Source) -> list[str]:
    """The files of the pictures, in order, by paths without links; UserError where they have none."""
    rows = np.arange(len(pictures))
    while isinstance(pictures, TakenPictures):
        rows, pictures = pictures.indices[rows], pictures.whole
    if isinstance(pictures, FilePictures):
        base = os.path.realpath(pictures.folder)
        return [os.path.join(base, pictures.names[row]) for row in rows.tolist()]
    raise UserError(
        f"a table names files, and the pictures of this {source.format} are none",
        where=source.path,
        remedy="write its pictures into class folders first, or let `train` divide it",
    )
