"""Equal and nearly equal pictures on the page."""

from __future__ import annotations

from typing import Any

from simplecell.report.equals import Side, section
from tests.report.answered import EVIL, on_page, pictures


def leak(dropped: bool, *pairs: tuple[str, str, str]) -> dict[str, Any]:
    kinds = [kind for _, _, kind in pairs]
    return {
        "equal": kinds.count("equal"),
        "near": kinds.count("near"),
        "dropped": dropped,
        "first": [list(pair) for pair in pairs],
    }


def images(page: Any) -> list[str]:
    return [value for tag, name, value in page.attributes if tag == "img" and name == "alt"]


TRAIN = Side(["a", "b", "c"], pictures)
TEST = Side(["x", "y"], pictures)


def test_a_pair_that_was_kept_is_shown_from_both_sides() -> None:
    made = section({"test": leak(False, ("c", "x", "equal"))}, {"train": TRAIN, "test": TEST})
    assert made.lead == (
        "Training pictures that are also on the test side: 1 equal; kept, as the data have them."
    )
    assert images(on_page(made)) == ["c", "x"]


def test_of_a_pair_that_was_dropped_the_picture_that_is_left_is_shown() -> None:
    made = section(
        {"test": leak(True, ("gone", "y", "near"), ("lost", "x", "equal"))}, {"train": TRAIN, "test": TEST}
    )
    assert made.lead == (
        "Training pictures that are also on the test side: 1 equal, 1 nearly equal; dropped from training."
    )
    page = on_page(made)
    assert images(page) == ["y", "x"]
    assert "the one of training was dropped" in page.text
    assert "train: gone" in page.text


def test_only_some_of_many_pairs_are_shown_and_their_number_is_told() -> None:
    many = leak(False, *[("a", "x", "near")] * 20)
    page = on_page(section({"test": {**many, "near": 300}}, {"train": TRAIN, "test": TEST}))
    assert "The first 12 of 300." in page.text
    assert len(images(page)) == 24


def test_where_there_is_none_the_page_says_so() -> None:
    made = section({"validation": leak(True), "test": leak(False)}, {"train": TRAIN, "test": TEST})
    assert made.lead == "No training picture equals, or nearly equals, one on the validation or test side."
    on_page(made)


def test_names_of_files_are_text() -> None:
    side = Side([EVIL[1]], pictures)
    page = on_page(section({"test": leak(False, (EVIL[1], EVIL[1], "equal"))}, {"train": side, "test": side}))
    assert EVIL[1] in page.text
