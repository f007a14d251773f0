"""Pictures that stand on two sides of the data, equal or nearly so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from simplecell.report.answers import Pictures, captioned, image
from simplecell.report.section import Section

#: Pairs that are shown of each side.
_SHOWN = 12
_SIDE = 112

_STYLE = """
.pictures.twins { grid-template-columns: repeat(auto-fill, minmax(min(13rem, 47%), 1fr)); }
.twins figure { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem; align-content: start; }
.twins figcaption { grid-column: 1 / -1; }
"""


@dataclass(frozen=True)
class Side:
    """The examples of a side: their ids and pictures."""

    ids: Sequence[str]
    pictures: Pictures


def section(leaks: Mapping[str, Mapping[str, Any]], sides: Mapping[str, Side]) -> Section:
    """The section of equal and nearly equal pictures.

    leaks: of data.json, by the side that training pictures are also on: "equal", "near", "dropped", and
    the "first" pairs [training id, id there, kind]. sides: by name; a picture that was dropped is not there.
    """
    parts = []
    for name, found in leaks.items():
        pairs = [tuple(pair) for pair in found["first"][:_SHOWN]]
        if pairs:
            parts.append(_pairs(name, found, pairs, sides))
    return Section("equals", "Equal and near-equal pictures", Markup("\n").join(parts), _lead(leaks), _STYLE)


def _lead(leaks: Mapping[str, Mapping[str, Any]]) -> str:
    told = []
    for name, found in leaks.items():
        counts = ((found["equal"], "equal"), (found["near"], "nearly equal"))
        kinds = [f"{count:,} {kind}" for count, kind in counts if count]
        if kinds:
            fate = "dropped from training" if found["dropped"] else "kept, as the data have them"
            told.append(f"Training pictures that are also on the {name} side: {', '.join(kinds)}; {fate}.")
    where = " or ".join(leaks)
    return " ".join(told) or f"No training picture equals, or nearly equals, one on the {where} side."


def _pairs(
    name: str, found: Mapping[str, Any], pairs: Sequence[tuple[str, str, str]], sides: Mapping[str, Side]
) -> Markup:
    ours = _at_hand(sides["train"], [pair[0] for pair in pairs]) if "train" in sides else {}
    theirs = _at_hand(sides[name], [pair[1] for pair in pairs]) if name in sides else {}
    figures = []
    for first, second, kind in pairs:
        images = [image(at[key], key, _SIDE) for at, key in ((ours, first), (theirs, second)) if key in at]
        words = "equal" if kind == "equal" else "nearly equal"
        figures.append(captioned(images, words, f"train: {first}", f"{name}: {second}"))
    total = found["equal"] + found["near"]
    shown = f"The first {len(pairs)} of {total:,}. " if len(pairs) < total else ""
    dropped = "Of each pair the one of training was dropped; the other is shown." if found["dropped"] else ""
    return Markup(
        '<h3>Training and {}</h3><p class="quiet">{}{}</p><div class="pictures twins">{}</div>'
    ).format(name, shown, dropped, Markup("\n").join(figures))


def _at_hand(side: Side, wanted: Sequence[str]) -> dict[str, Any]:
    """The pictures of those ids that the side has."""
    names = set(wanted)
    places = {name: place for place, name in enumerate(side.ids) if name in names}
    if not places:
        return {}
    return dict(zip(places, side.pictures(np.array(list(places.values()))), strict=True))
