"""Several runs on one page: what differs in their settings, their figures side by side, their curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from markupsafe import Markup

from simplecell.metrics.intervals import Figure
from simplecell.report.charts import intervals, lines
from simplecell.report.curves import Points, series
from simplecell.report.evidence import Record
from simplecell.report.page import render
from simplecell.report.section import Section
from simplecell.report.tables import (
    duration,
    figure_value,
    interval,
    is_share,
    paragraph,
    setting_value,
    size,
    table,
)

Named = Mapping[str, Record]


def compared_page(records: Sequence[Record]) -> str:
    """The comparison of two or more runs as HTML; each run is told by a letter."""
    named = {_letter(place): record for place, record in enumerate(records)}
    sections = [_runs(named), _figures(named), _settings(named), _curves(named), _cost(named)]
    names = " and ".join(record.path.name for record in records[:2])
    more = f" and {len(records) - 2} more" if len(records) > 2 else ""
    return render(
        title=f"{names}{more} compared",
        kind="Comparison",
        heading=f"{len(records)} runs",
        about=", ".join(f"{letter} {record.path.name}" for letter, record in named.items()),
        hero=Markup(""),
        sections=[section for section in sections if section is not None],
    )


def overlap(a: Mapping[str, float | None], b: Mapping[str, float | None]) -> bool | None:
    """Whether the intervals of two figures have a point in common; None where one has no interval."""
    low_a, high_a, low_b, high_b = a.get("low"), a.get("high"), b.get("low"), b.get("high")
    if low_a is None or high_a is None or low_b is None or high_b is None:
        return None
    return low_a <= high_b and low_b <= high_a


def _letter(place: int) -> str:
    """A, B, …, Z, A2, B2, …"""
    rest, within = divmod(place, len(ascii_uppercase))
    return ascii_uppercase[within] + (str(rest + 1) if rest else "")


def _runs(named: Named) -> Section:
    rows = [
        [letter, r.path.name, r.state, r.task.rpartition("/")[2], _value(r, "net"), str(r.path.parent)]
        for letter, r in named.items()
    ]
    headings = ["run", "name", "state", "task", "net", "folder"]
    return Section("runs", "Runs", table("Runs", headings, rows, words=headings), lead=_verdict(named))


def _verdict(named: Named) -> str:
    """Which run is best by the headline figure, and whether the others may be as good."""
    name, direction = next(iter(named.values())).headline
    judged = {
        letter: (value, record.figures[name])
        for letter, record in named.items()
        if name in record.figures and (value := record.figures[name]["value"]) is not None
    }
    if len(judged) < 2:
        return ""
    sign = 1 if direction == "max" else -1
    best = max(judged, key=lambda letter: sign * judged[letter][0])
    told = f"{best} has the best {name}, {figure_value(name, judged[best][0])}"
    near = [k for k in judged if k != best and overlap(judged[k][1], judged[best][1])]
    if near:
        return f"{told}; the interval of {_list(near)} overlaps with it: the difference may be chance."
    return f"{told}; no other interval overlaps with it."


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _figures(named: Named) -> Section | None:
    names = list(dict.fromkeys(name for record in named.values() for name in record.figures))
    if not names:
        return None
    charts = []
    for name in names:
        values = {k: _figure(r.figures[name]) for k, r in named.items() if name in r.figures}
        told = "; ".join(f"{k} {figure_value(name, f.value)}" for k, f in values.items())
        charts.append(intervals(values, title=f"Test {name}", name=name, description=f"{told}."))
    rows = [[name, *(_told(record, name) for record in named.values())] for name in names]
    html = Markup('<div class="charts">{}</div>{}').format(
        Markup("\n").join(charts),
        table("Figures by run, with 95 % intervals", ["figure", *named], rows),
    )
    return Section("figures", "Figures", html, lead=_same_data(named))


def _figure(told: Mapping[str, float | None]) -> Figure:
    value = told["value"]
    return Figure(float("nan") if value is None else value, told.get("low"), told.get("high"))


def _told(record: Record, name: str) -> str:
    if name not in record.figures:
        return "–"
    figure = record.figures[name]
    return f"{figure_value(name, figure['value'])} ({interval(name, figure)})"


def _same_data(named: Named) -> str:
    digests = {record.data.get("digest") for record in named.values() if record.data}
    if len(digests) == 1:
        return "All were trained and judged on the same pictures; the bars are 95 % intervals."
    return "The runs do not have the same pictures on the same sides, so their figures compare only roughly."


def _settings(named: Named) -> Section:
    names = list(dict.fromkeys(name for record in named.values() for name in record.settings))
    differing = [n for n in names if len({repr(r.settings.get(n)) for r in named.values()}) > 1]
    if not differing:
        return Section("settings", "Settings", paragraph("All settings are equal."))
    rows = [[n, *(_value(record, n) for record in named.values())] for n in differing]
    shown = table("Settings that differ", ["setting", *named], rows, words=list(named))
    lead = f"{len(differing)} of {len(names)} settings differ."
    return Section("settings", "Settings that differ", shown, lead=lead)


def _value(record: Record, name: str) -> str:
    return setting_value(record.settings.get(name, ""))


def _curves(named: Named) -> Section | None:
    """Validation figures and losses over the epochs, the runs in one chart each."""
    charts = []
    for kind, title in (("validation", "Validation {}"), ("train", "Loss: {}")):
        by_run = {letter: _stages_in_a_row(record, kind) for letter, record in named.items()}
        for name in _in_order(by_run, named):
            shown = {letter: curves[name] for letter, curves in by_run.items() if name in curves}
            told = "; ".join(f"{letter} ends at {_last(name, points)}" for letter, points in shown.items())
            charts.append(
                lines(
                    shown,
                    title=title.format(name),
                    x="epoch",
                    y=name,
                    description=f"{told}.",
                    percent_y=is_share(name),
                )
            )
    if not charts:
        return None
    html = Markup('<div class="charts">{}</div>').format(Markup("\n").join(charts))
    return Section("curves", "Curves", html)


def _in_order(by_run: Mapping[str, Mapping[str, Points]], named: Named) -> list[str]:
    """The names of curves, the headline's first."""
    names = list(dict.fromkeys(name for curves in by_run.values() for name in curves))
    headlines = {record.headline[0] for record in named.values()}
    return sorted(names, key=lambda name: name not in headlines)


def _last(name: str, points: Points) -> str:
    return figure_value(name, points[-1][1])


def _stages_in_a_row(record: Record, kind: str) -> dict[str, Points]:
    """The curves of a run; those of several stages follow one another."""
    before, journal = 0.0, []
    stage, last = "", 0.0
    for line in record.journal:
        if line["stage"] != stage:
            stage, before = line["stage"], before + last
        last = line.get("epoch", 0.0)
        journal.append({**line, "epoch": before + last})
    return series(journal, kind)


def _cost(named: Named) -> Section | None:
    tell = {"seconds": ("training", duration), "peak_memory": ("peak memory", size)}
    rows = [
        [words, *(write(r.cost[key]) if key in r.cost else "–" for r in named.values())]
        for key, (words, write) in tell.items()
        if any(key in record.cost for record in named.values())
    ]
    return Section("cost", "Cost", table("Cost by run", ["cost", *named], rows)) if rows else None
