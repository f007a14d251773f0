"""A trained net by what a person names it: a run folder or its model.safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell import settings as typed
from simplecell.errors import UserError
from simplecell.run import Run

if TYPE_CHECKING:
    import torch
    from torch import nn

    from simplecell.data.batches import Examples
    from simplecell.tasks.task import Task


@dataclass
class Opened:
    """A trained net with its task and meaning, ready to answer."""

    task: Task
    net: nn.Module
    meaning: Mapping[str, Any]
    figures: Mapping[str, Any]
    device: torch.device

    def figures_on(self, examples: Examples) -> dict[str, Any]:
        """The figures on these examples, each {"value", "low", "high"}."""
        from simplecell.learn.evaluate import collect

        rows = collect(self.task.measure, self.net, examples, self.device)
        return {name: figure.to_json() for name, figure in self.task.figures(rows, self.meaning).items()}


def open_net(named: str | Path, *, device: str = "auto", threads: int = 0) -> Opened:
    """Open a trained net. Raises UserError where there is none."""
    import torch

    from simplecell import artefact
    from simplecell.commands.train import device_of, task_of
    from simplecell.tasks.task import load_task

    path = Path(named)
    run = Run.open(path) if path.is_dir() else None
    if run is not None and not run.finished:
        raise UserError(
            f"this run has not finished (it is {run.state})",
            where=path,
            remedy="go on with `simplecell resume`",
        )
    file = run.artefact if run is not None else path
    header = artefact.read_header(file)
    if threads:
        torch.set_num_threads(threads)
    if run is not None:  # it knows where its data and a task of one's own are
        asked, measured = task_of(run)
        task = typed.replace(asked, measured or {})
    else:
        task = typed.from_table(load_task(header.task), header.settings, str(file))
    place = device_of(device)
    net = task.build(header.meaning)
    artefact.restore(net, artefact.read_tensors(file), file)
    net = net.to(device=place, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return Opened(task, net, header.meaning, header.figures, place)
