"""The same from Python: train, resume, open a run, ask it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell import artefact
from simplecell import settings as typed
from simplecell.commands.opening import Opened, open_net
from simplecell.commands.predict import Pictures, paths_of
from simplecell.commands.train import begin, carry_on, new_run
from simplecell.errors import UserError
from simplecell.run import Run, write_atomically

if TYPE_CHECKING:
    from torch import nn

    from simplecell.predictions import Prediction

PathLike = str | Path


class TrainedRun:
    """A run folder whose net can be asked. The net is loaded with the first question."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._opened: Opened | None = None

    def __repr__(self) -> str:
        return f"<simplecell run {self.path} ({self._run.state})>"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._run.path

    @property
    def opened(self) -> Opened:
        """Task, net and meaning."""
        if self._opened is None:
            self._opened = open_net(self.path)
        return self._opened

    @property
    def net(self) -> nn.Module:
        """The trained net, in eval mode; it takes what the task's batches hold."""
        return self.opened.net

    @property
    def figures(self) -> dict[str, Any]:
        """Figures on the test side by name, each {"value", "low", "high"}."""
        return dict(self.opened.figures)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return self._run.metrics()

    def predict(self, pictures: PathLike | Sequence[PathLike], **ask: Any) -> list[Prediction]:
        """Answers for files, folders or globs. Raises UserError for the first picture that cannot be read."""
        from simplecell.learn.evaluate import evaluating

        named = [pictures] if isinstance(pictures, str | Path) else pictures
        options = typed.replace(self.opened.task.Ask(), ask)
        source = Pictures(paths_of([str(p) for p in named]))
        with evaluating(self.opened.answering) as net:
            answers = list(self.opened.task.predict(net, self.opened.meaning, source, options))
        if source.faults:
            raise source.faults[0][1]
        return answers

    def evaluate(self, data: PathLike | None = None) -> dict[str, Any]:
        """Figures on the run's test side, or on other data."""
        if data is None:
            return self.figures
        examples = self.opened.task.open(str(Path(data).absolute()), self.opened.meaning)
        return self.opened.figures_on(examples)


def train(
    task: str,
    data: PathLike,
    *,
    out: PathLike | None = None,
    net: str | nn.Module | None = None,
    config: PathLike | None = None,
    quiet: bool = True,
    **settings: Any,
) -> TrainedRun:
    """Train to the end and return the run.

    task: a name, or a task of one's own as "file.py:Class".
    net: a name, "file.py:function", or a module of torch.nn's layers, which is trained from the weights it
    has (and stays itself as it is).
    settings: as on the command line, with underscores (``epochs=3``, ``batch_size=64``).
    """
    from simplecell.nets import outside
    from simplecell.tasks.task import load_task

    cls = load_task(task)
    base: Any = cls()
    if config is not None:
        base = typed.from_table(cls, typed.read_toml(Path(config)), str(config))
    if net is not None:
        settings["net"] = net if isinstance(net, str) else outside.to_text(net)
    made = typed.replace(base, {**settings, "data": str(data)})
    run = new_run(made, None if out is None else Path(out))
    if net is not None and not isinstance(net, str):
        write_atomically(run.initial, artefact.serialise(artefact.state_of(net), {"kind": "initial weights"}))
    return _finished(run, begin(run, quiet=quiet))


def resume(run: PathLike, *, quiet: bool = True) -> TrainedRun:
    """Go on with a run that was cut off; of a finished one nothing changes."""
    opened = Run.open(Path(run))
    return _finished(opened, carry_on(opened, quiet=quiet))


def _finished(run: Run, finished: bool) -> TrainedRun:
    if not finished:
        raise UserError("the training was stopped", where=run.path, remedy="go on with `simplecell resume`")
    return TrainedRun(run)


def open(run: PathLike) -> TrainedRun:
    """A finished run, to be asked."""
    return TrainedRun(Run.open(Path(run)))
