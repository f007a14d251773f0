"""The comparison of runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from simplecell.report.compared import compared_page, overlap
from simplecell.report.evidence import Record

sys.path.insert(0, str(Path(__file__).parent))

from pages import Page, record, requests


def run(name: str, value: float, low: float, high: float, **changes: object) -> Record:
    figures = {"accuracy": {"value": value, "low": low, "high": high}}
    return record(path=Path("/runs") / name, **{"figures": figures, **changes})


def text_of(*records: Record) -> str:
    return Page(compared_page(records)).text


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ((0.1, 0.2), (0.2, 0.3), True),
        ((0.1, 0.2), (0.21, 0.3), False),
        ((0.0, 1.0), (0.4, 0.5), True),
        ((None, None), (0.4, 0.5), None),
    ],
)
def test_intervals_overlap_where_they_share_a_point(a: tuple, b: tuple, told: bool | None) -> None:
    first, second = ({"low": low, "high": high} for low, high in (a, b))
    assert overlap(first, second) is told
    assert overlap(second, first) is told


def test_the_verdict_names_the_best_run_and_who_may_be_as_good() -> None:
    runs = [run("x", 0.80, 0.7, 0.9), run("y", 0.85, 0.75, 0.95), run("z", 0.5, 0.4, 0.6)]
    assert "B has the best accuracy, 85.00 %; the interval of A overlaps with it" in text_of(*runs)
    assert "no other interval overlaps" in text_of(runs[1], runs[2])


def test_a_headline_that_should_be_small_is_best_where_it_is() -> None:
    figures = [{"MAE": {"value": value, "low": None, "high": None}} for value in (3.0, 2.0)]
    runs = [record(figures=f, headline=("MAE", "min")) for f in figures]
    assert "B has the best MAE, 2.0000" in text_of(*runs)


def test_only_settings_that_differ_are_told() -> None:
    told = text_of(
        run("x", 0.8, 0.7, 0.9, settings={"net": "small", "seed": 1}),
        run("y", 0.8, 0.7, 0.9, settings={"net": "lenet5", "seed": 1, "views": 3}),
    )
    assert "2 of 3 settings differ." in told
    assert "net small lenet5" in told
    assert "views – 3" in told
    assert "seed" not in told


def test_other_data_are_pointed_out() -> None:
    runs = [run("x", 0.8, 0.7, 0.9), run("y", 0.8, 0.7, 0.9)]
    assert "on the same pictures" in text_of(*runs)
    runs[1] = run("y", 0.8, 0.7, 0.9, data={**record().data, "digest": "other"})
    assert "compare only roughly" in text_of(*runs)


def test_stages_of_a_run_follow_one_another() -> None:
    journal = [
        {"stage": stage, "epoch": epoch, "train": {"n/loss": 1.0}}
        for stage in ("a", "b")
        for epoch in (1.0, 2.0)
    ]
    page = compared_page([run("x", 0.8, 0.7, 0.9, journal=journal), run("y", 0.8, 0.7, 0.9, journal=[])])
    assert [f'<th scope="row">{epoch}</th>' in page for epoch in (1, 2, 3, 4, 5)] == [True] * 4 + [False]


def test_a_comparison_has_no_fault_fetches_nothing_and_takes_runs_of_any_state() -> None:
    nothing = record(data={}, meaning={}, environment={}, journal=[], figures={}, cost={}, state="begun")
    evil = run("<script>alert(1)</script>".replace("/", "-"), 0.8, 0.7, 0.9, settings={"net": "<b>"})
    page = compared_page([run("x", 0.8, 0.7, 0.9), nothing, evil])
    assert Page(page).faults == []
    assert requests(page) == []
    assert "<script>alert" not in page
