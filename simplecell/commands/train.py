"""Training: train, resume and repeat are one path through a run folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell import settings as typed
from simplecell.commands import eyes
from simplecell.errors import UserError
from simplecell.run import Run

if TYPE_CHECKING:
    import torch
    from torch import nn

    from simplecell.data.batches import Splits
    from simplecell.learn.loop import Surroundings
    from simplecell.tasks.task import Task

Stop = Callable[[], bool]

#: The folder, in the one a person is in, where runs without --out go.
_RUNS = "runs"
#: Weights that are no file or run, whatever lies in the folder a person is in.
_NO_PATHS = ("auto", "none", "imagenet")


def task_name(task: Task) -> str:
    """The name under which ``load_task`` finds the class of a task again."""
    import inspect

    from simplecell.tasks import TASKS

    cls = type(task)
    place = f"{cls.__module__}:{cls.__qualname__}"
    for name, (where, _) in TASKS.items():
        if where == place:
            return name
    return f"{Path(inspect.getfile(cls)).resolve()}:{cls.__qualname__}"


def new_run(task: Task, out: Path | None, measured: Mapping[str, Any] | None = None) -> Run:
    """The run folder with its settings, before anything is read."""
    # The run must find its data, and a net or weights of one's own, from any folder it is resumed in.
    places = {"data": str(Path(task.data).absolute())}
    if ".py:" in (net := str(getattr(task, "net", ""))):
        places["net"] = str(Path(net).absolute())
    if Path(weights := typed.flatten(task).get("weights", "auto")).exists() and weights not in _NO_PATHS:
        places["weights"] = str(Path(weights).absolute())
    task = typed.replace(task, {**typed.flatten(task), **places})
    name = task_name(task)
    if out is None:
        out = _free_folder(name.rpartition(":")[2].lower(), task.data)
    run = Run.create(out, name, typed.to_table(task))
    if measured is not None:
        run.write_settings(name, typed.to_table(task), measured)
    return run


def _free_folder(task: str, data: str) -> Path:
    base = f"{task}-{Path(data).resolve().name.partition('.')[0] or 'data'}-{time.strftime('%m%d-%H%M%S')}"
    number, path = 1, Path(_RUNS) / base
    while path.exists():
        number += 1
        path = Path(_RUNS) / f"{base}-{number}"
    return path


def run_training(task: Task, out: Path | None = None, *, quiet: bool = True) -> Run:
    """Train a task into a new run folder, to its end."""
    run = new_run(task, out)
    begin(run, quiet=quiet)
    return run


def begin(run: Run, *, quiet: bool = False) -> bool:
    """``carry_on`` with a new run; one that is refused before its first line leaves no folder behind."""
    try:
        return carry_on(run, quiet=quiet)
    except (UserError, OSError):
        if not run.checkpoint.is_file() and not run.metrics():
            shutil.rmtree(run.path, ignore_errors=True)
            with suppress(OSError):  # other runs may lie there
                if run.path.parent.name == _RUNS:
                    run.path.parent.rmdir()
        raise


def task_of(run: Run) -> tuple[Task, dict[str, Any] | None]:
    """The task as it was asked for, and what was measured (None: nothing yet)."""
    from simplecell.tasks.task import load_task

    table = run.settings()
    where = str(run.path / "settings.toml")
    asked = typed.from_table(load_task(table["task"]), table["settings"], where)
    return asked, table.get("measured")


def carry_on(run: Run, *, quiet: bool = False, stop: Stop | None = None) -> bool:
    """Go on with a run from wherever it stands to its end; False when it was stopped before.

    stop: asked after each step; without it Ctrl-C is heard (once: checkpoint and stop; twice: stop).
    """
    if run.finished:
        return True
    with run.lock(), eyes.progress(quiet):
        run.sweep()
        if stop is not None:
            return _carry_on(run, quiet, stop)
        with interruptible() as asked:
            return _carry_on(run, quiet, asked)


@contextmanager
def _counted(run: Run) -> Iterator[None]:
    """Within, seconds and peak memory are counted; what a run took before it was cut off is added to."""
    import resource

    began = time.monotonic()
    try:
        yield
    finally:
        before = run.read("cost.json") or {"seconds": 0.0, "peak_memory": 0}
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        seconds = before["seconds"] + time.monotonic() - began
        cost = {"seconds": round(seconds, 1), "peak_memory": max(before["peak_memory"], peak)}
        with suppress(OSError):  # a full disk has been told, or will be by what matters more
            run.write("cost.json", cost)


def _carry_on(run: Run, quiet: bool, stop: Stop) -> bool:
    from simplecell import artefact
    from simplecell.learn.journal import Journal
    from simplecell.learn.loop import Surroundings, run_stages

    asked, measured = task_of(run)
    task = typed.replace(asked, measured or {}, str(run.path / "settings.toml"))
    device = _prepare_machine(task)
    splits = task.load()
    _same_data(run, splits)
    run.write("data.json", {**splits.facts, "meaning": splits.meaning, "digest": digest_of(splits)})
    run.write("environment.json", environment(device))
    with Journal(run.path / "metrics.jsonl", quiet=quiet) as journal, _counted(run):
        world = Surroundings(
            seed=task.machine.seed,
            device=device,
            splits=splits,
            checkpoint=run.checkpoint,
            journal=journal,
            evaluate=_validation(task, splits, device),
            headline=task.headline,
            checkpoint_every=task.machine.checkpoint_every,
            stop=stop,
        )
        if measured is None:
            task = _settle(run, task, splits, world)
            before, after = typed.flatten(asked), typed.flatten(task)
            chosen = {name: value for name, value in after.items() if value != before[name]}
            run.write_settings(task_name(task), typed.to_table(asked), chosen)
        _announce(task, splits, quiet)
        net = built(task, splits.meaning, device)
        if run.initial.is_file():
            artefact.restore(net.get_submodule("body"), artefact.read_tensors(run.initial), run.initial)
        world = changed(world, precision=task.machine.precision)
        journal.show_beginning(net, splits.train, task.machine.seed)
        if not run_stages(net, task.stages(net, splits), world):
            return False
        journal.show_end(net, splits.train)
    _finish(run, task, net, splits, device)
    return True


def _announce(task: Task, splits: Splits, quiet: bool) -> None:
    if quiet:
        return
    t, m = task.training, task.machine
    sides = ", ".join(f"{len(splits[name]):,} {name}" for name in ("train", "validation", "test"))
    how = f"{t.optimiser} at {t.learning_rate:g}, {m.precision}"
    eyes.say(f"{sides}; {t.epochs:g} epoch(s), batch size {t.batch_size}, {how}")
    for line in splits.facts.get("notes", ()):
        eyes.say(line)
    if "augmentation_reason" in splits.facts:
        eyes.say(f"augmentation {splits.facts['augmentation_reason']}")


def _prepare_machine(task: Task) -> torch.device:
    import torch

    from simplecell.data.allocation import keep_large_buffers

    keep_large_buffers()
    if task.machine.threads:
        torch.set_num_threads(task.machine.threads)
    return device_of(task.machine.device)


def device_of(name: str) -> torch.device:
    """The device of a name; auto is a GPU where there is one."""
    import torch

    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator if accelerator is not None else torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(
            f"there is no device {name} here", where="--device", remedy="give cpu or auto"
        ) from None
    return device


def built(task: Task, meaning: Mapping[str, Any], device: torch.device) -> nn.Module:
    """The task's net with its initial weights, where and as it computes fastest."""
    import torch

    from simplecell.learn.loop import seed_generator
    from simplecell.learn.tight import tighten

    seed_generator(torch.device("cpu"), task.machine.seed, "build")
    net = task.build(meaning)
    if task.machine.memory == "tight":
        tighten(net)
    return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _validation(task: Task, splits: Splits, device: torch.device) -> Callable[[nn.Module], dict[str, float]]:
    from simplecell.learn.evaluate import collect

    def figures(net: nn.Module) -> dict[str, float]:
        if not len(splits.validation):
            return {}
        rows = collect(task.measure, net, splits.validation, device)
        return {name: figure.value for name, figure in task.figures(rows, splits.meaning).items()}

    return figures


def _settle(run: Run, task: Task, splits: Splits, world: Surroundings) -> Task:
    """Replace every "auto" by what the task chooses or a measurement finds."""
    import torch

    from simplecell.learn import measure

    asked_batch, asked_rate = task.training.batch_size, task.training.learning_rate
    task = task.settle(splits)
    if not task.machine.threads:
        task = typed.replace(task, {"threads": torch.get_num_threads()})
    if asked_rate == "find":
        task = typed.replace(task, {"learning_rate": 1.0})

    def make(net: nn.Module) -> Any:
        return task.stages(net, splits)

    net = built(task, splits.meaning, world.device)
    if asked_batch == "auto" and (trial := measure.trial(net, make, world, at_most=8)) is not None:
        assert isinstance(task.training.batch_size, int)
        task = typed.replace(
            task, {"batch_size": measure.fitting_batch_size(trial, task.training.batch_size)}
        )
    if task.machine.precision == "auto":
        task = typed.replace(task, {"precision": measure.faster_precision(net, make, world)})
    world = changed(world, precision=task.machine.precision)
    if asked_rate == "find":
        rate, curve = measure.find_rate(net, make, world)
        eyes.draw_rates(run.path / "learning-rate.png", curve, rate)
        task = typed.replace(task, {"learning_rate": rate})
    if task.training.minutes and (trial := measure.trial(net, make, world)) is not None:
        begun = time.perf_counter()
        world.evaluate(net)
        epochs = measure.epochs_in(trial, task.training.minutes, time.perf_counter() - begun)
        task = typed.replace(task, {"epochs": epochs})
    return task


def digest_of(splits: Splits) -> str:
    """A fingerprint of which examples are on which side."""
    digest = hashlib.sha256()
    for name in ("train", "validation", "test", *sorted(splits.others)):
        digest.update(json.dumps([name, list(splits[name].ids)]).encode())
    digest.update(json.dumps(splits.meaning, sort_keys=True).encode())
    return digest.hexdigest()


def _same_data(run: Run, splits: Splits) -> None:
    before = run.read("data.json")
    if before is not None and run.checkpoint.is_file() and before.get("digest") != digest_of(splits):
        raise UserError(
            "the data are not those that this run began with",
            where=run.path,
            remedy="restore them, or begin a new run with `train`",
        )


def environment(device: torch.device) -> dict[str, Any]:
    """Versions and machine, for the run's record."""
    import platform
    from importlib.metadata import version

    import torch

    names = ("simplecell", "torch", "torchvision", "numpy", "pillow", "simplejpeg", "safetensors")
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": {name: version(name) for name in names},
        "device": str(device),
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def _finish(run: Run, task: Task, net: nn.Module, splits: Splits, device: torch.device) -> None:
    """Measure on the test side, write the artefact and the page: the last things a run does."""
    from simplecell import artefact
    from simplecell.commands.opening import answering
    from simplecell.commands.report import write_report
    from simplecell.learn.evaluate import collect

    figures: dict[str, Any] = {}
    known: dict[str, Any] = {}
    if len(splits.test):
        known["test"] = rows = collect(task.measure, answering(net), splits.test, device)
        figures = {name: figure.to_json() for name, figure in task.figures(rows, splits.meaning).items()}
    settings = typed.to_table(task, places=False)
    settings.update({key: _without_folder(value) for key, value in settings.items() if key == "net"})
    header = artefact.Header(_without_folder(task_name(task)), settings, splits.meaning, figures)
    artefact.write(run.artefact, net, header)
    write_report(run, task, net, splits, device, known=known)


def _without_folder(name: str) -> str:
    """``/home/me/birds.py:Birds`` as ``birds.py:Birds``: an artefact tells no path."""
    return f"{Path(name.rpartition(':')[0]).name}:{name.rpartition(':')[2]}" if ".py:" in name else name


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Within, the first Ctrl-C (or SIGTERM) asks the loop to stop after its step; the second ends it."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def hear(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        os.write(2, b"stopping after this step; again to stop at once\n")  # print is not for handlers

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
