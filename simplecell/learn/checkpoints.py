"""Checkpoints: all that a training needs to go on bitwise as if nothing had happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from simplecell.artefact import FORMAT, read_about, read_tensors, serialise
from simplecell.errors import UserError
from simplecell.run import write_atomically


@dataclass
class Checkpoint:
    """stage, step: what is done. groups: tensors by group (net, ema, best, an update's moments) and name.

    notes: JSON values of the loop (running averages, the best figure so far, …).
    """

    stage: int = 0
    step: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, Mapping[str, Tensor]] = field(default_factory=dict)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint atomically: a crash or a full disk leaves the one before whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{group}:{name}": t for group, named in checkpoint.groups.items() for name, t in named.items()
    }
    about = {
        "format": FORMAT,
        "kind": "checkpoint",
        "stage": checkpoint.stage,
        "step": checkpoint.step,
        "notes": checkpoint.notes,
        "groups": sorted(checkpoint.groups),
    }
    write_atomically(path, serialise(tensors, about))


def load(path: Path) -> Checkpoint:
    """The checkpoint at ``path``; where there is none, the beginning."""
    if not path.is_file():
        return Checkpoint()
    about = read_about(path)
    if about.get("kind") != "checkpoint":
        raise UserError("this is no checkpoint", where=path, remedy="restore it from a copy")
    try:
        groups: dict[str, dict[str, Tensor]] = {group: {} for group in about["groups"]}
        for name, tensor in read_tensors(path).items():
            group, _, inner = name.partition(":")
            groups[group][inner] = tensor
        stage, step, notes = about["stage"], about["step"], about["notes"]
        if not (isinstance(notes, dict) and isinstance(stage, int) and isinstance(step, int)):
            raise TypeError
    except (KeyError, TypeError):
        raise UserError("this is no whole checkpoint", where=path, remedy="restore it from a copy") from None
    return Checkpoint(stage, step, notes, dict(groups))
