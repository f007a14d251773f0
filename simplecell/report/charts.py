"""Charts as inline SVG, made by hand: they scale, print, and turn dark with the page.

Each is a ``figure`` with its title, the drawing (``role="img"``, with title and description), and all its
numbers as a table behind a line that opens it. Series are told apart by dash and mark and by a label at
their end, and by colour besides: nothing is lost in grey.

Other charts are made of the parts in ``drawing``, and stand on the page by ``figure``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup

from simplecell.metrics.intervals import Figure
from simplecell.report.drawing import (
    STYLES,
    Axes,
    Scale,
    bar,
    line,
    marker,
    scale_of,
    short,
    svg,
    text,
    tick_words,
    width_of,
)
from simplecell.report.tables import figure_value, folded, number, percent, table

#: Points of a line that get a mark: more would hide the line.
_MARKERS = 24

Series = Mapping[str, Sequence[tuple[float, float]]]


def figure(title: str, drawing: Markup, numbers: Markup, *, description: str = "") -> Markup:
    """A chart on the page: its title, the drawing, what it shows in words, and its numbers as a table."""
    words = Markup('<p class="quiet">{}</p>').format(description) if description else Markup("")
    return Markup('<figure class="chart"><figcaption>{}</figcaption>{}{}{}</figure>').format(
        title, drawing, words, folded("Numbers", numbers)
    )


def lines(
    series: Series,
    *,
    title: str,
    x: str,
    y: str,
    description: str,
    log_y: bool = False,
    mark: tuple[str, float, float] | None = None,
    percent_y: bool = False,
) -> Markup:
    """Curves over a common x.

    series: points (x, y) by name, in the order of x; points that are not finite (or, by logarithm, not
    positive) are in the table alone. x, y: names of the axes. mark: words and the point they point out.
    percent_y: the values are shares of 0 … 1.
    """
    shown = {
        name: [p for p in points if math.isfinite(p[1]) and (p[1] > 0 or not log_y)]
        for name, points in series.items()
    }
    every = [point for points in shown.values() for point in points]
    ends = {name: points[-1] for name, points in shown.items() if points}
    labels = {name: short(name) for name in ends} if len(series) > 1 else {}
    y_scale = scale_of([p[1] for p in every], log=log_y)
    if percent_y:
        y_scale = Scale(max(y_scale.low, 0.0), min(y_scale.high, 1.0))
    axes = Axes(
        _tight([p[0] for p in every]),
        y_scale,
        right=max([16.0, *(14 + width_of(label) for label in labels.values())]),
    )
    parts = [axes.frame(x, y, y_percent=percent_y)]
    parts += [
        _curve(axes, style, name, points, percent_y)
        for style, (name, points) in enumerate(shown.items())
        if points
    ]
    heights = _apart([axes.up(ends[name][1]) for name in labels], 14, axes.height - 6)
    for (name, label), height in zip(labels.items(), heights, strict=True):
        style = list(shown).index(name) % STYLES + 1
        parts.append(text(axes.across(ends[name][0]) + 8, height + 4, label, f"label s{style}"))
    if mark is not None:
        parts.append(_pointed_out(axes, *mark))
    drawing = svg(axes.width, axes.height, Markup("").join(parts), title=title, description=description)
    return figure(title, drawing, _numbers(title, x, series, percent_y), description=description)


def _curve(
    axes: Axes, style: int, name: str, points: Sequence[tuple[float, float]], as_percent: bool
) -> Markup:
    placed = [(axes.across(px), axes.up(py)) for px, py in points]
    path = "L".join(f"{px:.1f} {py:.1f}" for px, py in placed)
    every = max(1, -(-len(placed) // _MARKERS))
    marks = Markup("").join(
        marker(style, px, py, f"{name}: {_value(points[k][1], as_percent)} at {number(points[k][0])}")
        for k, (px, py) in enumerate(placed)
        if k % every == 0 or k == len(placed) - 1
    )
    return Markup('<path d="M{}" class="curve s{}"/>{}').format(path, style % STYLES + 1, marks)


def _pointed_out(axes: Axes, words: str, x: float, y: float) -> Markup:
    px, py = axes.across(x), axes.up(y)
    anchor = "end" if axes.x.share(x) > 0.5 else "start"
    # Above the point, unless that is where the frame ends.
    above = py - 12 if py - 12 > axes.top + 4 else py + 22
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="7" class="ring"/>{}').format(
        px, py, text(px + (4 if anchor == "end" else -4), above, words, "value", anchor)
    )


def _numbers(title: str, x: str, series: Series, as_percent: bool) -> Markup:
    at = sorted({point[0] for points in series.values() for point in points})
    columns = [dict(points) for points in series.values()]
    rows = [[number(v), *(_value(c[v], as_percent) if v in c else "" for c in columns)] for v in at]
    return table(title, [x, *series], rows)


def _value(value: float | None, as_percent: bool) -> str:
    return percent(value) if as_percent else number(value)


def bars(values: Mapping[str, Figure], *, title: str, unit: str, description: str) -> Markup:
    """Bars from 0, one below another, with whiskers where there is an interval.

    unit: "%" where values are shares of 0 … 1 (the axis then ends at 100 %), or what is counted.
    """
    known = [v for f in values.values() for v in (f.value, f.high) if v is not None and math.isfinite(v)]
    scale = Scale(0.0, 1.0) if unit == "%" else scale_of(known, zero=True)
    labels = {name: short(name) for name in values}
    told = {name: percent(f.value, 1) if unit == "%" else number(f.value) for name, f in values.items()}
    row, top = 24.0, 4.0
    left = 10 + max((width_of(label) for label in labels.values()), default=0.0)
    right = 12 + max((width_of(words) for words in told.values()), default=0.0)
    axes = Axes(scale, Scale(0, 1), height=top + row * len(values) + 4, left=left, right=right)
    parts = [line(axes.across(0), top, axes.across(0), axes.height - 4, "axis")]
    for place, (name, figure_) in enumerate(values.items()):
        y = top + row * place
        parts.append(text(left - 7, y + 16, labels[name], "label", "end"))
        parts.append(_bar_with_whisker(axes, figure_, y, row, f"{name}: {told[name]}"))
        parts.append(text(axes.width - right + 8, y + 16, told[name], "value"))
    drawing = svg(axes.width, axes.height, Markup("").join(parts), title=title, description=description)
    rows = [[name, *(_value(v, unit == "%") for v in (f.value, f.low, f.high))] for name, f in values.items()]
    return figure(
        title, drawing, table(title, ["name", "value", "low", "high"], rows), description=description
    )


def _bar_with_whisker(axes: Axes, value: Figure, y: float, row: float, told: str) -> Markup:
    if not math.isfinite(value.value):
        return Markup("")
    start, end = sorted((axes.across(0), axes.across(value.value)))
    drawn = bar(start, y + 4, end - start, row - 8, told=told)
    if value.low is None or value.high is None:
        return drawn
    low, high, middle = axes.across(value.low), axes.across(value.high), y + row / 2
    return Markup("").join(
        [
            drawn,
            line(low, middle, high, middle, "whisker"),
            line(low, middle - 4, low, middle + 4, "whisker"),
            line(high, middle - 4, high, middle + 4, "whisker"),
        ]
    )


def intervals(values: Mapping[str, Figure], *, title: str, name: str, description: str) -> Markup:
    """Points with their intervals, one below another, on a scale that shows where they part.

    name: of the figure, which says how its values are told. Each point has the mark of its series.
    """
    ends = [
        v for f in values.values() for v in (f.value, f.low, f.high) if v is not None and math.isfinite(v)
    ]
    row, top = 28.0, 8.0
    labels = {key: short(key) for key in values}
    left = 14 + max((width_of(label) for label in labels.values()), default=0.0)
    axes = Axes(scale_of(ends), Scale(0, 1), height=top + row * len(values) + 44, left=left)
    base = axes.height - axes.bottom
    parts = []
    for value in axes.x.ticks():
        at = axes.across(value)
        parts.append(line(at, top, at, base, "grid"))
        parts.append(
            text(at, base + 18, tick_words(value, figure_value(name, 0.5).endswith("%")), "tick", "middle")
        )
    parts.append(text(axes.width - axes.right, axes.height - 5, name, "name", "end"))
    for place, (key, f) in enumerate(values.items()):
        y = top + row * (place + 0.5)
        parts.append(text(left - 10, y + 4, labels[key], "label", "end"))
        if not math.isfinite(f.value):
            continue
        if f.low is not None and f.high is not None:
            parts.append(
                line(axes.across(f.low), y, axes.across(f.high), y, f"whisker s{place % STYLES + 1}")
            )
        parts.append(marker(place, axes.across(f.value), y, f"{key}: {figure_value(name, f.value)}", 4.5))
    drawing = svg(axes.width, axes.height, Markup("").join(parts), title=title, description=description)
    rows = [[key, *(figure_value(name, v) for v in (f.value, f.low, f.high))] for key, f in values.items()]
    return figure(
        title, drawing, table(title, ["name", "value", "low", "high"], rows), description=description
    )


def _tight(values: Sequence[float]) -> Scale:
    """From the least to the greatest value, without room beside them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    return Scale(low, high) if low < high else Scale(low - 0.5, high + 0.5)


def _apart(places: Sequence[float], distance: float, bottom: float) -> list[float]:
    """Places moved down as far as it takes that no two are nearer than ``distance``, in their order.

    Where the last would lie below ``bottom``, all that pushed it there go up again.
    """
    order = sorted(range(len(places)), key=lambda k: places[k])
    moved = list(places)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + distance)
    limit = bottom
    for place in reversed(order):
        moved[place] = min(moved[place], limit)
        limit = moved[place] - distance
    return moved
