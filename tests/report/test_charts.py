"""Charts: well-formed, true to their numbers, and readable without seeing them."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from simplecell.metrics.intervals import Figure
from simplecell.report.charts import _apart, bars, intervals, lines
from simplecell.report.drawing import Axes, Scale, marker, scale_of
from simplecell.report.tables import number, percent

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)


def parsed(chart: Markup) -> ElementTree.Element:
    """The chart as XML; ill-formed markup raises."""
    return ElementTree.fromstring(str(chart))


def cells(chart: Markup) -> list[list[str]]:
    return [[cell.text or "" for cell in row] for row in parsed(chart).iter("tr")][1:]


def words(chart: Markup) -> str:
    (drawing,) = parsed(chart).iter("svg")
    return " ".join(text.text or "" for text in drawing.iter("text"))


@given(st.dictionaries(names, st.lists(st.tuples(finite, finite), max_size=30), min_size=1, max_size=8))
def test_curves_are_well_formed_and_every_value_stands_in_the_table(
    series: dict[str, list[tuple[float, float]]],
) -> None:
    ordered = {name: sorted(dict(points).items()) for name, points in series.items()}
    chart = lines(ordered, title="A & <b>", x="epoch", y="loss", description="what is <seen>")
    rows = cells(chart)
    for column, points in enumerate(ordered.values(), start=1):
        told = [row[column] for row in rows if row[column]]
        assert told == [number(value) for _, value in points]


def test_a_drawing_has_a_role_a_name_and_a_description() -> None:
    chart = lines({"loss": [(1, 2.0)]}, title="Loss", x="epoch", y="loss", description="It falls.")
    (drawing,) = parsed(chart).iter("svg")
    assert drawing.get("role") == "img"
    assert drawing.get("aria-label") == "Loss. It falls."
    assert drawing.findtext("desc") == "It falls."


def test_a_point_lies_where_its_axes_say() -> None:
    chart = lines({"a": [(0, 0.0), (5, 5.0), (10, 10.0)]}, title="t", x="x", y="y", description="d")
    axes = Axes(Scale(0, 10), Scale(0, 10))
    (curve,) = [path for path in parsed(chart).iter("path") if path.get("class") == "curve s1"]
    wanted = "L".join(f"{axes.across(v):.1f} {axes.up(v):.1f}" for v in (0, 5, 10))
    assert curve.get("d") == f"M{wanted}"
    assert axes.up(10) < axes.up(0)  # more is higher


def test_series_differ_by_mark_and_label_and_not_by_colour_alone() -> None:
    series = {name: [(0.0, float(k)), (1.0, float(k))] for k, name in enumerate(["ash", "elm", "fir"])}
    chart = lines(series, title="t", x="x", y="y", description="d")
    shapes = [re.sub(r"[\d.-]+", "", marker(style, 0, 0)) for style in range(6)]
    assert len(set(shapes)) == 6
    assert {"ash", "elm", "fir"} <= set(words(chart).split())


def test_what_is_not_finite_is_told_and_not_drawn() -> None:
    chart = lines({"a": [(0, 1.0), (1, math.nan), (2, math.inf)]}, title="t", x="x", y="y", description="d")
    assert [row[1] for row in cells(chart)] == ["1", "–", "–"]
    assert "nan" not in str(chart)
    assert "inf" not in str(chart)


def test_a_logarithmic_axis_leaves_out_what_has_no_logarithm() -> None:
    points = [(0.0, 100.0), (1.0, 1.0), (2.0, 0.0)]
    chart = lines({"a": points}, title="t", x="x", y="y", description="d", log_y=True)
    (curve,) = [path for path in parsed(chart).iter("path") if path.get("class") == "curve s1"]
    assert str(curve.get("d")).count("L") == 1
    assert len(cells(chart)) == 3


def test_shares_are_told_in_per_cent() -> None:
    chart = lines({"a": [(1, 0.5), (2, 0.75)]}, title="t", x="x", y="y", description="d", percent_y=True)
    assert [row[1] for row in cells(chart)] == [percent(0.5), percent(0.75)]
    assert "70%" in words(chart)


figures = st.builds(
    lambda value, below, above: Figure(value, value - below, value + above),
    finite,
    st.floats(0, 1e3),
    st.floats(0, 1e3),
)


@given(st.dictionaries(names, figures, min_size=1, max_size=30))
def test_bars_and_intervals_tell_value_and_ends_in_their_tables(values: dict[str, Figure]) -> None:
    for chart in (
        bars(values, title="t", unit="pictures", description="d"),
        intervals(values, title="t", name="loss", description="d"),
    ):
        rows = cells(chart)
        assert [row[0] for row in rows] == list(values)
    rows = cells(bars(values, title="t", unit="pictures", description="d"))
    assert [row[1:] for row in rows] == [
        [number(v) for v in (f.value, f.low, f.high)] for f in values.values()
    ]


def test_a_bar_begins_at_nought_and_is_as_long_as_its_value() -> None:
    chart = bars({"a": Figure(0.5), "b": Figure(1.0)}, title="t", unit="%", description="d")
    first, second = (rect for rect in parsed(chart).iter("rect"))
    assert first.get("x") == second.get("x")
    assert float(str(second.get("width"))) == pytest.approx(2 * float(str(first.get("width"))), abs=0.2)


def test_a_figure_without_interval_has_no_whisker() -> None:
    bare = bars({"a": Figure(0.5)}, title="t", unit="%", description="d")
    sure = bars({"a": Figure(0.5, 0.4, 0.6)}, title="t", unit="%", description="d")
    assert "whisker" not in str(bare)
    assert str(sure).count("whisker") == 3


def test_long_names_are_cut_beside_the_drawing_and_whole_in_the_table() -> None:
    name = "a_very_long_name_of_a_class_indeed"
    chart = bars({name: Figure(1)}, title="t", unit="pictures", description="d")
    assert name not in words(chart)
    assert cells(chart)[0][0] == name


@given(finite, finite)
def test_ticks_are_round_few_and_within_the_scale(a: float, b: float) -> None:
    scale = scale_of([a, b])
    ticks = scale.ticks()
    assert scale.low <= min(a, b) + 1e-9 * abs(a) + 1e-9
    assert scale.high >= max(a, b) - 1e-9 * abs(b) - 1e-9
    assert 2 <= len(ticks) <= 8
    assert all(-1e-6 <= scale.share(tick) <= 1 + 1e-6 for tick in ticks)


@given(st.floats(1e-6, 1e6), st.floats(1.5, 1e6))
def test_ticks_of_a_logarithmic_scale_lie_within_it(low: float, ratio: float) -> None:
    scale = scale_of([low, low * ratio], log=True)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 12
    assert all(0 <= scale.share(tick) <= 1 for tick in ticks)


@given(st.lists(st.floats(0, 200), min_size=1, max_size=10))
def test_labels_stand_apart_and_in_order(places: list[float]) -> None:
    moved = _apart(places, 14, 200)
    order = sorted(range(len(places)), key=lambda k: places[k])
    assert all(moved[b] - moved[a] >= 14 - 1e-9 for a, b in itertools.pairwise(order))
    assert max(moved) <= 200
