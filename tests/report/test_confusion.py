"""The confusion matrix on the page: its numbers, its pictures, and how it stays small."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from simplecell.metrics.classification import confusion as matrix_of
from simplecell.report import confusion
from simplecell.report.confusion import Confusion, confusions, section
from tests.report.answered import EVIL, answers, data_of, drawn, on_page, plain

NAMES = ["jay", "tit", "wren"]


def level_of(address: str) -> int:
    """The grey level of a picture of one."""
    content = base64.b64decode(address.removeprefix("data:image/webp;base64,"))
    return int(np.asarray(Image.open(io.BytesIO(content)).convert("L"))[0, 0])


def test_confusions_are_ranked_and_the_diagonal_is_none() -> None:
    found = confusions(np.array([[5, 2, 0], [7, 1, 2], [0, 0, 9]]))
    assert found == [Confusion(1, 0, 7), Confusion(0, 1, 2), Confusion(1, 2, 2)]


def test_the_lead_names_the_most_frequent_confusion() -> None:
    made = section(answers([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 0, 2]), NAMES)
    assert made.lead == "3 of 6 pictures are answered wrongly. jay is taken for tit most often: 2 of 3."


def test_where_nothing_is_wrong_the_lead_says_so() -> None:
    made = section(answers([0, 1, 2], [0, 1, 2]), NAMES)
    assert made.lead == "All 3 pictures are answered rightly."
    on_page(made)


def test_every_cell_has_its_number_and_says_in_words_what_it_counts() -> None:
    given = drawn(0, 200, 3, 0.7)
    page = on_page(section(given, NAMES))
    matrix = matrix_of(given.labels, given.probabilities)
    told = {value for tag, name, value in page.attributes if tag == "button" and name == "aria-label"}
    for truth in range(3):
        for said in range(3):
            count, whole = matrix[truth, said], matrix[truth].sum()
            what = "answered rightly" if truth == said else f"taken for {NAMES[said]}"
            words = f"{NAMES[truth]} {what}: {count} of {whole} ({100 * count / whole:.1f} %)"
            assert words in {plain(each) for each in told}


def test_behind_a_cell_are_its_pictures_the_surest_mistake_and_the_least_sure_right_answer_first() -> None:
    given = answers([0, 0, 0, 0, 0], [1, 0, 1, 0, 1], [0.7, 0.9, 0.8, 0.6, 0.95])
    behind = data_of(on_page(section(given, NAMES)), '"0-1"')
    assert [level_of(address) for address, *_ in behind["0-1"]["pictures"]] == [4, 2, 0]
    assert [level_of(address) for address, *_ in behind["0-0"]["pictures"]] == [3, 1]
    assert behind["0-1"]["count"] == 3
    _, *words = behind["0-1"]["pictures"][0]
    assert words == ["0.95 tit", "0.03 jay", "test/004.png"]


def test_names_of_classes_and_files_are_text_wherever_they_stand() -> None:
    given = drawn(1, 60, 4, 0.5)
    page = on_page(section(replace(given, ids=[f"{EVIL[k % 4]}{k}" for k in range(60)]), EVIL))
    behind = data_of(page, '"0-1"')
    assert EVIL[0] in behind["0-1"]["title"]  # whole, once the script has read it
    assert any(EVIL[0] in word for word in page.words)
    assert not any("alert" in script for script in page.scripts if not script.lstrip().startswith("{"))


@pytest.mark.parametrize("classes", [21, 62, 400])
def test_of_many_classes_the_most_confused_stand_in_the_matrix(classes: int) -> None:
    given = drawn(2, 4000, classes, 0.6)
    names = [f"class {k}" for k in range(classes)]
    page = on_page(section(given, names))
    cells = sum(tag == "td" for tag, _, _ in page.attributes)
    assert cells <= 15 * 15
    found = confusions(matrix_of(given.labels, given.probabilities))
    pressed = [value for tag, name, value in page.attributes if tag == "button" and name == "data-cell"]
    # The thirty most frequent can all be chosen, and each that can be chosen has its pictures.
    assert {f"{one.truth}-{one.said}" for one in found[:30]} <= set(pressed)
    behind = data_of(page, '"count"')
    assert set(behind) == set(pressed)
    assert all(behind[cell]["pictures"] for cell in pressed)


def test_the_row_of_a_class_counts_all_its_pictures_though_not_all_classes_are_shown() -> None:
    given = drawn(3, 3000, 40, 0.5)
    made = section(given, [f"c{k}" for k in range(40)])
    rows = str(made.html).split("<tr>")[2:]
    matrix = matrix_of(given.labels, given.probabilities)
    for row in rows:
        name = int(row.split('scope="row">c')[1].split("<")[0])
        numbers = [cell.split("</td>")[0] for cell in row.split("<td")[1:]]
        counts = [Markup(cell[cell.index(">") :]).striptags().strip("> ") for cell in numbers]
        assert sum(int(count) for count in counts if count != "·") == matrix[name].sum()


def test_pictures_stop_at_the_budget_after_some_of_every_confusion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confusion, "_BUDGET", 30_000)
    monkeypatch.setattr(confusion, "_CHUNK", 6)
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, size=(4000, 28, 28, 1), dtype=np.uint8)
    given = replace(drawn(4, 4000, 3, 0.5), pictures=lambda places: noise[places])
    behind: dict[str, Any] = data_of(on_page(section(given, NAMES)), '"0-1"')
    size = sum(len(address) for cell in behind.values() for address, *_ in cell["pictures"])
    assert 30_000 <= size < 40_000  # a chunk more at most
    wrong = [len(cell["pictures"]) for key, cell in behind.items() if key[0] != key[2]]
    assert min(wrong) >= max(wrong) - 1
    assert min(wrong) > 0
