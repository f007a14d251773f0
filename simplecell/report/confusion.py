"""Which class is taken for which: the confusion matrix, whose cells show their pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain, zip_longest
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from simplecell.metrics.classification import confusion
from simplecell.report.answers import Answers, chance, share
from simplecell.report.section import Section
from simplecell.report.tables import percent
from simplecell.report.thumbnails import data_uri

#: Up to so many classes stand in the matrix; of more, those that are confused most.
_WHOLE, _WORST = 20, 14
#: Names of so many characters stand upright over their columns.
_SHORT = 4
#: Confusions that are listed where the matrix cannot show all classes.
_LISTED = 30
#: Bytes of the pictures behind the cells. While there is room a confusion has so many, then a class so many
#: right ones, then a confusion so many in all.
_BUDGET = 3_500_000
_FIRST, _RIGHT, _WRONG = 8, 12, 60
#: Pixels of the longer side of a picture behind a cell, and pictures that are decoded at a time.
_SIDE, _CHUNK = 112, 64
#: From these shares of its row on a cell is shaded by one step more.
_STEPS = (0.0, 0.005, 0.02, 0.05, 0.12, 0.25, 0.5)

Cell = tuple[int, int]


@dataclass(frozen=True)
class Confusion:
    """So many pictures of the class ``truth`` were taken for the class ``said``."""

    truth: int
    said: int
    count: int


def confusions(matrix: NDArray[np.int64]) -> list[Confusion]:
    """The cells off the diagonal that are not empty, the fullest first."""
    wrong = matrix - np.diag(np.diagonal(matrix))
    places = np.argsort(-wrong, axis=None, kind="stable")
    places = places[: np.count_nonzero(wrong)]
    return [Confusion(int(k) // len(wrong), int(k) % len(wrong), int(wrong.flat[k])) for k in places.tolist()]


def section(answers: Answers, classes: Sequence[str]) -> Section:
    """The section of the confusion matrix.

    Up to 20 classes stand in it whole; of more the most confused ones stand in a small matrix, and the most
    frequent confusions in a list. Each cell and line shows its pictures when it is chosen, wrong answers
    before right ones, as many as 3.5 MB hold.
    """
    matrix = confusion(answers.labels, answers.probabilities)
    found = confusions(matrix)
    shown = list(range(len(classes))) if len(classes) <= _WHOLE else _most_confused(found)
    parts = []
    if shown:
        parts.append(_table(matrix, classes, shown))
    listed = found[:_LISTED] if len(shown) < len(classes) else []
    if listed:
        parts.append(_list(matrix, classes, listed))
    cells = [(one.truth, one.said) for one in found if one in listed or {one.truth, one.said} <= set(shown)]
    cells += [(k, k) for k in shown if matrix[k, k]]
    parts.append(_panel(len(classes), len(shown)))
    parts.append(_pictures(answers, matrix, classes, cells))
    return Section(
        "confusion",
        "Confusion matrix",
        Markup("\n").join(parts),
        lead=_lead(matrix, classes, found),
        style=_file("confusion.css"),
        script=_file("confusion.js"),
    )


def _file(name: str) -> str:
    return files("simplecell.report").joinpath("templates", name).read_text("utf-8")


def _lead(matrix: NDArray[np.int64], classes: Sequence[str], found: Sequence[Confusion]) -> str:
    total = int(matrix.sum())
    if not found:
        return f"All {total:,} pictures are answered rightly."
    most, wrong = found[0], sum(one.count for one in found)
    often = "most often: " if most.count > 1 else ""
    return (
        f"{share(wrong, total)} pictures {'is' if wrong == 1 else 'are'} answered wrongly. "
        f"{classes[most.truth]} is taken for {classes[most.said]} {often}"
        f"{share(most.count, int(matrix[most.truth].sum()))}."
    )


def _most_confused(found: Sequence[Confusion]) -> list[int]:
    """Classes that the fullest cells are of, in the order of the classes."""
    shown: dict[int, None] = {}
    for one in found:
        pair = {one.truth: None, one.said: None}
        if len(shown | pair) > _WORST:
            break
        shown |= pair
    return sorted(shown)


def _table(matrix: NDArray[np.int64], classes: Sequence[str], shown: Sequence[int]) -> Markup:
    """The matrix of some classes; where they are not all, a last column counts what was taken for others."""
    part = len(shown) < len(classes)
    names = [Markup('<th scope="col"><span>{}</span></th>').format(classes[k]) for k in shown]
    if part:
        names.append(Markup('<th scope="col"><span>others</span></th>'))
    short = all(len(classes[k]) <= _SHORT for k in shown) and not part
    rows = []
    for truth in shown:
        cells = [_cell(matrix, classes, truth, said) for said in shown]
        if part:
            others = int(matrix[truth].sum() - matrix[truth, list(shown)].sum())
            cells.append(Markup("<td>{}</td>").format(_count(others)))
        heading = Markup('<th scope="row">{}</th>').format(classes[truth])
        rows.append(Markup("<tr>{}{}</tr>").format(heading, Markup("").join(cells)))
    what = f"the {len(shown)} classes that are confused most" if part else "all classes"
    return Markup(
        '<div class="scroll confusion{}" tabindex="0" role="group" aria-label="Confusion matrix">'
        "<table><caption>Confusion matrix of {}: a row for each label, a column for each answer</caption>"
        '<thead><tr><th scope="col"><span>label ↓ answer →</span></th>{}</tr></thead>\n<tbody>\n{}\n</tbody>'
        "</table></div>"
    ).format(" upright" if short else "", what, Markup("").join(names), Markup("\n").join(rows))


def _cell(matrix: NDArray[np.int64], classes: Sequence[str], truth: int, said: int) -> Markup:
    count, whole = int(matrix[truth, said]), int(matrix[truth].sum())
    if count == 0:
        return Markup('<td class="none">{}</td>').format(_count(0))
    shade = sum(count / whole > step for step in _STEPS)
    kind = "right" if truth == said else "wrong"
    return Markup('<td class="{} shade{}">{}</td>').format(
        kind, shade, _button((truth, said), f"{count:,}", _told(matrix, classes, truth, said))
    )


def _count(count: int) -> str:
    return f"{count:,}" if count else "·"


def _told(matrix: NDArray[np.int64], classes: Sequence[str], truth: int, said: int) -> str:
    """A cell in words."""
    count, whole = int(matrix[truth, said]), int(matrix[truth].sum())
    what = "answered rightly" if truth == said else f"taken for {classes[said]}"
    return f"{classes[truth]} {what}: {share(count, whole)} ({percent(count / whole, 1)})"


def _button(cell: Cell, words: str, told: str) -> Markup:
    return Markup(
        '<button type="button" data-cell="{}-{}" aria-pressed="false" aria-label="{}" title="{}">{}</button>'
    ).format(*cell, told, told, words)


def _list(matrix: NDArray[np.int64], classes: Sequence[str], listed: Sequence[Confusion]) -> Markup:
    lines = [
        Markup("<li>{}</li>").format(_button((one.truth, one.said), told, told))
        for one in listed
        for told in [_told(matrix, classes, one.truth, one.said)]
    ]
    return Markup('<h3>The most frequent confusions</h3>\n<ol class="confusions">\n{}\n</ol>').format(
        Markup("\n").join(lines)
    )


def _panel(classes: int, shown: int) -> Markup:
    what = "a number" if shown == classes else "a number or a line"
    return Markup(
        '<p class="quiet" id="confusion-status" role="status">Choose {} to see its pictures; the arrow keys '
        "move about the matrix. The darker a cell, the larger its share of the row.</p>\n"
        "<noscript><p>The pictures behind the numbers need JavaScript.</p></noscript>\n"
        '<div id="confusion-panel" hidden></div>'
    ).format(what)


def _pictures(
    answers: Answers, matrix: NDArray[np.int64], classes: Sequence[str], cells: Sequence[Cell]
) -> Markup:
    """The pictures behind the cells, as JSON for the script: ``cell → {title, count, pictures}``, where a
    picture is an address and the lines under it."""
    behind: dict[str, dict[str, Any]] = {
        f"{truth}-{said}": {
            "title": _told(matrix, classes, truth, said),
            "count": int(matrix[truth, said]),
            "pictures": [],
        }
        for truth, said in cells
    }
    spent = 0
    for places in _in_chunks(_by_turns(answers, cells)):
        for place, picture in zip(places, answers.pictures(np.array(places)), strict=True):
            address = data_uri(picture, _SIDE)
            truth, said = int(answers.labels[place]), int(answers.said[place])
            words = [f"{chance(float(answers.score[place]))} {classes[said]}"]
            if truth != said:
                words.append(f"{chance(float(answers.own[place]))} {classes[truth]}")
            words.append(answers.ids[place])
            behind[f"{truth}-{said}"]["pictures"].append([address, *words])
            spent += len(address)
        if spent > _BUDGET:
            break
    # Escaped so that no name of a class or file can end the element.
    return Markup('<script type="application/json" id="confusion-pictures">{}</script>').format(
        jinja2.utils.htmlsafe_json_dumps(behind, separators=(",", ":"), ensure_ascii=False)
    )


def _by_turns(answers: Answers, cells: Sequence[Cell]) -> Iterator[int]:
    """Places of pictures in the order in which they are to be shown as far as there is room.

    Of every confusion the one that was surest, then of each the next, up to eight; then of each class right
    answers, the least sure ones first; then more of the confusions.
    """
    classes = answers.probabilities.shape[1]
    code = answers.labels * classes + answers.said
    order = np.argsort(code, kind="stable")
    wrong: list[list[int]] = []
    right: list[list[int]] = []
    for truth, said in cells:
        at = truth * classes + said
        start, end = np.searchsorted(code[order], [at, at + 1])
        inside = order[start:end]
        by_score = inside[np.argsort(answers.score[inside], kind="stable")].tolist()
        if truth == said:
            right.append(by_score[:_RIGHT])
        else:
            wrong.append(by_score[::-1][:_WRONG])
    first, more = [cell[:_FIRST] for cell in wrong], [cell[_FIRST:] for cell in wrong]
    for group in (first, right, more):
        yield from (place for place in chain(*zip_longest(*group)) if place is not None)


def _in_chunks(places: Iterator[int]) -> Iterator[list[int]]:
    chunk: list[int] = []
    for place in places:
        chunk.append(place)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
