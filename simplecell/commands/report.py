"""report: the page of a run, written at its end, on demand, or served while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell import settings as typed
from simplecell.commands import eyes
from simplecell.errors import UserError
from simplecell.run import Run, write_atomically

if TYPE_CHECKING:
    import torch
    from torch import nn

    from simplecell.data.batches import Splits
    from simplecell.report.evidence import Evidence, Record
    from simplecell.report.section import Section
    from simplecell.tasks.task import Task

#: The page's name in the run folder.
PAGE = "report.html"


def report(run: Run, out: Path | None, *, live: bool, port: int, json: bool) -> int:
    """Write a run's report, or serve it while the run trains."""
    if live:
        if out is not None or json:
            what = "--out" if out is not None else "--json"
            raise UserError(
                "a page that is served is not written", where=what, remedy="leave out one of the two"
            )
        from simplecell.commands.live import serve

        return serve(run, port)
    path = make_report(run, out)
    if json:
        figures = _figures(run)
        eyes.answer({"run": str(run.path), "report": str(path), "bytes": path.stat().st_size, **figures})
    else:
        print(path)
    return 0


def make_report(run: Run, path: Path | None = None) -> Path:
    """Write the report of a run in whatever state: of one that has not finished, what its record tells."""
    from simplecell.report.general import report_page

    if not run.finished:
        return write_file(path or run.path / PAGE, report_page(record_of(run, run.state)))
    from simplecell.commands.opening import open_net
    from simplecell.commands.train import digest_of

    with eyes.progress(quiet=False):
        opened = open_net(run.path)
        splits = opened.task.load()
    if digest_of(splits) != (run.read("data.json") or {}).get("digest"):
        raise UserError(
            "the data are not those that this run was made with",
            where=opened.task.data,
            remedy="restore them; figures on other data come from `evaluate`",
        )
    return write_report(run, opened.task, opened.net, splits, opened.device, path=path)


def write_report(
    run: Run,
    task: Task,
    net: nn.Module,
    splits: Splits,
    device: torch.device,
    *,
    known: Mapping[str, Mapping[str, Any]] | None = None,
    path: Path | None = None,
) -> Path:
    """Write the report of a finished run; in its folder unless ``path`` says otherwise.

    known: rows of the task's ``measure`` by side, where they are at hand; others are computed when a
    section asks for them.
    """
    from simplecell.nets.modes import eval_mode
    from simplecell.report.general import report_page

    with eval_mode(net):
        evidence = evidence_of(run, task, net, splits, device, known or {})
        return write_file(path or run.path / PAGE, report_page(evidence, sections_of(task, evidence)))


def sections_of(task: Task, evidence: Evidence) -> list[Section]:
    """What the task shows of the run; a task of a user's own may show nothing."""
    make = getattr(task, "sections", None)
    return [] if make is None else list(make(evidence))


def write_file(path: Path, page: str) -> Path:
    """Write a page whole, or leave what was there; a UserError names the file."""
    try:
        write_atomically(path, page)
    except OSError as error:
        raise UserError(
            f"the page cannot be written ({error.strerror})", where=path, remedy="name another file"
        ) from None
    return path


def record_of(run: Run, state: str) -> Record:
    """What the run folder tells by itself. state: "finished", "running", "stopped" or "begun"."""
    from simplecell.report.evidence import Record

    return Record(**_record(run, state))


def evidence_of(
    run: Run,
    task: Task,
    net: nn.Module,
    splits: Splits,
    device: torch.device,
    known: Mapping[str, Mapping[str, Any]],
) -> Evidence:
    """The record of a finished run with its net (in eval mode) and data."""
    from simplecell.learn.evaluate import collect
    from simplecell.report.evidence import Evidence

    at_hand = dict(known)

    def rows(side: str) -> Mapping[str, Any]:
        if side not in at_hand:
            at_hand[side] = collect(task.measure, net, splits[side], device)
        return at_hand[side]

    record = _record(run, "finished")
    record["cost"] = {**record["cost"], **_cost(net, splits, device)}
    return Evidence(**record, splits=splits, net=net, device=device, rows=rows)


def _record(run: Run, state: str) -> dict[str, Any]:
    table = run.settings()
    asked = typed.flat_table(table["settings"])
    data = dict(run.read("data.json") or {})
    headline, fields = _of_task(table["task"])
    return {
        "path": run.path.resolve(),
        "task": table["task"],
        "settings": {**asked, **table.get("measured", {})},
        "meaning": data.pop("meaning", {}),
        "data": data,
        "environment": run.read("environment.json") or {},
        "journal": run.metrics(),
        "figures": _figures(run),
        "cost": run.read("cost.json") or {},
        "state": state,
        "headline": headline,
        "asked": asked,
        "fields": fields,
    }


def _of_task(name: str) -> tuple[tuple[str, str], dict[str, typed.Field]]:
    """Headline and settings of the task's class; without them where its file is gone."""
    from simplecell.tasks.task import load_task

    with suppress(UserError):
        cls = load_task(name)
        return cls.headline, typed.fields_of(cls)
    return ("", "max"), {}


def _figures(run: Run) -> dict[str, Any]:
    from simplecell import artefact

    return dict(artefact.read_header(run.artefact).figures) if run.finished else {}


def _cost(net: nn.Module, splits: Splits, device: torch.device) -> dict[str, float]:
    """Parameters, and multiply-adds where an example is a picture."""
    import numpy as np

    from simplecell.nets import cost

    found: dict[str, float] = {"parameters": cost.parameters(net)}
    side = next((side for side in (splits.test, splits.validation, splits.train) if len(side)), None)
    if side is not None and "picture" in (example := side.batch(np.arange(1))):
        found["macs"] = cost.macs(net, example["picture"].to(device))
    return found
