"""Suspected label errors on the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simplecell.metrics.label_errors import suspects
from simplecell.report.suspects import section
from tests.report.answered import EVIL, answers, drawn, on_page

NAMES = ["jay", "tit", "wren"]


def test_the_most_doubtful_of_all_sides_is_named_first() -> None:
    right = [0, 1, 2] * 10
    test = answers([*right, 0], [*right, 1], [0.95] * 30 + [0.96])
    validation = replace(
        answers([*right, 2], [*right, 0], [0.95] * 30 + [0.999]), ids=[f"val/{k}" for k in range(31)]
    )
    made = section({"test": test, "validation": validation}, NAMES)
    assert made.lead.startswith(
        "2 of the 62 labels of test and validation are doubted; most of all that of val/30: "
        "labelled wren, it seems to be jay."
    )
    assert "may also be right" in made.lead
    page = on_page(made)
    assert page.text.index("val/30") < page.text.index("test/030.png")
    assert "seems jay (0.999)" in page.text


def test_a_net_that_errs_often_is_called_a_poor_judge() -> None:
    made = section({"test": drawn(0, 500, 3, 0.4)}, NAMES)
    assert "poor judge" in made.lead


def test_where_no_label_is_doubted_the_page_says_so() -> None:
    made = section({"test": answers([0, 1, 2], [0, 1, 2])}, NAMES)
    assert made.lead == "None of the 3 labels of test is doubted."
    on_page(made)


def test_training_labels_are_apart_and_said_to_be_learnt() -> None:
    page = on_page(section({"test": answers([0, 1], [0, 1])}, NAMES, drawn(1, 200, 3, 0.8)))
    assert "Training pictures, in sample" in page.text
    assert "has learnt these labels" in page.text


def test_all_that_are_doubted_are_listed_as_far_as_there_is_room() -> None:
    given = drawn(2, 3000, 3, 0.5)
    found = suspects(given.labels, given.probabilities)
    assert len(found) > 200
    page = on_page(section({"test": given}, NAMES))
    assert "The first 200 as a list" in page.text
    listed = [given.ids[one.place] for one in found[:200]]
    assert all(name in page.words for name in listed)
    images = [value for tag, name, value in page.attributes if tag == "img" and name == "alt"]
    assert images == listed[:24]


def test_names_are_text() -> None:
    given = drawn(3, 200, 4, 0.8)
    page = on_page(section({"test": replace(given, ids=[EVIL[0] + str(k) for k in range(200)])}, EVIL))
    assert np.char.count(page.text, "<script>alert(1)</script>") > 0
