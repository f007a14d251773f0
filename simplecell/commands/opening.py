"""A trained net by what a person names it: a run folder, its model.safetensors, an .onnx file, timm:NAME."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell import settings as typed
from simplecell.errors import UserError
from simplecell.own_code import one_line
from simplecell.run import Run

if TYPE_CHECKING:
    import torch
    from torch import nn

    from simplecell.data.batches import Examples
    from simplecell.metrics.intervals import Figure
    from simplecell.predictions import Prediction
    from simplecell.tasks.task import Task


@dataclass
class Opened:
    """A trained net with its task and meaning, ready to answer.

    file: where its weights lie; None where their library keeps them.
    """

    task: Task
    net: nn.Module
    meaning: Mapping[str, Any]
    figures: Mapping[str, Any]
    device: torch.device
    task_name: str
    file: Path | None

    @cached_property
    def answering(self) -> nn.Module:
        """What answers in the net's place, see ``answering``."""
        return self.net if is_exported(self.file) else answering(self.net)

    @cached_property
    def fingerprint(self) -> str:
        """sha256, hex, of the weights: of their file, or where there is none of the tensors."""
        from simplecell import artefact

        if self.file is not None:
            return hashlib.sha256(self.file.read_bytes()).hexdigest()
        return hashlib.sha256(artefact.serialise(artefact.state_of(self.net), {})).hexdigest()

    def figures_on(self, examples: Examples) -> dict[str, Any]:
        """The figures on these examples, each {"value", "low", "high"}."""
        found = figures_of(self.task, self.answering, self.meaning, examples, self.device)
        return {name: figure.to_json() for name, figure in found.items()}


def figures_of(
    task: Task, net: nn.Module, meaning: Mapping[str, Any], examples: Examples, device: torch.device
) -> dict[str, Figure]:
    """A net's figures on these examples."""
    from simplecell.learn.evaluate import collect

    return task.figures(collect(task.measure, net, examples, device), meaning)


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


@contextmanager
def answers_of(
    named: str, inputs: Iterable[tuple[str, Any]], ask: Any, *, weights: str, device: str, threads: int
) -> Iterator[Iterable[Prediction]]:
    """What a net answers for (path, picture) pairs, within. An exported one does it without torch."""
    if is_exported(named):
        from simplecell.export.session import Exported

        yield Exported(Path(named), threads).predict(inputs, ask)
        return
    from simplecell.learn.evaluate import evaluating

    opened = open_net(named, weights=weights, device=device, threads=threads)
    with evaluating(opened.answering) as net:
        yield opened.task.predict(net, opened.meaning, inputs, ask)


def is_exported(named: str | Path | None) -> bool:
    """Whether this is the name of a file that ``export`` wrote as ONNX."""
    return str(named).lower().endswith(".onnx")


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
    if is_exported(path):
        return _exported(path, threads)
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
    try:
        net = task.build(header.meaning)
    except UserError:
        raise
    except Exception as error:  # a task may ask anything of its meaning
        raise UserError(
            f"what it says of its data makes no net ({type(error).__name__}: {one_line(error)})",
            where=file,
            remedy="restore it from a copy",
        ) from error
    artefact.restore(net, artefact.read_tensors(file), file)
    net = net.to(device=place, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return Opened(task, net, header.meaning, header.figures, place, header.task, file)


def _exported(path: Path, threads: int) -> Opened:
    """A file that ``export`` wrote as ONNX."""
    import torch

    from simplecell.commands.exported import StandIn
    from simplecell.export.described import read_description
    from simplecell.tasks.task import load_task

    said = read_description(path)
    task = load_task(said.task)()
    net = StandIn(path, task.exported, threads).eval()
    return Opened(
        task, net, {**said.about, "geometry": said.geometry}, {}, torch.device("cpu"), said.task, path
    )


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
    return Opened(task, net, meaning, {}, device, "classify", None)
