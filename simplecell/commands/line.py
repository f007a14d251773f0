"""The commands as the command line calls them: each reads its words and gives an exit status."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from simplecell import settings as typed
from simplecell.commands import eyes, flags
from simplecell.commands.flags import CONFIG, DEVICE, JSON, OUT, THREADS
from simplecell.errors import UserError
from simplecell.run import Run, runs_in
from simplecell.tasks import TASKS

RUN = Annotated[Path, Parameter(help="run folder")]
NET = Annotated[str, Parameter(help="run folder, model.safetensors, .onnx, timm:NAME or torchvision:NAME")]
WEIGHTS = Annotated[str, Parameter(help="of timm:NAME or torchvision:NAME: a name, a file or a run")]


def train_command(name: str, *, helping: bool) -> Callable[..., int]:
    """``train TASK`` with the task's settings as flags. helping: read without the heavy modules."""
    with _reading(helping):
        cls = _task_class(name)
        parameters = flags.parameters_of(cls)
    parameters += [
        flags.own("out", OUT, None),
        flags.own("config", CONFIG, None),
        flags.own(
            "dry_run", Annotated[bool, Parameter(negative=(), help="one batch through every stage")], False
        ),
        flags.own("json", JSON, False),
    ]

    def call(given: dict[str, Any]) -> int:
        common = flags.taken(given, {"out": None, "config": None, "dry_run": False, "json": False})
        return _train(cls, given, **common)

    return flags.with_signature(parameters, call, (cls.__doc__ or name).partition("\n")[0])


def _reading(helping: bool) -> AbstractContextManager[None]:
    from simplecell.commands.light import without_heavy_modules

    return without_heavy_modules() if helping else nullcontext()


def _task_class(name: str) -> Any:
    if name in TASKS:
        place, _, attribute = TASKS[name][0].partition(":")
        return getattr(importlib.import_module(place), attribute)
    from simplecell.tasks.task import load_task

    return load_task(name)


def _train(
    cls: Any, given: dict[str, Any], out: Path | None, config: Path | None, dry_run: bool, json: bool
) -> int:
    from simplecell.commands.train import begin, new_run
    from simplecell.commands.trying import dry_run as try_out

    base = cls() if config is None else typed.from_table(cls, typed.read_toml(config), str(config))
    task = typed.replace(base, given)
    if not task.data:
        raise UserError(
            "DATA is missing", remedy="name the folder, table or archive of pictures after the task"
        )
    if dry_run:
        return try_out(task, quiet=json)
    run = new_run(task, out)
    return _told(run, begin(run, quiet=json), json)


def _told(run: Run, finished: bool, json: bool) -> int:
    from simplecell import artefact

    figures = artefact.read_header(run.artefact).figures if finished else {}
    if json:
        # The figures at the top level, as `evaluate` has them.
        eyes.answer({"run": str(run.path), "state": run.state, **figures})
    elif finished:
        eyes.figures_table(figures)
        eyes.say(f"\nrun folder: {run.path}\nask it:     simplecell predict {run.path} PICTURE")
    else:
        eyes.say(f"stopped; go on with: simplecell resume {run.path}")
    return 0 if finished else 1


def resume(run: RUN, *, json: JSON = False) -> int:
    """Go on with a run where it was cut off, exactly."""
    from simplecell.commands.train import carry_on

    opened = Run.open(run)
    return _told(opened, carry_on(opened, quiet=json), json)


def repeat(run: RUN, *, out: OUT = None, json: JSON = False) -> int:
    """Train again from a run's settings, the measured ones too."""
    from simplecell.commands.train import begin, new_run, task_of

    first = Run.open(run)
    asked, measured = task_of(first)
    again = new_run(asked, out, measured)
    if first.initial.is_file():
        shutil.copyfile(first.initial, again.initial)
    return _told(again, begin(again, quiet=json), json)


def evaluate(
    run: NET,
    data: Annotated[str, Parameter(help="other data; the run's test pictures otherwise")] = "",
    *,
    out: Annotated[
        Path | None, Parameter(name=("--out", "-o"), help="also write the figures there, as JSON")
    ] = None,
    weights: WEIGHTS = "auto",
    device: DEVICE = "auto",
    threads: THREADS = 0,
    json: JSON = False,
) -> int:
    """The figures of a trained net, with 95 % intervals."""
    from simplecell.commands import predict

    return predict.evaluate(
        run, data, weights=weights, json_document=json, device=device, threads=threads, out=out
    )


def predict_command(words: Sequence[str], *, helping: bool) -> Callable[..., int]:
    """``predict RUN PICTURE…`` with the options of the run's task."""
    with _reading(helping):
        ask = _ask_of(words)
        options = flags.parameters_of(ask)
    parameters = [
        flags.own("run", NET, positional=True),
        flags.own(
            "pictures", Annotated[str, Parameter(help="files, folders, globs; - reads names from stdin")]
        ),
        *options,
        flags.own("weights", WEIGHTS, "auto"),
        flags.own("form", Annotated[str, Parameter(name="--format", help="table, json or csv")], "table"),
        flags.own("device", DEVICE, "auto"),
        flags.own("threads", THREADS, 0),
        flags.own("json", Annotated[bool, Parameter(negative=(), help="JSON lines on stdout")], False),
    ]
    parameters[1] = parameters[1].replace(kind=parameters[1].VAR_POSITIONAL)

    def call(given: dict[str, Any]) -> int:
        from simplecell.commands.predict import predict

        defaults = {"run": "", "pictures": (), "weights": "auto", "form": "table", "json": False}
        common = flags.taken(given, {**defaults, "device": "auto", "threads": 0})
        if not common["pictures"]:
            raise UserError(
                "no picture is named", remedy="name files, folders or globs after the run, or - for stdin"
            )
        if common["form"] not in ("table", "json", "csv"):
            raise UserError(
                f"there is no format {common['form']}", where="--format", remedy="give table, json or csv"
            )
        return predict(
            common["run"],
            common["pictures"],
            typed.replace(ask(), given),
            weights=common["weights"],
            form=common["form"],
            json_lines=common["json"],
            device=common["device"],
            threads=common["threads"],
        )

    return flags.with_signature(parameters, call, "What a trained net answers for pictures.")


def serve_command() -> Callable[..., int]:
    """``serve RUN…`` with the server's limits as flags."""
    from simplecell.commands import serve
    from simplecell.serve.limits import Limits

    own: dict[str, tuple[Any, Any]] = {
        "host": (Annotated[str, Parameter(help="address to listen at; 0.0.0.0 is all")], "127.0.0.1"),
        "port": (Annotated[int, Parameter(help="0 is any that is free")], 8018),
        "token": (
            Annotated[str, Parameter(help=f"what requests have to bring; better by {serve.TOKEN}")],
            "",
        ),
        "cors": (
            Annotated[list[str], Parameter(help="origins whose pages may ask, such as https://example.org")],
            [],
        ),
        "device": (DEVICE, "auto"),
        "threads": (THREADS, 0),
    }
    nets = Annotated[str, Parameter(help="run folders, .onnx files, nets by name; NAME=RUN names one")]
    listed = flags.own("nets", nets)
    parameters = [
        listed.replace(kind=listed.VAR_POSITIONAL),
        *[flags.own(name, annotation, default) for name, (annotation, default) in own.items()],
        *flags.parameters_of(Limits),
    ]

    def call(given: dict[str, Any]) -> int:
        named = given.pop("nets", ())
        if not named:
            raise UserError("no net is named", remedy="name a run folder, an .onnx file or timm:NAME")
        common = flags.taken(given, {name: default for name, (_, default) in own.items()})
        return serve.serve(named, typed.replace(Limits(), given), **common)

    return flags.with_signature(parameters, call, "A web page and a JSON endpoint that answer pictures.")


def _ask_of(words: Sequence[str]) -> Any:
    """The options class of the task of the first word that is a net; classify's where there is none."""
    from simplecell.commands.opening import is_exported, is_published

    for word in words:
        path = Path(word)
        try:
            if is_published(word):
                break
            if (path / "settings.toml").is_file():
                return _task_class(Run(path).settings()["task"]).Ask
            if is_exported(path) and path.is_file():
                from simplecell.export.described import read_description
                from simplecell.predictions import ANSWERS

                return ANSWERS[read_description(path).answer].ask
            if path.suffix == ".safetensors" and path.is_file():
                from simplecell import artefact

                return _task_class(artefact.read_header(path).task).Ask
        except UserError:
            break  # told when the net is opened
    return _task_class("classify").Ask


def report(
    run: RUN,
    *,
    out: Annotated[
        Path | None,
        Parameter(name=("--out", "-o"), help="the file to write; report.html in the run otherwise"),
    ] = None,
    live: Annotated[bool, Parameter(negative=(), help="serve the page while the run trains")] = False,
    port: Annotated[int, Parameter(help="of the live page")] = 8017,
    json: JSON = False,
) -> int:
    """Write the page of a run: data, curves, figures, mistakes, settings, cost."""
    from simplecell.commands.report import report as make

    return make(Run.open(run), out, live=live, port=port, json=json)


def export(
    run: NET,
    *,
    to: Annotated[str, Parameter(help="onnx or safetensors")] = "onnx",
    out: Annotated[Path, Parameter(name=("--out", "-o"), help="the file to write")],
    data: Annotated[str, Parameter(help="pictures to compare on; the run's own otherwise")] = "",
    int8: Annotated[bool, Parameter(negative=(), help="in 8-bit whole numbers: smaller and faster")] = False,
    max_loss: Annotated[float, Parameter(help="points that --int8 may cost")] = 0.5,
    weights: WEIGHTS = "auto",
    json: JSON = False,
) -> int:
    """Write a net as a file that answers without simplecell; refused where it answers otherwise."""
    from simplecell.commands.export import export as write

    return write(run, to, out, data=data, int8=int8, max_loss=max_loss, weights=weights, json=json)


def look_into(
    target: Annotated[str, Parameter(help="picture; net by name or my.py:build; run or model.safetensors")],
    *pictures: Annotated[str, Parameter(help="that a run is looked at with; its own otherwise")],
    at: Annotated[str, Parameter(help="of a picture: X,Y where the enlarged patch begins")] = "",
    zoom: Annotated[int, Parameter(help="of a picture: the patch's side in pixels, 1 to 16")] = 0,
    input: Annotated[str, Parameter(help="of a net: channels x rows x columns, 3x224x224")] = "",
    classes: Annotated[int, Parameter(help="of a net: 0 is 1000, of small pictures 10")] = 0,
    object: Annotated[float, Parameter(help="pixels of what is to be known; 0 is half the picture")] = 0,
    out: Annotated[
        Path | None, Parameter(name=("--out", "-o"), help="the page; of a run inspect.html in it")
    ] = None,
    device: DEVICE = "auto",
    threads: THREADS = 0,
    json: JSON = False,
) -> int:
    """How a computer sees a picture, what a net is made of, what a trained net does with pictures."""
    from simplecell.commands.inspect import look_into as look

    given = {"at": at, "zoom": zoom, "input": input, "classes": classes, "object": object}
    return look(target, pictures, given, out, device=device, threads=threads, json=json)


def runs(
    *runs: Annotated[Path, Parameter(help="two or more to compare; a folder of runs, or none, lists")],
    prune: Annotated[
        bool, Parameter(negative=(), help="delete checkpoints of finished runs and runs that never stepped")
    ] = False,
    html: Annotated[Path | None, Parameter(help="write the comparison of two or more as a page")] = None,
    json: JSON = False,
) -> int:
    """List runs, or compare them: settings that differ, figures, curves."""
    from simplecell.commands import compare

    folders = [path for path in runs if not (path / "settings.toml").is_file()]
    if html is not None:
        if len(runs) < 2:
            raise UserError("a comparison is of two runs or more", where="--html", remedy="name the runs")
        return compare.write_page([Run.open(path) for path in runs], html)
    if len(runs) > 1:
        return compare.compare([Run.open(path) for path in runs], json)
    if len(runs) == 1 and not folders:
        return compare.compare([Run.open(runs[0])], json)
    folder = runs[0] if runs else Path("runs")
    if runs and not folder.is_dir():
        raise UserError("there is no such run or folder of runs", where=folder, remedy="check the path")
    return compare.prune(runs_in(folder), json) if prune else compare.list_runs(runs_in(folder), json)


def reproduce(
    name: Annotated[str, Parameter(help="which result; without it they are listed")] = "",
    *,
    data: Annotated[
        Path | None, Parameter(help="where its data are; otherwise a folder of their name")
    ] = None,
    out: Annotated[
        Path | None, Parameter(name=("--out", "-o"), help="folder of its runs; runs/reproduce-NAME otherwise")
    ] = None,
    seeds: Annotated[int, Parameter(help="so many, from 0 on; 0 is as recorded")] = 0,
    json: JSON = False,
) -> int:
    """A published figure beside ours, trained again from its recipe over several seeds."""
    from simplecell.commands.reproduce import reproduce as again

    if not 0 <= seeds <= 10:
        raise UserError(f"{seeds} seeds cannot be trained", where="--seeds", remedy="give 1 to 10")
    return again(name, data, out, seeds, json)


def demo(
    *, out: OUT = None, seed: Annotated[int, Parameter(help="of every random number")] = 0, json: JSON = False
) -> int:
    """The whole path on the MNIST that the package carries: train, evaluate, and how to go on."""
    from simplecell.commands.demo import demo as run_demo

    return run_demo(out, seed, json)


def doctor(*, json: JSON = False) -> int:
    """Verify the install: versions, devices, extras, and a two-second training."""
    from simplecell.commands.doctor import doctor as examine

    return examine(json=json)
