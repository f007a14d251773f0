"""Artefacts and checkpoints whose bytes are spoilt: what they hold, or a sentence."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

from judging import judged
from mutation import EXAMPLES, mutated

from simplecell.artefact import read_header, read_tensors, restore, serialise, state_of
from simplecell.errors import UserError
from simplecell.learn import checkpoints
from simplecell.learn.checkpoints import Checkpoint


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))


ABOUT = {
    "format": 1,
    "kind": "model",
    "task": "classify",
    "settings": {"net": "small", "training": {"epochs": 2.0}},
    "meaning": {"classes": ["a", "b"], "mean": [0.5]},
    "figures": [{"name": "accuracy", "value": 0.5, "low": 0.25, "high": 0.75}],
}
MODEL = serialise(state_of(small_net()), ABOUT)
SIGNS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b",",
    b"\\",
    b"null",
    b"-1",
    b"1e999",
    b"9" * 5000,
    b"F64",
    b"BF16",
    b"F8_E4M3",
]
SIGNS += [
    b'"data_offsets"',
    b'"shape"',
    b'"dtype"',
    b'"__metadata__"',
    b'\\"format\\":1',
    b"\\u0000",
    b"[" * 3000,
    b"\xff",
]


def read(path: Path) -> None:
    """As ``predict`` opens a file: its header, its tensors, and these put into a net."""
    header = read_header(path)
    assert isinstance(header.meaning, dict)
    assert isinstance(header.settings, dict)
    assert isinstance(header.task, str)
    restore(small_net(), read_tensors(path), path)


def spoilt(header: bytes, tensors: bytes) -> bytes:
    """A file whose first number is the length of this header, so that what is in it is read."""
    return struct.pack("<Q", len(header)) + header + tensors


LENGTH = 8 + struct.unpack("<Q", MODEL[:8])[0]
HEADER, TENSORS = MODEL[8:LENGTH], MODEL[LENGTH:]


@settings(max_examples=EXAMPLES)
@given(content=mutated([MODEL], SIGNS))
def test_a_spoilt_artefact_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "model.safetensors"
    path.write_bytes(content)
    judged(lambda: read(path), path.name)
    judged(lambda: read_tensors(path), path.name)


@settings(max_examples=2 * EXAMPLES)
@given(header=mutated([HEADER], SIGNS, most=3))
def test_an_artefact_with_a_spoilt_header_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, header: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "header.safetensors"
    path.write_bytes(spoilt(header, TENSORS))
    judged(lambda: read(path), path.name)
    judged(lambda: read_tensors(path), path.name)


INNER = json.dumps(ABOUT).encode()


@settings(max_examples=2 * EXAMPLES)
@given(about=mutated([INNER], [sign.replace(b"\\", b"") for sign in SIGNS], most=3))
def test_an_artefact_that_tells_nonsense_of_itself_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, about: bytes
) -> None:
    table = json.loads(HEADER)
    table["__metadata__"]["simplecell"] = about.decode("utf-8", errors="replace")
    path = tmp_path_factory.getbasetemp() / "about.safetensors"
    path.write_bytes(spoilt(json.dumps(table).encode(), TENSORS))
    judged(lambda: read(path), path.name)


CHECKPOINT_ABOUT = {"format": 1, "kind": "checkpoint", "stage": 0, "step": 3, "notes": {}, "groups": ["net"]}


@settings(max_examples=EXAMPLES)
@given(
    about=mutated([json.dumps(CHECKPOINT_ABOUT).encode()], [b"null", b"{", b"}", b"[", b'"', b"-1"], most=3)
)
def test_a_spoilt_checkpoint_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, about: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "last.safetensors"
    table = {
        "__metadata__": {"simplecell": about.decode("utf-8", errors="replace")},
        "net:weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    path.write_bytes(spoilt(json.dumps(table).encode(), bytes(4)))
    found = judged(lambda: checkpoints.load(path), path.name)
    if isinstance(found, Checkpoint):
        assert isinstance(found.step, int)
        assert found.groups["net"]["weight"].shape == (1,)


# ---- lies, one by one


def tensors(**entries: Mapping[str, Any]) -> bytes:
    return spoilt(
        json.dumps({"__metadata__": {"simplecell": json.dumps(ABOUT)}, **entries}).encode(), bytes(64)
    )


def entry(
    start: int = 0, end: int = 64, shape: tuple[int, ...] = (16,), dtype: str = "F32"
) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


TWICE = tensors(a=entry())[8:-64].replace(b'"a":', b'"a": {"dtype": "F32"}, "a":')
LIES = {
    "two tensors in one place": tensors(a=entry(0, 64), b=entry(0, 64)),
    "tensors that overlap": tensors(a=entry(0, 40, (10,)), b=entry(32, 64, (8,))),
    "an end beyond the file": tensors(a=entry(0, 128, (32,))),
    "an end of 2**64": tensors(a=entry(0, 2**64 - 1)),
    "a place below nothing": tensors(a=entry(-64, 0)),
    "an end before the beginning": tensors(a=entry(64, 0)),
    "a hole": tensors(a=entry(0, 32, (8,)), b=entry(40, 64, (6,))),
    "a shape of other bytes": tensors(a=entry(shape=(15,))),
    "a shape whose product wraps around": tensors(a=entry(shape=(2**32, 2**32, 16))),
    "a side below nothing": tensors(a=entry(shape=(-4, -4))),
    "another type": tensors(a=entry(dtype="F64")),
    "a type that is none": tensors(a=entry(dtype="F33")),
    "a type that is a number": tensors(a={**entry(), "dtype": 3}),
    "no place": tensors(a={"dtype": "F32", "shape": [16]}),
    "a name twice": spoilt(TWICE, bytes(64)),
    "deep nesting": spoilt(b'{"__metadata__":' + b'{"a":' * 100_000 + b"}" * 100_001, b""),
    "lists without end": spoilt(b'{"__metadata__":[' + b"[]," * 6_000_000 + b"[]]}", b""),
    "a header of 99 MB": spoilt(b'{"__metadata__":{"simplecell":"' + b" " * 99_000_000 + b'"}}', b""),
    "metadata that are a number": spoilt(b'{"__metadata__":{"simplecell":1}}', b""),
    "metadata nested deep": spoilt(json.dumps({"__metadata__": {"simplecell": "[" * 100_000}}).encode(), b""),
    "a task that is a number": serialise({}, {**ABOUT, "task": 3}),
    "settings that are a list": serialise({}, {**ABOUT, "settings": []}),
    "a meaning that is null": serialise({}, {**ABOUT, "meaning": None}),
    "figures that are numbers": serialise({}, {**ABOUT, "figures": [3]}),
    "a figure without a number": serialise({}, {**ABOUT, "figures": [{"name": "accuracy"}]}),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_artefact_that_lies_gets_its_sentence(tmp_path: Path, lie: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(LIES[lie])
    error = judged(lambda: read(path), path.name)
    print(error)
    assert isinstance(error, UserError)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "x" / "y"):
        for work in (read_header, read_tensors):
            assert isinstance(judged(lambda work=work, path=path: work(path), path.name), UserError)
