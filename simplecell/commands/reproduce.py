"""reproduce: a published figure beside ours, trained again from its recipe over several seeds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell import settings as typed
from simplecell.commands import eyes
from simplecell.errors import UserError
from simplecell.run import Run

if TYPE_CHECKING:
    from simplecell.metrics.intervals import Figure


@dataclass(frozen=True)
class Entry:
    """One result: what is trained, and what is known of it.

    theirs, ours: the published figure and ours (mean over ``seeds``), as text with what belongs to it.
    data: a name that ``simplecell data get`` knows, or "mnist", which the package carries.
    hours: of all seeds together, on two cores.
    """

    reference: str
    figure: str
    theirs: str
    ours: str
    task: str
    data: str
    settings: Mapping[str, Any]
    seeds: int
    hours: float


_AIRBENCH: dict[str, Any] = {
    "net": "airbench",
    "validation": 0.0,
    "batch_size": 1024,
    "optimiser": "sgd",
    "momentum": 0.85,
    "learning_rate": 1.5,
    "weight_decay": 0.00133,
    "smoothing": 0.2,
    "shift": 2,
    "views": 6,
}

ENTRIES: dict[str, Entry] = {
    "mnist-small": Entry(
        "none: the package's default net, 8 epochs on all 60,000 digits",
        "accuracy",
        "–",
        "99.65 % ± 0.04",
        "classify",
        "mnist",
        {"epochs": 8.0, "learning_rate": 0.01, "weight_decay": 0.02, "shift": 2, "validation": 0.0},
        seeds=5,
        hours=0.05,
    ),
    "cifar10-airbench": Entry(
        "Jordan 2024, 9.9 epochs and a look-ahead optimiser",
        "accuracy",
        "94.01 %",
        "94.34 % ± 0.12",
        "classify",
        "cifar10",
        {**_AIRBENCH, "epochs": 20.0},
        seeds=3,
        hours=1.8,
    ),
    "cifar10-resnet20": Entry(
        "He et al. 2016, 164 epochs; here 60, the rate falling at the same shares of them",
        "accuracy",
        "91.25 %",
        "90.13 % (seed 0, 45,000 pictures)",
        "classify",
        "cifar10",
        {
            "net": "resnet20",
            "validation": 0.1,  # the paper's 45,000 and 5,000
            "batch_size": 128,
            "optimiser": "sgd",
            "momentum": 0.9,
            "learning_rate": 0.1,
            "schedule": "step",
            "weight_decay": 1e-4,
            "smoothing": 0.0,
            "shift": 4,
            "epochs": 60.0,
        },
        seeds=1,
        hours=1.4,
    ),
    "cifar10-quick": Entry(
        "none: the same recipe with half the width and 8 epochs, minutes instead of half an hour",
        "accuracy",
        "–",
        "91.57 % ± 0.10",
        "classify",
        "cifar10",
        {**_AIRBENCH, "width": 32, "batch_size": 512, "learning_rate": 0.75, "epochs": 8.0},
        seeds=3,
        hours=0.25,
    ),
}


def reproduce(name: str, data: Path | None, out: Path | None, seeds: int, json: bool) -> int:
    """Train an entry over its seeds, or list the entries where no name is given.

    A seed that is finished in ``out`` already is not trained again, and one that was cut off goes on.
    """
    if not name:
        return _list(json)
    if name not in ENTRIES:
        near = difflib.get_close_matches(name, ENTRIES, 1, 0.4)
        remedy = f"did you mean {near[0]}" if near else "see them all with `simplecell reproduce`"
        raise UserError(f"there is no result named {name}", where="reproduce", remedy=remedy)
    entry = ENTRIES[name]
    place, folder = _data(entry, data), out or Path("runs") / f"reproduce-{name}"
    values = []
    for seed in range(seeds or entry.seeds):
        run = _trained(entry, place, folder / f"seed-{seed}", seed, quiet=json)
        if run is None:
            eyes.say("stopped; the same command goes on")
            return 1
        values.append(_figure(run, entry.figure))
        eyes.say(f"seed {seed}: {entry.figure} {values[-1]:.4f}")
    from simplecell.metrics.intervals import over_seeds

    _tell(name, entry, values, over_seeds(values), folder, json)
    return 0


def _trained(entry: Entry, data: Path, path: Path, seed: int, *, quiet: bool) -> Run | None:
    """The finished run of a seed; None where the training was stopped."""
    from simplecell.commands.train import begin, carry_on, new_run
    from simplecell.tasks.task import load_task

    if (path / "settings.toml").is_file():
        run = Run.open(path)
        return run if carry_on(run, quiet=quiet) else None
    task = typed.replace(load_task(entry.task)(), {**entry.settings, "data": str(data), "seed": seed})
    run = new_run(task, path)
    return run if begin(run, quiet=quiet) else None


def _figure(run: Run, name: str) -> float:
    from simplecell import artefact

    return float(artefact.read_header(run.artefact).figures[name]["value"])


def _data(entry: Entry, given: Path | None) -> Path:
    if given is not None:
        return given
    if entry.data == "mnist":
        from simplecell import mnist

        return mnist.path()
    here = Path(entry.data)
    if not here.exists():
        raise UserError(
            "these data are not in the current folder",
            where=here,
            remedy=f"fetch them with `simplecell data get {entry.data}`, or name their folder with --data",
        )
    return here


def _list(json: bool) -> int:
    rows = [
        {
            "name": name,
            "reference": entry.reference,
            "figure": entry.figure,
            "published": entry.theirs,
            "ours": entry.ours,
            "seeds": str(entry.seeds),
            "command": f"simplecell reproduce {name}",
            "hours": f"{entry.hours:g}",
        }
        for name, entry in ENTRIES.items()
    ]
    if json:
        eyes.answer(rows)
    else:
        eyes.table(rows)
    return 0


def _tell(name: str, entry: Entry, values: list[float], mean: Figure, folder: Path, json: bool) -> None:
    if json:
        eyes.answer(
            {
                "name": name,
                "reference": entry.reference,
                "published": entry.theirs,
                "recorded": entry.ours,
                "values": values,
                entry.figure: mean.to_json(),
                "runs": str(folder),
            }
        )
        return
    eyes.table(
        [
            {
                "figure": f"{entry.figure}, mean of {len(values)} seeds (95 % interval of the mean)",
                "now": eyes.figure_text(mean.to_json()),
                "recorded": entry.ours,
                "published": f"{entry.theirs} ({entry.reference})",
            }
        ]
    )
    eyes.say(f"runs: {folder}")
