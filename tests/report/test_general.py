"""What every report tells: figures, data, curves, settings, cost."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from simplecell import settings as typed
from simplecell.data.batches import Splits
from simplecell.report.curves import best, by_stage, curves, series, thinned
from simplecell.report.evidence import Evidence, Record
from simplecell.report.general import hero, report_page, settings
from simplecell.report.sheet import class_counts, data_sheet
from simplecell.report.tables import duration, number, percent, quantity, size
from simplecell.tasks.classify import Classify

sys.path.insert(0, str(Path(__file__).parent))

from pages import Page, record


def text_of(made: Record) -> str:
    return Page(report_page(made)).text


def test_the_title_tells_the_run_and_its_headline_figure() -> None:
    assert "<title>birds – accuracy 80.00\u202f%</title>" in report_page(record())
    assert "accuracy on 6 test examples; 95 % interval 70.00 – 90.00" in hero(record())


def test_a_run_without_figures_has_no_headline() -> None:
    assert "<title>birds</title>" in report_page(record(figures={}))
    assert hero(record(figures={})) == ""


def test_every_figure_is_told_with_its_interval_and_what_it_is() -> None:
    told = text_of(record())
    assert "accuracy 80.00 % 70.00 – 90.00 % the share of examples" in told
    assert "nll 0.5000 – mean −log" in told


def test_the_data_sheet_accounts_for_every_picture() -> None:
    told = text_of(record())
    # 20 found: one broken, one dropped as a leak, 18 left.
    assert "train 18 1 1 given by the data" in told
    assert "validation 4 0 0 set aside from the data" in told
    assert "1 nearly equal one of the test side; dropped from training" in told
    assert "jay/1.png: it ends in mid-picture" in told
    assert "photos: because they are (flip, crop 0.5)" in told
    assert "one class is small" in told


def test_pixels_are_told_where_they_were_recorded() -> None:
    sizes = {
        "train": {"height": [10, 20, 30], "width": [15, 25.5, 35]},
        "validation": {"height": [9, 9, 9], "width": [8, 8, 8]},
        "test": {"height": [9, 9, 9], "width": [7, 8, 8]},
    }
    told = text_of(record(data={**record().data, "sizes": sizes}))
    assert "10–30 × 15–35, median 20 × 25.5" in told
    assert "9 × 8" in told
    assert "9 × 7–8, median 9 × 8" in told


class Side:
    """Examples with labels."""

    def __init__(self, ids: list[str], labels: list[int]) -> None:
        self.ids, self.labels = ids, np.array(labels, np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: object, address: object = None) -> dict[str, object]:
        return {}


def evidence(classes: int = 2) -> Evidence:
    train = Side([f"{k}.jpg" for k in range(3 * classes)], [k // 3 for k in range(3 * classes)])
    validation, test = Side(["a.png"], [0]), Side(["b.png", "c.JPG"], [1, 1])
    made = record(meaning={"classes": [f"class {k}" for k in range(classes)]})
    fields = {name: getattr(made, name) for name in Record.__dataclass_fields__}
    splits = Splits(train, validation, test, {})
    return Evidence(
        **fields, splits=splits, net=nn.Identity(), device=torch.device("cpu"), rows=lambda side: {}
    )


def test_classes_are_counted_side_by_side() -> None:
    assert class_counts(evidence()) == {
        "class 0": {"train": 3, "validation": 1, "test": 0},
        "class 1": {"train": 3, "validation": 0, "test": 2},
    }


def test_kinds_of_files_are_counted() -> None:
    assert "folder of 7 jpg, 2 png" in text_of(evidence())


def test_of_many_classes_the_largest_and_smallest_are_drawn_and_all_are_told() -> None:
    section = data_sheet(evidence(1000))
    assert section is not None
    assert section.html.count("<rect") == 24
    assert all(f"class {k}<" in section.html for k in range(1000))


def test_curves_have_a_point_for_every_line_and_the_best_is_marked() -> None:
    journal = record().journal
    assert series(journal, "train") == {"cross entropy": [(1, 2), (2, 1), (3, 2 / 3)]}
    section = curves(record())
    assert section.lead == (
        "The validation accuracy went from 50.00\u202f% to 83.33\u202f%; "
        "it was best, 83.33\u202f%, after epoch 3."
    )
    assert 'class="ring"' in section.html


def test_the_best_point_goes_by_the_direction_and_the_first_of_equals() -> None:
    points = [(1.0, 0.5), (2.0, math.nan), (3.0, 0.9), (4.0, 0.9), (5.0, 0.1)]
    assert best(points, "max") == (3.0, 0.9)
    assert best(points, "min") == (5.0, 0.1)


def test_the_names_of_updates_stay_where_there_are_several() -> None:
    line = {"stage": "a", "epoch": 1.0, "train": {"generator/fool": 1.0, "critic/fool": 2.0}}
    assert list(series([line], "train")) == ["generator/fool", "critic/fool"]


def test_stages_have_charts_of_their_own() -> None:
    journal = [
        {"stage": "first", "epoch": 1.0, "train": {"a/x": 1.0}},
        {"stage": "second", "fitted": "validation"},
        {"stage": "third", "epoch": 1.0, "train": {"a/x": 1.0}},
    ]
    assert list(by_stage(journal)) == ["first", "second", "third"]
    html = curves(record(journal=journal)).html
    assert html.count("<h3>") == 2
    assert html.count("<svg") == 2
    assert "second: fitted on the validation side" in html


def test_a_single_stage_needs_no_heading_and_a_flat_curve_no_best_epoch() -> None:
    journal = [{"stage": "learn", "epoch": e, "validation": {"accuracy": 1.0}} for e in (1.0, 2.0)]
    section = curves(record(journal=journal))
    assert "<h3>" not in section.html
    assert section.lead == "The validation accuracy stayed at 100.00\u202f%."
    assert "110%" not in section.html


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=700), st.integers(1, 100))
def test_thinning_keeps_the_mean_the_end_and_the_order(values: list[float], count: int) -> None:
    points = [(float(k), value) for k, value in enumerate(values)]
    kept = thinned(points, count)
    assert len(kept) == min(count, len(points))
    assert kept[-1][0] == points[-1][0]
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)
    if len(points) % len(kept) == 0:
        assert np.mean([y for _, y in kept]) == pytest.approx(np.mean(values), abs=1e-6)


def test_a_report_of_a_long_training_stays_small() -> None:
    journal = [
        {"stage": "learn", "epoch": step / 10, "train": {"n/loss": 1.0}, "rate": {"n": 0.1}}
        for step in range(1, 20_000)
    ]
    assert len(report_page(record(journal=journal))) < 200_000


def with_settings(**changes: object) -> Record:
    """A record of classify with some settings asked for, and the batch size chosen."""
    asked = typed.flatten(typed.replace(Classify(), changes))
    fields = typed.fields_of(Classify)
    return record(asked=asked, settings={**asked, "batch_size": 77}, fields=fields)


def test_settings_are_told_apart_by_who_chose_them() -> None:
    html = settings(with_settings(seed=41, smoothing=0.25)).html
    asked, _, rest = html.partition("Chosen or measured")
    chosen, _, defaults = rest.partition("<details>")
    assert ">seed<" in asked
    assert ">41<" in asked
    assert ">smoothing<" in asked
    assert ">batch_size<" in chosen
    assert ">77<" in chosen
    assert ">momentum<" in defaults
    for name in typed.fields_of(Classify):
        assert html.count(f'<th scope="row">{name}<') == 1


def test_cost_is_told_in_units_of_people() -> None:
    told = text_of(record())
    for words in ("training 90 s", "an epoch 30 s", "peak memory 1.5 GB", "parameters 1,234",
                  "multiply-adds an example 5.6 million"):  # fmt: skip
        assert words in told


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (number(0.123456), "0.1235"),
        (number(1234567.0), "1,234,567"),
        (number(12345.678), "12,346"),
        (number(1e-9), "1e-09"),
        (number(0.0), "0"),
        (number(None), "–"),
        (number(math.nan), "–"),
        (percent(0.9961), "99.61\u202f%"),
        (size(999), "999\u202fB"),
        (size(1_234_567), "1.23\u202fMB"),
        (size(7e15), "7e+03\u202fTB"),
        (duration(5.432), "5.43\u202fs"),
        (duration(99.99), "100\u202fs"),
        (duration(125), "2\u202fmin 05\u202fs"),
        (duration(3_600 * 5 + 61), "5\u202fh 01\u202fmin"),
        (quantity(1_814_073_344), "1.81 billion"),
        (quantity(94_698), "94,698"),
    ],
)
def test_numbers_in_words(told: str, words: str) -> None:
    assert told == words
