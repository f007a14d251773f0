"""What an exported file says of itself, as the metadata of its ONNX model. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from simplecell.errors import UserError, unreadable
from simplecell.predictions import ANSWERS

FORMAT = "1"
_REMEDY = "export one with `simplecell export RUN --to onnx -o FILE`"
#: Names of the input, uint8 N, H, W, 3, and of what lies between the two halves, uint8 N, C, h, w.
PICTURE, FITTED = "picture", "fitted"


@dataclass(frozen=True)
class Description:
    """The metadata of a file.

    task: its name. fingerprint: sha256, hex, of the weights that were exported, as they lay in their file.
    geometry: the fields of ``simplecell.data.geometry.Geometry``: how the file fits pictures.
    answer: the kind of prediction, a key of ``simplecell.predictions.ANSWERS``.
    about: JSON values that the prediction needs, such as "classes".
    int8: whether the weights were quantised.
    """

    task: str
    fingerprint: str
    geometry: Mapping[str, Any]
    answer: str
    about: Mapping[str, Any] = field(default_factory=dict)
    int8: bool = False

    @property
    def input(self) -> dict[str, Any]:
        """What the file takes, in words that need no knowledge of simplecell."""
        return {
            "name": PICTURE,
            "type": "uint8",
            "layout": "N, H, W, C",
            "colour": "RGB",
            "size": "any; all pictures of a batch have one",
            "fit": dict(self.geometry),
        }

    def to_metadata(self) -> dict[str, str]:
        """Keys and texts as ONNX keeps them: task, fingerprint, input, answer, int8, format, and ``about``
        by its own keys; all but the first two as JSON."""
        values = {"input": self.input, "answer": self.answer, "int8": self.int8, **self.about}
        written = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
        return {"task": self.task, "fingerprint": self.fingerprint, "format": FORMAT, **written}

    @classmethod
    def from_metadata(cls, given: Mapping[str, str], where: str) -> Description:
        """The inverse. Raises UserError for a file that simplecell did not export."""
        try:
            if given["format"] != FORMAT:
                raise UserError(
                    f"this is not of format {FORMAT}",
                    where=where,
                    remedy="use the version of simplecell that exported it",
                )
            values = {
                k: json.loads(v) for k, v in given.items() if k not in ("task", "fingerprint", "format")
            }
            geometry = dict(values.pop("input")["fit"])
            answer, int8 = str(values.pop("answer")), bool(values.pop("int8"))
            found = cls(given["task"], given["fingerprint"], geometry, answer, values, int8)
        except (KeyError, ValueError, TypeError, RecursionError):
            raise UserError(
                "this is not a net that simplecell exported", where=where, remedy=_REMEDY
            ) from None
        if answer not in ANSWERS or not ANSWERS[answer].suits(values):
            raise UserError(
                "its answers are unknown to this version",
                where=where,
                remedy="use the version of simplecell that exported it",
            )
        return found


def read_description(path: Path) -> Description:
    """What the file at ``path`` says of itself; its graph and weights are passed over, not read."""
    try:
        with path.open("rb") as file:
            entries = [dict(_fields(entry)) for entry in _metadata(file, path.stat().st_size)]
        given = {entry[_KEY].decode(): entry.get(_VALUE, b"").decode() for entry in entries}
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, KeyError):
        raise UserError("this is not a whole ONNX file", where=path, remedy=_REMEDY) from None
    return Description.from_metadata(given, str(path))


# ---- as much of Protocol Buffers as that needs

#: Numbers of fields: ModelProto.metadata_props, and key and value of its entries (onnx.proto).
_METADATA, _KEY, _VALUE = 14, 1, 2
_MOST_METADATA = 10_000_000  # bytes of an entry; more is no metadata
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types


def _metadata(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The entries of the metadata of the model that a file is. Raises ValueError where it is none."""
    while (at := file.tell()) < size:
        number, kind = divmod(_varint(file), 8)
        length = {_EIGHT: 8, _FOUR: 4}.get(kind)
        if kind == _VARINT:
            _varint(file)
            continue
        if length is None:
            if kind != _BYTES:
                raise ValueError(f"wire type {kind} at byte {at}")
            length = _varint(file)
        if length > size - file.tell():
            raise ValueError(f"a field at byte {at} ends behind the file")
        if (number, kind) == (_METADATA, _BYTES) and length <= _MOST_METADATA:
            yield file.read(length)
        else:
            file.seek(length, 1)


def _fields(entry: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of the fields of a message that has texts only."""
    file = BytesIO(entry)
    while file.tell() < len(entry):
        number, kind = divmod(_varint(file), 8)
        if kind != _BYTES:
            raise ValueError("not a text")
        yield number, file.read(_varint(file))


def _varint(file: BinaryIO) -> int:
    value = 0
    for place in range(10):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:
            return value
    raise ValueError("a number does not end")
