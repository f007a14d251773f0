"""The sections that every report has, whatever its task: figures, data, training, cost, settings, machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from simplecell.report.curves import curves
from simplecell.report.evidence import Record
from simplecell.report.page import render
from simplecell.report.section import Section
from simplecell.report.sheet import data_sheet
from simplecell.report.tables import (
    duration,
    figure_value,
    folded,
    interval,
    pairs,
    paragraph,
    quantity,
    setting_value,
    size,
    table,
)

#: What the usual figures say, in a line.
GLOSSARY = {
    "accuracy": "the share of examples whose class is told rightly",
    "top-5 accuracy": "the share whose class is among the five with the highest scores",
    "balanced accuracy": "the mean over the classes of the share told rightly",
    "nll": "mean −log of the probability given to the right class, in nats; lower is better",
    "ECE": "how far scores lie from the share that is right at such a score; lower is better",
    "MAE": "mean absolute error; lower is better",
    "RMSE": "root of the mean squared error; lower is better",
}


def report_page(record: Record, own: Sequence[Section] = ()) -> str:
    """The report as HTML: the general sections, with the task's own after the training."""
    name, _ = record.headline
    figure = record.figures.get(name)
    value = f" – {name} {figure_value(name, figure['value'])}" if figure else ""
    sections = [figures(record), data_sheet(record), curves(record), *own, cost(record)]
    sections += [settings(record), environment(record)]
    return render(
        title=f"{record.path.name}{value}",
        kind="Report",
        heading=record.path.name,
        about=about(record),
        hero=hero(record),
        sections=[section for section in sections if section is not None],
    )


def about(record: Record) -> str:
    """Task, net, data and state in a line."""
    parts = [record.task.rpartition("/")[2]]
    if net := str(record.settings.get("net", "")):
        parts.append(f"net {net if len(net) <= 60 else net[:59] + '…'}")
    if data := str(record.settings.get("data", "")):
        parts.append(f"data {Path(data).name}")
    if record.state != "finished":
        parts.append(record.state)
    return " · ".join(parts)


def hero(record: Record) -> Markup:
    """The headline figure, large, with its interval and what it was measured on."""
    name, _ = record.headline
    figure = record.figures.get(name)
    if figure is None:
        return Markup("")
    count = record.data.get("pictures", record.data.get("counts", {})).get("test")
    on = f" on {count:,} test examples" if count else ""
    sure = f"; 95 % interval {interval(name, figure)}" if figure.get("low") is not None else ""
    return Markup('<p class="hero"><strong>{}</strong> <span>{}{}</span></p>').format(
        figure_value(name, figure["value"]), f"{name}{on}", sure
    )


def figures(record: Record) -> Section | None:
    """All figures of the test side; None where there are none."""
    if not record.figures:
        return None
    rows = [
        [
            name,
            figure_value(name, figure["value"]),
            interval(name, figure),
            Markup('<span class="quiet">{}</span>').format(GLOSSARY.get(name, "")),
        ]
        for name, figure in record.figures.items()
    ]
    headings = ["figure", "value", "95 % interval", "what it is"]
    shown = table("Figures on the test side", headings, rows, words=["what it is"])
    return Section(
        "figures", "Figures", shown, lead="Measured once, on the test side, which no step has seen."
    )


def cost(record: Record) -> Section | None:
    """What the training took and what the net takes; None where nothing is known."""
    known = record.cost
    told: list[tuple[str, str | Markup]] = []
    epochs = max((line.get("epoch", 0.0) for line in record.journal), default=0.0)
    if "seconds" in known:
        told.append(("training", duration(known["seconds"])))
        if epochs:
            told.append(("an epoch", duration(known["seconds"] / epochs)))
    if "peak_memory" in known:
        told.append(("peak memory", size(known["peak_memory"])))
    if "parameters" in known:
        told.append(("parameters", quantity(known["parameters"])))
    if "macs" in known:
        told.append(("multiply-adds an example", quantity(known["macs"])))
    return Section("cost", "Cost", pairs(told)) if told else None


def settings(record: Record) -> Section:
    """Settings that were asked for, those that were chosen at the start, and the rest folded."""
    fields, values, asked = record.fields, record.settings, record.asked
    given = [n for n in values if n in fields and asked.get(n, fields[n].default) != fields[n].default]
    chosen = [n for n in values if n in asked and asked[n] != values[n] and n not in given]
    others = [n for n in values if n not in given and n not in chosen]
    parts = []
    if given:
        rows = [
            [n, setting_value(values[n]), setting_value(fields[n].default), _help(record, n)] for n in given
        ]
        parts.append(_settings_table("Asked for", ["setting", "value", "default", "what it is"], rows))
    if chosen:
        rows = [[n, setting_value(values[n]), _help(record, n)] for n in chosen]
        parts.append(
            _settings_table("Chosen or measured at the start", ["setting", "value", "what it is"], rows)
        )
    if others:
        rows = [[n, setting_value(values[n]), _help(record, n)] for n in others]
        rest = _settings_table("Settings at their defaults", ["setting", "value", "what it is"], rows, False)
        parts.append(
            folded(f"{len(others)} at their defaults" if fields else f"{len(others)} settings", rest)
        )
    kinds = {"asked for": given, "chosen by the data or measured": chosen, "at their defaults": others}
    lead = ", ".join(f"{len(names)} {kind}" for kind, names in kinds.items()) + "." if fields else ""
    return Section("settings", "Settings", Markup("\n").join(parts), lead=lead)


def _settings_table(
    caption: str, headings: Sequence[str], rows: Iterable[Sequence[str | Markup]], heading: bool = True
) -> Markup:
    title = Markup("<h3>{}</h3>").format(caption) if heading else Markup("")
    return title + table(caption, headings, rows, words=headings)


def _help(record: Record, name: str) -> Markup:
    text = record.fields[name].help if name in record.fields else ""
    return Markup('<span class="quiet">{}</span>').format(text)


def environment(record: Record) -> Section | None:
    """Versions and machine; None before the run began."""
    known: Mapping[str, Any] = record.environment
    if not known:
        return None
    plain: list[tuple[str, str | Markup]] = [
        (k, str(v)) for k, v in known.items() if not isinstance(v, Mapping)
    ]
    versions = known.get("versions", {})
    return Section(
        "environment", "Environment", pairs([*plain, *((name, str(v)) for name, v in versions.items())])
    )


def live_page(record: Record, status: str) -> str:
    """The page of a run that has not finished; it asks its server for news."""
    hero = Markup(
        '<p class="hero"><strong class="status" id="status">{}</strong></p>\n'
        '<p id="ready" role="status" hidden><a href="report">Read the report</a></p>'
    ).format(status)
    sections = [section for section in (settings(record), environment(record)) if section is not None]
    return render(
        title=f"{record.path.name} – live",
        kind="Live",
        heading=record.path.name,
        about=about(record),
        hero=hero,
        sections=[
            Section("training", "Training", Markup('<div id="news">{}</div>').format(live_sections(record))),
            *sections,
        ],
        live=True,
    )


def live_sections(record: Record) -> Markup:
    """What changes while a run trains: its curves, and the data sheet once they were read."""
    training, data = curves(record), data_sheet(record)
    parts = [paragraph(training.lead) if training.lead else Markup(""), training.html]
    if data is not None:
        parts.append(Markup("<h3>{}</h3>{}{}").format(data.title, paragraph(data.lead), data.html))
    return Markup("\n").join(parts)
