"""runs: list and compare run folders."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simplecell import artefact
from simplecell.commands import eyes
from simplecell.errors import UserError
from simplecell.run import Run
from simplecell.settings import flat_table

_BLOCKS = "▁▂▃▄▅▆▇█"
_POINTS = 40


def _about(run: Run) -> dict[str, Any]:
    """What is known of a run without loading its net."""
    table = run.settings()
    flat = {**flat_table(table["settings"]), **table.get("measured", {})}
    figures = artefact.read_header(run.artefact).figures if run.finished else {}
    return {
        "run": str(run.path),
        "task": table["task"],
        "state": run.state,
        "settings": flat,
        "figures": figures,
    }


def _headline(figures: Mapping[str, Any]) -> str:
    """The first figure; a task puts its headline first."""
    return next((f"{name} {eyes.figure_text(figure)}" for name, figure in figures.items()), "")


def list_runs(runs: Sequence[Run], json: bool) -> int:
    """One line a run, oldest first."""
    found, broken = [], 0
    for run in runs:
        try:
            found.append(_about(run))
        except UserError as error:
            eyes.say(str(error))
            broken += 1
    if json:
        eyes.answer(found)
    elif not found:
        eyes.say("there are no runs here; begin one with `simplecell demo` or `simplecell train`")
    else:
        eyes.table(
            [
                {
                    "run": about["run"],
                    "task": about["task"].rpartition("/")[2],
                    "state": about["state"],
                    "net": str(about["settings"].get("net", ""))[:24],
                    "figure": _headline(about["figures"]),
                }
                for about in found
            ]
        )
    return 2 if broken else 0


def write_page(runs: Sequence[Run], path: Path) -> int:
    """The comparison as a page."""
    from simplecell.commands.report import record_of, write_file
    from simplecell.report.compared import compared_page

    print(write_file(path, compared_page([record_of(run, run.state) for run in runs])))
    return 0


def compare(runs: Sequence[Run], json: bool) -> int:
    """Settings that differ (all, for one run), figures, and the validation curves."""
    abouts = [_about(run) for run in runs]
    names = sorted({name for about in abouts for name in about["settings"]})
    differing = [
        n for n in names if len({repr(a["settings"].get(n)) for a in abouts}) > 1 or len(abouts) == 1
    ]
    curves = {str(run.path): _curves(run) for run in runs}
    if json:
        settings = {n: [about["settings"].get(n) for about in abouts] for n in differing}
        figures = {about["run"]: about["figures"] for about in abouts}
        states = {about["run"]: about["state"] for about in abouts}
        eyes.answer({"states": states, "settings": settings, "figures": figures, "curves": curves})
        return 0
    titles = [about["run"].rpartition("/")[2] for about in abouts]
    rows = [("state", [about["state"] for about in abouts])]
    rows += [(n, [str(about["settings"].get(n, "")) for about in abouts]) for n in differing]
    shown = dict.fromkeys(name for about in abouts for name in about["figures"])
    rows += [(n, [_figure(about["figures"], n) for about in abouts]) for n in shown]
    lines = dict.fromkeys(name for curve in curves.values() for name in curve)
    rows += [(f"{n} curve", [sparkline(curves[about["run"]].get(n, [])) for about in abouts]) for n in lines]
    keys = [f"{number} {title}" if titles.count(title) > 1 else title for number, title in enumerate(titles)]
    eyes.table([{"": name, **dict(zip(keys, values, strict=True))} for name, values in rows])
    return 0


def _figure(figures: Mapping[str, Any], name: str) -> str:
    return eyes.figure_text(figures[name]) if name in figures else ""


def _curves(run: Run) -> dict[str, list[float]]:
    """The figures on the validation side, evaluation after evaluation."""
    curves: dict[str, list[float]] = {}
    for line in run.metrics():
        for name, value in line.get("validation", {}).items():
            curves.setdefault(name, []).append(value)
    return curves


def sparkline(values: Sequence[float]) -> str:
    """A curve in one line of text, its ends written out."""
    if not values:
        return ""
    picked = (
        [values[round(k * (len(values) - 1) / (_POINTS - 1))] for k in range(_POINTS)]
        if len(values) > _POINTS
        else values
    )
    low, high = min(picked), max(picked)
    span = (high - low) or 1.0
    line = "".join(_BLOCKS[min(7, int(8 * (value - low) / span))] for value in picked)
    return f"{values[0]:.4g} {line} {values[-1]:.4g}"


def prune(runs: Sequence[Run], json: bool) -> int:
    """Delete what no longer serves: checkpoints of finished runs, and runs that never made a step."""
    freed, gone = 0, []
    for run in runs:
        state = run.state
        checkpoints = run.path / "checkpoints"
        if state == "finished" and checkpoints.is_dir():
            freed += sum(p.stat().st_size for p in checkpoints.iterdir())
            shutil.rmtree(checkpoints)
            gone.append(str(checkpoints))
        elif state == "begun":
            freed += sum(p.stat().st_size for p in run.path.rglob("*") if p.is_file())
            shutil.rmtree(run.path)
            gone.append(str(run.path))
    if json:
        eyes.answer({"deleted": gone, "bytes": freed})
    else:
        for path in gone:
            print(path, file=sys.stdout)
        eyes.say(f"{len(gone)} deleted, {freed / 1e6:.1f} MB freed")
    return 0
