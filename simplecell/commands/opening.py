"""A trained net by what a person names it: a run folder, its model.safetensors, or timm:NAME."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
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

    @cached_property
    def answering(self) -> nn.Module:
        """What answers in the net's place, see ``answering``."""
        return answering(self.net)

    def figures_on(self, examples: Examples) -> dict[str, Any]:
        """The figures on these examples, each {"value", "low", "high"}."""
        from simplecell.learn.evaluate import collect

        rows = collect(self.task.measure, self.answering, examples, self.device)
        return {name: figure.to_json() for name, figure in self.task.figures(rows, self.meaning).items()}


def answering(net: nn.Module) -> nn.Module:
    """A copy of a trained net that answers sooner, its batch norms folded; alike to rounding.

    Figures and answers come from it everywhere, so that they are equal to the last bit.
    """
    import torch

    from simplecell.nets.folding import fold

    # Folding makes new weights, of the usual layout.
    return fold(net).to(memory_format=torch.channels_last)


def is_published(named: str | Path) -> bool:
    """Whether this is the name of a net of another library, which has published weights."""
    return str(named).startswith(("timm:", "torchvision:"))


def open_net(named: str | Path, *, weights: str = "auto", device: str = "auto", threads: int = 0) -> Opened:
    """Open a trained net. Raises UserError where there is none.

    weights: of a net by name, as ``--weights`` takes them.
    """
    import torch

    from simplecell import artefact
    from simplecell.commands.train import device_of, task_of
    from simplecell.tasks.task import load_task

    if threads:
        torch.set_num_threads(threads)
    if is_published(named):
        return _published(str(named), weights, device_of(device))
    if weights != "auto":
        remedy = "leave it out: its weights are its own"
        raise UserError(f"{named} is a trained net", where="--weights", remedy=remedy)
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


def _published(name: str, weights: str, device: torch.device) -> Opened:
    """A net of another library, that tells its classes of pictures as its weights want them."""
    import torch

    from simplecell.learn import pretrained
    from simplecell.nets.pretrained import choose
    from simplecell.tasks.task import load_task

    found, usual = choose(name, weights), choose(name, "auto")
    if found is None:
        raise UserError("it knows nothing without weights", where=name, remedy="name some by --weights")
    if found.classes is None and usual is not None:  # a file does not tell
        found = replace(found, classes=usual.classes)
    meaning = pretrained.meaning_of(found)
    task = typed.replace(load_task("classify")(), {"net": name})
    net = task.build(meaning)
    path, _ = pretrained.identify(found)
    pretrained.load(net.get_submodule("body"), found, path, (), True)
    net = net.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return Opened(task, net, meaning, {}, device)
