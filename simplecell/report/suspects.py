"""Labels that are probably wrong, the most doubtful first, to be looked at and put right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from simplecell.metrics.label_errors import Suspect, suspects
from simplecell.report.answers import Answers, captioned, chance, gallery, image
from simplecell.report.section import Section
from simplecell.report.tables import folded, percent, table

#: Of the doubted labels of all sides together so many are shown as pictures, and so many are listed.
_SHOWN, _LISTED = 24, 200
_SIDE = 128
#: A net that is right less often is more often wrong than its labels are.
_GOOD_JUDGE = 0.9

Doubt = tuple[str, Suspect]


def section(sides: Mapping[str, Answers], classes: Sequence[str], learnt: Answers | None = None) -> Section:
    """The section of suspected label errors.

    sides: by name, those whose examples the net has not learnt. learnt: the training side's, where its
    answers are at hand: there the net repeats wrong labels, so fewer are found, and what is found is apart.
    """
    apart = {name: answers for name, answers in sides.items() if len(answers)}
    found = _ranked(apart)
    parts = [_shown(apart, found, classes, _SHOWN)]
    if learnt is not None and len(learnt):
        within = _ranked({"train": learnt})
        words = (
            "The net has learnt these labels, wrong ones too, so it doubts fewer of them than it should."
            if within
            else "The net doubts none of the labels it has learnt."
        )
        parts.append(Markup("<h3>Training pictures, in sample</h3><p>{}</p>").format(words))
        parts.append(_shown({"train": learnt}, within, classes, _SHOWN))
    total = sum(map(len, apart.values()))
    return Section(
        "suspects",
        "Suspected label errors",
        Markup("\n").join(parts),
        lead=_lead(apart, found, classes, total),
    )


def _ranked(sides: Mapping[str, Answers]) -> list[Doubt]:
    doubts = [(name, one) for name, a in sides.items() for one in suspects(a.labels, a.probabilities)]
    return sorted(doubts, key=lambda doubt: -doubt[1].margin)


def _lead(sides: Mapping[str, Answers], found: Sequence[Doubt], classes: Sequence[str], total: int) -> str:
    where = " and ".join(sides)
    if not found:
        return f"None of the {total:,} labels of {where} is doubted."
    side, first = found[0]
    are = "is" if len(found) == 1 else "are"
    return (
        f"{len(found):,} of the {total:,} labels of {where} {are} doubted; most of all "
        f"that of {sides[side].ids[first.place]}: labelled {classes[first.label]}, it seems to be "
        f"{classes[first.suggested]}. {_caution(sides)}"
    )


def _caution(sides: Mapping[str, Answers]) -> str:
    right = sum(int((answers.said == answers.labels).sum()) for answers in sides.values())
    share = right / sum(map(len, sides.values()))
    if share < _GOOD_JUDGE:
        rightly = percent(share, 0)
        return f"A net that answers {rightly} rightly is a poor judge: most of these labels may be right."
    return "A doubted label may also be right, and the picture hard."


def _shown(sides: Mapping[str, Answers], found: Sequence[Doubt], classes: Sequence[str], most: int) -> Markup:
    """The first doubted labels as pictures, in the order of doubt, and a list of more."""
    if not found:
        return Markup("")
    figures: dict[Doubt, Markup] = {}
    for name, answers in sides.items():
        own = [doubt for doubt in found[:most] if doubt[0] == name]
        if own:
            pictures = answers.pictures(np.array([one.place for _, one in own]))
            figures |= {
                doubt: _figure(answers, doubt, picture, classes)
                for doubt, picture in zip(own, pictures, strict=True)
            }
    rows = [
        [
            sides[name].ids[one.place],
            name,
            f"{classes[one.label]} ({chance(one.given)})",
            f"{classes[one.suggested]} ({chance(one.instead)})",
        ]
        for name, one in found[:_LISTED]
    ]
    headings = ["picture", "side", "label", "seems to be"]
    listed = table("Labels that are doubted", headings, rows, words=headings)
    title = f"The first {len(rows):,} as a list" if len(found) > len(rows) else "All as a list"
    return gallery([figures[doubt] for doubt in found[:most]]) + folded(title, listed)


def _figure(answers: Answers, doubt: Doubt, picture: NDArray[np.uint8], classes: Sequence[str]) -> Markup:
    _, one = doubt
    return captioned(
        [image(picture, answers.ids[one.place], _SIDE)],
        f"labelled {classes[one.label]} ({chance(one.given)})",
        Markup("seems <strong>{}</strong> ({})").format(classes[one.suggested], chance(one.instead)),
        answers.ids[one.place],
    )
