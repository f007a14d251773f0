"""Files of weights that others saved, spoilt: tensors or a sentence, and no code in them is run."""

from __future__ import annotations

import io
import os
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings

sys.path.insert(0, str(Path(__file__).parent))

from judging import judged
from mutation import EXAMPLES, mutated

from simplecell.errors import UserError
from simplecell.learn.pretrained import read_tensors


def saved(value: object, **how: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **how)
    return file.getvalue()


STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2, dtype=torch.float16)}
FILES = [
    saved(STATE),
    saved({"state_dict": {f"module.{name}": tensor for name, tensor in STATE.items()}, "epoch": 3}),
    saved(STATE, _use_new_zipfile_serialization=False),
]
SIGNS = [
    b"PK\1\2",
    b"PK\5\6",
    b"data.pkl",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"cos\nsystem\n",
    b"\x80\2",
    b"R",
    b".",
]
SIGNS += [
    b"FloatStorage",
    b"\x8a\x0a" + b"\xff" * 10,
    b"J\xff\xff\xff\x7f",
    b"(",
    b"t",
    b"q\0",
    b"h\0",
    b"X\xff\xff\xff\x7f",
]


def with_right_sums(content: bytes) -> bytes:
    """The first archive with this for a pickle, its checksum right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(FILES[0])) as whole, zipfile.ZipFile(out, "w") as made:
        for info in whole.infolist():
            made.writestr(info.filename, content if info.filename.endswith("data.pkl") else whole.read(info))
    return out.getvalue()


def pickle_within() -> bytes:
    with zipfile.ZipFile(io.BytesIO(FILES[0])) as whole:
        return next(whole.read(name) for name in whole.namelist() if name.endswith("data.pkl"))


def read(path: Path, content: bytes) -> object:
    path.write_bytes(content)
    return judged(lambda: read_tensors(path), path.name)


@settings(max_examples=EXAMPLES)
@given(content=mutated(FILES, SIGNS))
def test_spoilt_weights_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    read(tmp_path_factory.getbasetemp() / "weights.pth", content)


@settings(max_examples=2 * EXAMPLES)
@given(content=mutated([pickle_within()], SIGNS, most=3))
def test_weights_with_a_spoilt_pickle_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    found = read(tmp_path_factory.getbasetemp() / "pickled.pth", with_right_sums(content))
    if not isinstance(found, UserError):
        assert all(isinstance(tensor, torch.Tensor) for tensor in found.values())  # type: ignore[attr-defined]


class Intruder:
    """Pickled, it makes whoever reads it write a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("packed", [False, True])
def test_code_in_weights_is_not_run(tmp_path: Path, packed: bool) -> None:
    content = pickle.dumps({"weight": Intruder(tmp_path / "intruder")}, protocol=2)
    error = read(tmp_path / "weights.pth", with_right_sums(content) if packed else content)
    assert isinstance(error, UserError)
    assert not (tmp_path / "intruder").exists()


@pytest.mark.parametrize(
    "value", [3, [1], {"a": 1}, {1: torch.zeros(1)}, {"state_dict": {2: torch.zeros(1)}}]
)
def test_what_is_no_state_dict_is_told(tmp_path: Path, value: object) -> None:
    assert "no state dict" in str(read(tmp_path / "weights.pth", saved(value)))
