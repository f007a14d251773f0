"""CIFAR-10 and CIFAR-100 in their binary version.

A record (Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009, and its web page): one
label byte (CIFAR-100: coarse, then fine), then 3072 bytes, red, green and blue planes of 32 x 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simplecell.data.pictures import ArrayPictures, unreadable
from simplecell.data.sources.source import Source, Table
from simplecell.errors import UserError

_PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class _Version:
    label_bytes: int
    names: str
    classes: int
    test: str


_TEN = _Version(1, "batches.meta.txt", 10, "test_batch.bin")
_HUNDRED = _Version(2, "fine_label_names.txt", 100, "test.bin")


def recognises(folder: Path) -> bool:
    """Whether the folder holds CIFAR's batches (or their pickled version, to be refused by name)."""
    return any((folder / name).is_file() for name in ("data_batch_1.bin", "data_batch_1")) or (
        (folder / "train.bin").is_file() and (folder / _HUNDRED.names).is_file()
    )


def read(path: Path) -> Source:
    """Read all batches into memory: pictures uint8, N, 32, 32, 3; fine labels of CIFAR-100."""
    if (path / "train.bin").is_file():
        version, batches = _HUNDRED, [path / "train.bin"]
    else:
        version, batches = _TEN, _numbered_batches(path)
    classes = _class_names(path / version.names, version.classes)
    tables = {"train": _table(batches, version, len(classes), "train")}
    if (path / version.test).is_file():
        tables["test"] = _table([path / version.test], version, len(classes), "test")
    return Source(path, "cifar", classes, tables)


def _numbered_batches(path: Path) -> list[Path]:
    """data_batch_1.bin and so on; the numbers have no hole."""
    batches = sorted(path.glob("data_batch_?.bin"))
    if not batches:
        if (path / "data_batch_1").is_file():
            raise UserError(
                "this is CIFAR's Python version, which is pickled and may run code when opened",
                where=path,
                remedy="fetch the binary version (cifar-10-binary.tar.gz)",
            )
        raise UserError(
            "there are no CIFAR batches in it", where=path, remedy="give the folder of data_batch_1.bin"
        )
    for number, batch in enumerate(batches, 1):
        if batch.name != f"data_batch_{number}.bin":
            raise UserError(f"data_batch_{number}.bin is absent", where=path, remedy="fetch the data again")
    return batches


def _class_names(path: Path, count: int) -> tuple[str, ...]:
    """The names, one a line; numbers where the file is absent."""
    if not path.is_file():
        return tuple(str(number) for number in range(count))
    names = tuple(path.read_text("utf-8", errors="replace").split())
    if len(set(names)) != len(names) or not names:
        raise UserError(
            "the class names are not one a line, each once", where=path, remedy="fetch the data again"
        )
    return names


def _table(batches: list[Path], version: _Version, classes: int, side: str) -> Table:
    records = np.concatenate(
        [_records(batch, version.label_bytes + _PIXELS, classes, version) for batch in batches]
    )
    planes = records[:, version.label_bytes :].reshape(-1, 3, 32, 32)
    return Table(
        tuple(f"{side}/{number:05d}" for number in range(len(records))),
        records[:, version.label_bytes - 1].astype(np.int64),
        ArrayPictures(np.ascontiguousarray(planes.transpose(0, 2, 3, 1))),
    )


def _records(path: Path, size: int, classes: int, version: _Version) -> NDArray[np.uint8]:
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) == 0 or len(content) % size:
        raise UserError(
            f"its {len(content):,} bytes are no whole number of records of {size:,}",
            where=path,
            remedy="fetch the data again",
        )
    records = content.reshape(-1, size)
    highest = int(records[:, version.label_bytes - 1].max())
    if highest >= classes:
        raise UserError(
            f"there is a label {highest} though there are {classes} classes",
            where=path,
            remedy="fetch the data again",
        )
    return records
