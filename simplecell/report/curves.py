"""How a training went: loss terms, learning rate and validation figures, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from simplecell.report.charts import lines
from simplecell.report.evidence import Record
from simplecell.report.section import Section
from simplecell.report.tables import figure_value, folded, is_share, number, paragraph

#: Points of a curve; of more, neighbours are taken together, or the page would grow with the training.
_POINTS = 240

Line = Mapping[str, Any]
Points = list[tuple[float, float]]


def curves(record: Record) -> Section:
    """The curves of every stage that was learnt."""
    stages = by_stage(record.journal)
    learnt = [name for name, journal in stages.items() if not all("fitted" in line for line in journal)]
    parts = []
    for name, journal in stages.items():
        if name in learnt and len(learnt) > 1:
            parts.append(Markup("<h3>{}</h3>").format(name))
        parts.append(_stage(name, journal, record.headline))
    if not stages:
        parts.append(paragraph("No step has been recorded yet."))
    return Section("training", "Training", Markup("\n").join(parts), lead=_lead(record))


def by_stage(journal: Iterable[Line]) -> dict[str, list[Line]]:
    """The lines of the journal by their stage, in the order of the training."""
    stages: dict[str, list[Line]] = {}
    for line in journal:
        stages.setdefault(line["stage"], []).append(line)
    return stages


def series(journal: Iterable[Line], kind: str) -> dict[str, Points]:
    """The curves of a kind ("train", "rate" or "validation") by name: points (epoch, value)."""
    found: dict[str, Points] = {}
    for line in journal:
        for name, value in line.get(kind, {}).items():
            if value is not None:
                found.setdefault(name, []).append((float(line["epoch"]), float(value)))
    return {_name(name, found): thinned(points) for name, points in found.items()}


def best(points: Points, direction: str) -> tuple[float, float]:
    """The point of the best value; the first of equals. Raises ValueError where none is finite."""
    finite = [point for point in points if math.isfinite(point[1])]
    sign = -1 if direction == "max" else 1
    return min(finite, key=lambda point: sign * point[1])


def thinned(points: Points, count: int = _POINTS) -> Points:
    """At most ``count`` points: each the last x and the mean value of its neighbours."""
    if len(points) <= count:
        return points
    edges = [len(points) * k // count for k in range(count + 1)]
    return [
        (points[end - 1][0], sum(value for _, value in points[start:end]) / (end - start))
        for start, end in pairwise(edges)
    ]


def _name(name: str, names: Iterable[str]) -> str:
    """``classifier/cross_entropy`` as a person says it; the update's name goes where there is but one."""
    updates = {other.partition("/")[0] for other in names if "/" in other}
    return (name.partition("/")[2] if "/" in name and len(updates) == 1 else name).replace("_", " ")


def _stage(name: str, journal: Sequence[Line], headline: tuple[str, str]) -> Markup:
    fitted = [
        paragraph(f"{name}: fitted on the {line['fitted']} side, in one go.")
        for line in journal
        if "fitted" in line
    ]
    losses, rates = series(journal, "train"), series(journal, "rate")
    judged = series(journal, "validation")
    charts = []
    main = headline[0] if headline[0] in judged else next(iter(judged), "")
    if main:
        charts.append(_validation(main, judged[main], headline))
    if losses:
        charts.append(_losses(losses))
    if rates:
        title = "Learning rate"
        told = f"{title}, from {_ends(next(iter(rates.values())))}"
        charts.append(lines(rates, title=title, x="epoch", y="rate", description=told))
    others = [_validation(key, points, headline) for key, points in judged.items() if key != main]
    more = folded("The other validation figures", _together(others)) if others else Markup("")
    return Markup("").join([*fitted, _together(charts) if charts else Markup(""), more])


def _together(charts: Sequence[Markup]) -> Markup:
    return Markup('<div class="charts">\n{}\n</div>').format(Markup("\n").join(charts))


def _losses(losses: Mapping[str, Points]) -> Markup:
    values = [value for points in losses.values() for _, value in points if math.isfinite(value)]
    # Where a loss falls by orders of magnitude, a plain axis shows but its beginning.
    log = bool(values) and min(values) > 0 and max(values) / min(values) > 30
    title = "Loss, training side"
    told = "; ".join(f"{name}: {_ends(points)}" for name, points in losses.items())
    return lines(losses, title=title, x="epoch", y="loss", description=told, log_y=log)


def _validation(name: str, points: Points, headline: tuple[str, str]) -> Markup:
    told = f"From {_ends(points, name)}."
    mark = None
    if name == headline[0] and any(math.isfinite(value) for _, value in points):
        epoch, value = best(points, headline[1])
        mark = ("best", epoch, value)
        told = f"Best {figure_value(name, value)} at epoch {number(epoch)}; from {_ends(points, name)}."
    return lines(
        {name: points},
        title=f"Validation {name}",
        x="epoch",
        y=name,
        description=told,
        mark=mark,
        percent_y=is_share(name),
    )


def _ends(points: Points, name: str = "") -> str:
    first, last = points[0][1], points[-1][1]
    if name:
        return f"{figure_value(name, first)} to {figure_value(name, last)}"
    return f"{number(first, 3)} to {number(last, 3)}"


def _lead(record: Record) -> str:
    name, direction = record.headline
    points = [
        p for line in by_stage(record.journal).values() for p in series(line, "validation").get(name, [])
    ]
    if not any(math.isfinite(value) for _, value in points):
        return ""
    epoch, value = best(points, direction)
    told = figure_value(name, value)
    if len(points) == 1:
        return f"The validation {name} was {told} after epoch {number(epoch)}."
    if len({value for _, value in points}) == 1:
        return f"The validation {name} stayed at {told}."
    return (
        f"The validation {name} went from {figure_value(name, points[0][1])} to "
        f"{figure_value(name, points[-1][1])}; it was best, {told}, after epoch {number(epoch)}."
    )
