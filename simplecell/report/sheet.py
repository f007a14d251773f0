"""The data sheet: what a net was trained and judged on, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from simplecell.metrics.intervals import Figure
from simplecell.report.charts import bars
from simplecell.report.evidence import Evidence, Record
from simplecell.report.section import Section
from simplecell.report.tables import folded, items, pairs, table

#: Classes that get a bar; of more, the largest and the smallest are drawn.
_BARS = 24
_SIDES = ("train", "validation", "test")


def data_sheet(record: Record) -> Section | None:
    """Counts, what was left out and why, classes, augmentation; None before the data were read."""
    data = record.data
    if not data:
        return None
    used = _used(record)
    parts = [_counts(data, used) if used else Markup(""), _left_out(data), pairs(_about(record))]
    if isinstance(record, Evidence) and (counts := class_counts(record)):
        parts.append(_balance(counts))
    return Section("data", "Data", Markup("\n").join(parts), lead=_lead(data, used))


def class_counts(evidence: Evidence) -> dict[str, dict[str, int]]:
    """Examples of each class by side; empty where the data have no classes."""
    classes = evidence.meaning.get("classes", ())
    labels: dict[str, NDArray[np.int64]] = {
        side: found
        for side in _SIDES
        if (found := getattr(evidence.splits[side], "labels", None)) is not None
    }
    counted = {side: np.bincount(found, minlength=len(classes)).tolist() for side, found in labels.items()}
    return {
        name: {side: counts[place] for side, counts in counted.items()}
        for place, name in enumerate(classes)
        if counted
    }


def _used(record: Record) -> dict[str, int]:
    """Examples by side that take part, the usual sides first; empty where the record does not tell."""
    known = record.data.get("pictures") or record.data.get("counts") or {}
    if not known and isinstance(record, Evidence):
        known = {side: len(record.splits[side]) for side in _SIDES}
    return {
        side: known[side] for side in sorted(known, key=lambda s: (_SIDES.index(s) if s in _SIDES else 3, s))
    }


def _counts(data: Mapping[str, Any], used: Mapping[str, int]) -> Markup:
    found = data.get("counts", used)
    made, sizes = set(data.get("made", ())), data.get("sizes", {})
    rows = []
    for side, count in used.items():
        broken = data.get("broken", {}).get(side, {}).get("count", 0)
        dropped = found.get(side, count) - broken - count
        origin = "set aside from the data" if side in made else "given by the data"
        extent = _extent(sizes[side]) if side in sizes else "–"
        rows.append([side, f"{count:,}", f"{broken:,}", f"{dropped:,}", origin, *([extent] if sizes else [])])
    headings = ["side", "pictures", "broken", "dropped as leaks", "origin", *(["pixels"] if sizes else [])]
    return table("Pictures by side", headings, rows, words=["origin", "pixels"])


def _extent(size: Mapping[str, Sequence[float]]) -> str:
    """Height and width: ``32 × 32``, or ``100–300 × 120–400, median 200 × 250``."""
    height, width = size["height"], size["width"]
    if height[0] == height[2] and width[0] == width[2]:
        return f"{height[0]:g} × {width[0]:g}"
    ends = [
        f"{length[0]:g}" if length[0] == length[2] else f"{length[0]:g}–{length[2]:g}"
        for length in (height, width)
    ]
    return f"{ends[0]} × {ends[1]}, median {height[1]:g} × {width[1]:g}"


def _left_out(data: Mapping[str, Any]) -> Markup:
    """What was left out or should be known, a sentence each."""
    told: list[str | Markup] = list(data.get("notes", ()))
    for side, leaks in data.get("leaks", {}).items():
        if leaks["equal"] or leaks["near"]:
            fate = "dropped from training" if leaks["dropped"] else "kept: the data's own division stands"
            kinds = {"equal": leaks["equal"], "nearly equal": leaks["near"]}
            counted = " and ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
            told.append(f"Of the training pictures, {counted} one of the {side} side; {fate}.")
    parts = [items(told)] if told else []
    for side, broken in data.get("broken", {}).items():
        if broken["count"]:
            lines: list[str | Markup] = [f"{name}: {fault}" for name, fault, *_ in broken["first"]]
            title = f"{broken['count']:,} broken on the {side} side, left out"
            parts.append(folded(title, items(lines)))
    return Markup("").join(parts)


def _about(record: Record) -> list[tuple[str, str | Markup]]:
    data, meaning = record.data, record.meaning
    told: list[tuple[str, str | Markup]] = []
    if "data" in record.settings:
        told.append(("from", str(record.settings["data"])))
    if "format" in data:
        told.append(("format", _format(record)))
    if "classes" in meaning:
        told.append(("classes", f"{len(meaning['classes']):,}"))
    if "geometry" in meaning:
        geometry = meaning["geometry"]
        colour = "grey" if geometry["channels"] == 1 else "colour"
        told.append(
            (
                "as the net sees them",
                f"{geometry['height']} × {geometry['width']}, {colour}, {geometry['how']}",
            )
        )
    if "by" in data and data.get("made"):
        told.append(
            ("divided by", data["by"] + (f", grouped by {data['group']}" if data.get("group") else ""))
        )
    if "augmentation_reason" in data:
        told.append(("augmentation", f"{data['augmentation_reason']}{_augmentation(data)}"))
    if "digest" in data:
        told.append(("digest", Markup("<code>{}</code>").format(data["digest"][:16])))
    return told


def _format(record: Record) -> str:
    """The layout, and the kinds of files where the examples are files."""
    told = str(record.data["format"])
    if isinstance(record, Evidence):
        # By hand: paths as objects would take a second for a large data set.
        files = [
            name.rpartition("/")[2].rpartition(".") for side in _SIDES for name in record.splits[side].ids
        ]
        kinds = Counter(kind.lower() for stem, _, kind in files if stem)
        if kinds:
            told += " of " + ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(4))
    return told


def _augmentation(data: Mapping[str, Any]) -> str:
    """What is changed at random, of all that could be."""
    neutral = {"crop": 1.0}
    active = {
        name: value
        for name, value in data.get("augmentation", {}).items()
        if not isinstance(value, str) and value != neutral.get(name, 0)
    }
    told = ", ".join(name if value is True else f"{name} {value:g}" for name, value in active.items())
    return f" ({told})" if told else ""


def _balance(counts: Mapping[str, Mapping[str, int]]) -> Markup:
    sides = list(next(iter(counts.values())))
    ranked = sorted(counts, key=lambda name: -counts[name][sides[0]])
    drawn = ranked if len(ranked) <= _BARS else ranked[: _BARS // 2] + ranked[-_BARS // 2 :]
    if len(drawn) == len(ranked):
        drawn = list(counts)
    largest, smallest = counts[ranked[0]][sides[0]], counts[ranked[-1]][sides[0]]
    told = f"{sides[0]} side: from {smallest:,} ({ranked[-1]}) to {largest:,} ({ranked[0]}) pictures a class"
    if len(drawn) < len(ranked):
        told += f"; the {_BARS // 2} largest and the {_BARS // 2} smallest of {len(ranked):,} are drawn"
    chart = bars(
        {name: Figure(counts[name][sides[0]]) for name in drawn},
        title="Pictures a class",
        unit="pictures",
        description=f"{told}.",
    )
    rows: list[Sequence[str]] = [
        [name, *(f"{count:,}" for count in by_side.values())] for name, by_side in counts.items()
    ]
    return Markup("{}{}").format(
        chart, folded("Every class by side", table("Pictures a class by side", ["class", *sides], rows))
    )


def _lead(data: Mapping[str, Any], used: Mapping[str, int]) -> str:
    told = ", ".join(f"{count:,} {side}" for side, count in used.items())
    leaks = [leak for leak in data.get("leaks", {}).values() if not leak["dropped"]]
    kept = sum(leak["equal"] + leak["near"] for leak in leaks)
    warned = (
        f" {kept:,} training {'picture stands' if kept == 1 else 'pictures stand'} on another side too."
        if kept
        else ""
    )
    return f"{told} examples.{warned}" if told else ""
