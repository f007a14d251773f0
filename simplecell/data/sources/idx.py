"""MNIST's idx files, plain or gzipped: a folder with a pair of images and labels for train and t10k.

The format (LeCun, Cortes, Burges: The MNIST database): two zero bytes, a type (8 is unsigned byte), the
number of dimensions, each dimension as 32 bits big-endian, then the data.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from simplecell.data.pictures import ArrayPictures, unreadable
from simplecell.data.sources.source import MOST_PICTURES, Source, Table
from simplecell.errors import UserError

_SIDES = {"train": "train", "t10k": "test"}
# Deflate cannot compress by more than this (zlib's documentation): a header that claims more lies.
_MOST_DEFLATED = 1032
#: Nor may it unpack to more bytes than this: the largest set of its kind, EMNIST, has 547 million.
MAX_UNPACKED = 2**30
_REMEDY = "fetch it again from its source"


def recognises(folder: Path) -> bool:
    """Whether the folder holds at least one of MNIST's four files."""
    return any(_find(folder, side, kind) for side in _SIDES for kind in ("images", "labels"))


def read(path: Path) -> Source:
    """Read the pairs into memory: pictures uint8, N, H, W, 1; classes are the labels that occur, in order."""
    arrays: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
    for prefix, side in _SIDES.items():
        images_file, labels_file = _find(path, prefix, "images"), _find(path, prefix, "labels")
        if images_file is None and labels_file is None:
            continue
        if images_file is None or labels_file is None:
            there, absent = ("labels", "images") if images_file is None else ("images", "labels")
            raise UserError(
                f"there are {prefix}-{there} but no {prefix}-{absent}",
                where=path,
                remedy="add the other file",
            )
        images, labels = read_array(images_file, 3), read_array(labels_file, 1)
        if len(images) != len(labels):
            raise UserError(
                f"there are {len(labels):,} labels for the {len(images):,} pictures of {images_file.name}",
                where=labels_file,
                remedy="fetch both again from one source",
            )
        arrays[side] = images, labels
    if not arrays:
        raise UserError(
            "there are no idx files in it", where=path, remedy="give the folder of train-images-idx3-ubyte"
        )
    values = np.unique(np.concatenate([labels for _, labels in arrays.values()]))
    tables = {
        side: Table(
            tuple(f"{side}/{number:05d}" for number in range(len(labels))),
            np.searchsorted(values, labels).astype(np.int64),
            ArrayPictures(images[..., None]),
        )
        for side, (images, labels) in arrays.items()
    }
    return Source(path, "idx", tuple(str(value) for value in values), tables)


def read_array(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """One idx file of unsigned bytes; UserError if header and length disagree. Nothing beyond is read."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return _read_open(file, path, dimensions)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError("the compressed file is cut short or damaged", where=path, remedy=_REMEDY) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _read_open(file: BinaryIO | gzip.GzipFile, path: Path, dimensions: int) -> NDArray[np.uint8]:
    header = file.read(4 + 4 * dimensions)
    if len(header) < 4 + 4 * dimensions or header[:4] != bytes([0, 0, 8, dimensions]):
        raise UserError(
            f"it does not begin like an idx file of unsigned bytes in {dimensions} dimension(s)",
            where=path,
            remedy=_REMEDY,
        )
    shape = struct.unpack(f">{dimensions}I", header[4:])
    count = math.prod(shape)
    if count == 0:
        raise UserError("it is an idx file without data", where=path, remedy=_REMEDY)
    possible = path.stat().st_size * (_MOST_DEFLATED if path.suffix == ".gz" else 1)
    if count > possible:
        raise UserError(
            f"its header tells of {count:,} bytes, more than the file can hold", where=path, remedy=_REMEDY
        )
    if path.suffix == ".gz" and count > MAX_UNPACKED:
        raise UserError(
            f"it unpacks to {count:,} bytes, more than {MAX_UNPACKED / 2**30:.3g} GiB",
            where=path,
            remedy="unpack it yourself if you trust it",
        )
    if shape[0] > MOST_PICTURES:
        raise UserError(
            f"its header tells of {shape[0]:,} pictures, more than {MOST_PICTURES:,}",
            where=path,
            remedy=_REMEDY,
        )
    array = np.empty(count, dtype=np.uint8)
    view = array.data
    filled = 0
    while filled < count:
        got = file.readinto(view[filled:])  # type: ignore[union-attr]
        if not got:
            raise UserError(f"it ends after {filled:,} of {count:,} bytes", where=path, remedy=_REMEDY)
        filled += got
    if file.read(1):
        raise UserError(f"it goes on after the {count:,} bytes of its header", where=path, remedy=_REMEDY)
    return array.reshape(shape)


def _find(folder: Path, prefix: str, kind: str) -> Path | None:
    """The file of images or labels, under the names it goes by; the plain one where both are there."""
    dimensions = {"images": 3, "labels": 1}[kind]
    for suffix in ("", ".gz"):
        for mark in "-.":
            path = folder / f"{prefix}-{kind}{mark}idx{dimensions}-ubyte{suffix}"
            if path.is_file():
                return path
    return None
