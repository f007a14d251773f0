"""The contract of a task: what the commands and the loop ask of it. One file a task fulfils it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from simplecell.data.batches import Batch, Examples, Splits
from simplecell.errors import UserError
from simplecell.export.exportable import Exportable
from simplecell.learn.settings import Machine, Training
from simplecell.learn.stages import At, Fit, Learn, Stage, Stream, Terms, Update
from simplecell.metrics.intervals import Figure
from simplecell.own_code import run_file
from simplecell.predictions import Prediction
from simplecell.report.evidence import Evidence
from simplecell.report.section import Section
from simplecell.tasks import TASKS

__all__ = [
    "At",
    "Batch",
    "Examples",
    "Figure",
    "Fit",
    "Learn",
    "Machine",
    "Rows",
    "Splits",
    "Stage",
    "Stream",
    "Task",
    "Terms",
    "Training",
    "Update",
    "load_task",
]

#: One row an example: columns by name; "id" (list of str) joins rows over batches and machines.
Rows = Mapping[str, Any]


class Task(Protocol):
    """A frozen dataclass whose fields are the settings; see CONTRIBUTING for one in full.

    It has the groups ``training`` and ``machine``; ``data`` is where the pictures are. All that it learns
    lies in the net's parameters and buffers.
    """

    Ask: ClassVar[type]
    """Options of predict: a dataclass of settings."""
    headline: ClassVar[tuple[str, str]]
    """The figure that early stopping and comparison go by, and whether it is to be "max" or "min"."""

    @property
    def data(self) -> str: ...
    @property
    def training(self) -> Training: ...
    @property
    def machine(self) -> Machine: ...

    @classmethod
    def tiny(cls) -> Self:
        """Settings that train in two seconds on pictures the task makes itself: for the tests alone."""
        ...

    def load(self) -> Splits:
        """The data, divided into sides, and their meaning."""
        ...

    def open(self, data: str, meaning: Mapping[str, Any]) -> Examples:
        """Other data to evaluate on, with the meaning of a trained net: the test side, or all there is."""
        ...

    def settle(self, splits: Splits) -> Self:
        """The settings with every "auto" that depends on the data replaced by a value."""
        ...

    def build(self, meaning: Mapping[str, Any]) -> nn.Module:
        """The net with its initial weights. Pure: no data, no download.

        A task with a setting ``net`` keeps the net that it names as the submodule ``body``: there go the
        weights of one that is given from Python.
        """
        ...

    def stages(self, net: nn.Module, splits: Splits) -> list[Stage]:
        """What is trained, in order."""
        ...

    def measure(self, net: nn.Module, batch: Batch, at: At | None = None) -> Rows:
        """One row an example; the net is in eval mode and no gradients are kept."""
        ...

    def figures(self, rows: Rows, meaning: Mapping[str, Any]) -> dict[str, Figure]:
        """Figures under their usual names from the rows alone, with intervals."""
        ...

    def predict(
        self,
        net: nn.Module,
        meaning: Mapping[str, Any],
        inputs: Iterable[tuple[str, NDArray[np.uint8]]],
        ask: Any,
    ) -> Iterator[Prediction]:
        """Answers for (path, picture H, W, C uint8), in order."""
        ...

    def explain(
        self,
        net: nn.Module,
        meaning: Mapping[str, Any],
        picture: NDArray[np.uint8],
        prediction: Any,
        ask: Any,
    ) -> Sequence[tuple[str, NDArray[np.uint8]]]:
        """Pictures that go with an answer, each a caption and uint8 H, W, 3. A task may be without it."""
        ...

    def export(self, net: nn.Module, meaning: Mapping[str, Any]) -> Exportable | None:
        """What of the net goes into an exported file; None where it cannot be. A task may be without it.

        net: in eval mode, as it answers.
        """
        ...

    def exported(self, outputs: Mapping[str, Tensor]) -> Any:
        """What the net, in eval mode, would give for a batch's pictures, from what the file gives by name.

        So ``measure`` works on exported files. Wanted of a task that has ``export``.
        """
        ...

    def sections(self, evidence: Evidence) -> Sequence[Section]:
        """What the run's page shows beyond data, curves, settings and cost; a task may be without it."""
        ...


def load_task(name: str) -> type[Task]:
    """The class of a task: one of the package's by name, or a user's own as ``file.py:Class``."""
    place, _, attribute = TASKS[name][0].partition(":") if name in TASKS else name.rpartition(":")
    if name in TASKS:
        return cast("type[Task]", getattr(importlib.import_module(place), attribute))
    if not place.endswith(".py"):
        near = difflib.get_close_matches(name, TASKS, 1, 0.5)
        hint = f"did you mean {near[0]}" if near else f"there are {', '.join(TASKS)}, or my_task.py:Name"
        raise UserError(f"there is no task named {name}", remedy=hint)
    found = getattr(_module_from(Path(place)), attribute, None)
    if not isinstance(found, type) or any(not hasattr(found, part) for part in _required()):
        lacks = [part for part in _required() if not hasattr(found, part)]
        what = (
            f"it has no task named {attribute}" if found is None else f"{attribute} lacks {', '.join(lacks)}"
        )
        raise UserError(what, where=place, remedy="see CONTRIBUTING for a task in one file")
    return cast("type[Task]", found)


def _required() -> Sequence[str]:
    return ("load", "build", "stages", "measure", "figures", "predict", "settle", "open", "headline", "Ask")


def _module_from(path: Path) -> ModuleType:
    if not path.is_file():
        remedy = "check the path; a model.safetensors wants its task's file in the current folder"
        raise UserError("there is no such file", where=path, remedy=remedy)
    return run_file(path.resolve())
