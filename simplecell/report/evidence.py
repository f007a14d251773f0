"""What a report is made of: the record of a run, and, once it has finished, its net and data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from simplecell.data.batches import Splits
from simplecell.settings import Field


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a run folder tells of a run in any state, without its net or data.

    settings: every setting's value by name, measured ones included; asked: as they were asked for.
    fields: the settings' defaults and lines of help by name; empty where the task's file is gone.
    meaning, data: of data.json. environment: environment.json. Each is empty where the run has none yet.
    journal: the lines of metrics.jsonl.
    figures: on the test side, by name: {"value", "low", "high"}; empty until the run has finished.
    headline: the figure that the run is judged by, and whether it is to be "max" or "min".
    cost: seconds, peak memory (bytes), parameters, macs (multiply-adds an example); what is unknown is
        absent.
    """

    path: Path
    task: str
    settings: Mapping[str, Any]
    meaning: Mapping[str, Any]
    data: Mapping[str, Any]
    environment: Mapping[str, Any]
    journal: Sequence[Mapping[str, Any]]
    figures: Mapping[str, Mapping[str, float | None]]
    cost: Mapping[str, float]
    state: str = "finished"
    headline: tuple[str, str] = ("", "max")
    asked: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Field] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Evidence(Record):
    """A finished run with its net and data.

    net: in eval mode, on device. splits: train, validation and test, with ids and ``batch(indices)``.
    rows: the rows of the task's ``measure`` for a side ("test", "validation", "train"): columns by name,
        in the order of the side's ids; computed once, when first asked for.
    """

    splits: Splits
    net: nn.Module
    device: torch.device
    rows: Callable[[str], Mapping[str, Any]]
