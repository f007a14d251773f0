"""A graph as TensorBoard's events, for its Graphs tab; needs neither TensorFlow nor TensorBoard.

An event file is a row of records (tensorflow/core/lib/io/record_writer.h), each of which is a message in the
wire format of protocol buffers (event.proto, graph.proto, node_def.proto, attr_value.proto of TensorFlow).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from simplecell.foundations.graph.graph import Graph
from simplecell.foundations.graph.shapes import TensorShape
from simplecell.foundations.graph.tensor import Operation

_VARINT, _DOUBLE, _BYTES = 0, 1, 2  # how a field is written


class FileWriter:
    """Writes events below a folder, which TensorBoard shows: ``tensorboard --logdir FOLDER``.

    logdir: the folder, made if it is not there. graph: written at once, when given.
    """

    def __init__(self, logdir: str | os.PathLike[str], graph: Graph | None = None) -> None:
        self._folder = Path(logdir)
        now = time.time()
        self._path = (
            self._folder / f"events.out.tfevents.{now:.0f}.{socket.gethostname()}.{os.getpid()}.{id(self)}"
        )
        self._events = [_field(1, now) + _field(3, b"brain.Event:2")]
        if graph is not None:
            self.add_graph(graph)

    def add_graph(self, graph: Graph, global_step: int = 0) -> None:
        """Add an event with the graph as it is now."""
        event = _field(1, time.time()) + _field(2, global_step) + _field(4, graph_def(graph))
        self._events.append(event)
        self.flush()

    def flush(self) -> None:
        """Write the file anew, whole: a reader never sees a part of it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}")
        beside.write_bytes(b"".join(map(record, self._events)))
        os.replace(beside, self._path)

    def close(self) -> None:
        """Write what there is."""
        self.flush()

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def graph_def(graph: Graph) -> bytes:
    """The graph as a message GraphDef."""
    nodes = b"".join(_field(1, _node(op)) for op in graph.get_operations())
    return nodes + _field(4, _field(1, 27))  # a version that has all that is used here


def _node(op: Operation) -> bytes:
    """NodeDef: name 1, op 2, input 3 (with ^ before what is only waited for), attr 5."""
    inputs = [each.op.name for each in op.inputs] + [f"^{each.name}" for each in op.control_inputs]
    inputs[:0] = [each.name for each in op.writes]
    message = _field(1, op.name.encode()) + _field(2, op.type.encode())
    message += b"".join(_field(3, each.encode()) for each in inputs)
    for key, value in _attributes(op):
        message += _field(5, _field(1, key.encode()) + _field(2, value))
    return message


def _attributes(op: Operation) -> Iterator[tuple[str, bytes]]:
    """AttrValue: s 2, i 3, type 6, shape 7, list 1 (with its own shape 7)."""
    if op.output is not None:
        yield "dtype", _field(6, op.output.dtype.code)
        yield "_output_shapes", _field(1, _field(7, _shape(op.output.shape)))
    for key, value in sorted(op.attributes.items()):
        if key not in ("dtype", "shape", "value"):
            yield key, _field(2, str(value).encode())


def _shape(shape: TensorShape) -> bytes:
    """TensorShapeProto: dim 2 (with size 1, -1 for unknown), unknown_rank 3."""
    if shape.dims is None:
        return _field(3, 1)
    return b"".join(_field(2, _field(1, -1 if each is None else each)) for each in shape.dims)


def _field(number: int, value: int | float | bytes) -> bytes:
    """A field: its number and way of writing as one varint, then the value."""
    if isinstance(value, bytes):
        return _varint(number << 3 | _BYTES) + _varint(len(value)) + value
    if isinstance(value, float):
        return _varint(number << 3 | _DOUBLE) + struct.pack("<d", value)
    return _varint(number << 3 | _VARINT) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


# -- records -------------------------------------------------------------------------------------------------


def record(data: bytes) -> bytes:
    """Length, its checksum, the data, their checksum."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def masked(data: bytes) -> int:
    """The checksum, turned and moved, so that checksums of checksums stay good."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFF_FFFF


def crc32c(data: bytes) -> int:
    """The cyclic redundancy check with Castagnoli's polynomial (RFC 3720, appendix B.4)."""
    value = 0xFFFF_FFFF
    for each in data:
        value = value >> 8 ^ _TABLE[(value ^ each) & 0xFF]
    return value ^ 0xFFFF_FFFF


def _remainder(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = [_remainder(value) for value in range(256)]
