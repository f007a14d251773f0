"""Checkpoints: all comes back, the one before outlives a failure, and what is none is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from simplecell import artefact
from simplecell.artefact import Header
from simplecell.errors import UserError
from simplecell.learn import checkpoints
from simplecell.learn.checkpoints import Checkpoint


def full() -> Checkpoint:
    groups = {
        "net": {"0.weight": torch.rand(2, 3), "count": torch.tensor(7), "rows": torch.empty(0, 4)},
        "update net": {"0.weight/exp_avg": torch.rand(2, 3), "0.weight/step": torch.tensor(3.0)},
        "ema": {"0.weight": torch.rand(2, 3).double()},
        "empty": {},
    }
    notes = {"journal": 123, "averages": {"sums": {"net/loss": 0.1}, "weights": {}}, "best_figure": None}
    return Checkpoint(1, 42, notes, dict(groups))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "last.safetensors"


def test_everything_comes_back_bitwise(path: Path) -> None:
    saved = full()
    checkpoints.save(path, saved)
    loaded = checkpoints.load(path)
    assert (loaded.stage, loaded.step, loaded.notes) == (saved.stage, saved.step, saved.notes)
    assert loaded.groups.keys() == saved.groups.keys()
    for group, tensors in saved.groups.items():
        assert loaded.groups[group].keys() == tensors.keys()
        for name, tensor in tensors.items():
            back = loaded.groups[group][name]
            assert back.dtype == tensor.dtype
            assert torch.equal(back, tensor)


def test_equal_checkpoints_have_equal_bytes(path: Path) -> None:
    saved = full()
    checkpoints.save(path, saved)
    first = path.read_bytes()
    checkpoints.save(path, checkpoints.load(path))
    assert path.read_bytes() == first


def test_a_name_with_a_colon_comes_back(path: Path) -> None:
    checkpoints.save(path, Checkpoint(groups={"net": {"a:b:c": torch.ones(1)}}))
    assert checkpoints.load(path).groups["net"].keys() == {"a:b:c"}


def test_where_there_is_none_it_is_the_beginning(path: Path) -> None:
    assert checkpoints.load(path) == Checkpoint(0, 0, {}, {})


def test_a_new_one_replaces_the_old_and_leaves_nothing_beside_it(path: Path) -> None:
    for step in range(3):
        checkpoints.save(path, Checkpoint(0, step, {}, {"net": {"a": torch.full((5,), step)}}))
    assert checkpoints.load(path).step == 2
    assert os.listdir(path.parent) == [path.name]


def test_a_failing_write_leaves_the_one_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints.save(path, full())
    before = path.read_bytes()

    def fail(*words: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        checkpoints.save(path, Checkpoint(9, 9))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_note_that_is_not_finite_is_not_written(path: Path) -> None:
    checkpoints.save(path, full())
    with pytest.raises(ValueError, match="not JSON compliant"):
        checkpoints.save(path, Checkpoint(notes={"best_figure": float("nan")}))
    assert checkpoints.load(path).step == 42


def test_a_model_is_no_checkpoint(path: Path) -> None:
    path.parent.mkdir()
    artefact.write(path, nn.Linear(1, 1), Header("classify", {}, {}))
    with pytest.raises(UserError, match=r"last\.safetensors: this is no checkpoint; restore it from a copy"):
        checkpoints.load(path)


def test_a_broken_file_is_told(path: Path) -> None:
    checkpoints.save(path, full())
    content = path.read_bytes()
    path.write_bytes(content[:-3])
    with pytest.raises(UserError, match="this is not a whole safetensors file"):
        checkpoints.load(path)
    path.write_bytes(b"x" * 100)
    with pytest.raises(UserError, match=r"last\.safetensors: this is not"):
        checkpoints.load(path)
