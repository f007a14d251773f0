"""Figures by class on the page, against the metrics they are of."""

from __future__ import annotations

from simplecell.metrics.classification import by_class, confusion
from simplecell.report.classes import section
from tests.report.answered import EVIL, answers, drawn, on_page, plain

NAMES = ["jay", "tit", "wren"]


def test_every_figure_stands_there_with_its_interval() -> None:
    given = drawn(0, 300, 3, 0.7)
    page = on_page(section(given, NAMES))
    for figures in by_class(confusion(given.labels, given.probabilities), NAMES).values():
        for one in figures.values():
            assert one.low is not None and one.high is not None
            words = f"{100 * one.value:.1f} % ({100 * one.low:.1f}–{100 * one.high:.1f})"
            assert words in page.text


def test_the_class_that_is_told_worst_comes_first_and_one_without_pictures_last() -> None:
    #              jay all found        tit half found    wren has no pictures
    given = answers([0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 2])
    made = section(given, NAMES)
    places = [str(made.html).index(f'scope="row">{name}') for name in ("tit", "jay", "wren")]
    assert places == sorted(places)
    assert made.lead == (
        "tit is told worst: 1 of 2 of its pictures are found, and 1 of 1 pictures taken for it are right."
    )


def test_a_class_that_nothing_is_taken_for_has_no_precision() -> None:
    made = section(answers([0, 0, 2], [0, 0, 0]), NAMES)
    on_page(made)
    assert "0 of 1 of its pictures are found, and nothing is taken for it" in made.lead


def test_names_are_text_and_many_classes_are_folded() -> None:
    names = EVIL + [f"c{k}" for k in range(296)]
    page = on_page(section(drawn(1, 900, 300, 0.5), names))
    assert "The other 200 classes" in page.text
    assert plain(EVIL[0]) in page.text
