"""Nets that answer without having learnt: run as a program, it serves them for the tests of the page.

python page_nets.py PORT TOKEN NAME…        TOKEN may be empty
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simplecell.predictions import ClassPrediction, Prediction, Values
from simplecell.serve.limits import Limits
from simplecell.serve.model import Model, Picture, Source
from simplecell.serve.server import serve
from simplecell.settings import setting

EVIL = "<script>alert(1)</script>"
DIGITS = [str(digit) for digit in range(10)]
#: Pictures of more than these pixels are refused, so that a test need not make a large one.
PIXELS = 1_000_000


@dataclass(frozen=True)
class Ask:
    """The options of classify, and one to choose from."""

    top: int = setting(3, "classes to tell", at_least=1)
    reject_below: float = setting(0.0, "tell no class where its score is lower", at_least=0, at_most=1)
    ink: bool = setting(False, "photos of dark ink on paper")
    order: Literal["best", "worst"] = setting("best", "which class comes first")


@dataclass(frozen=True)
class Nothing:
    """No options."""


def classes(names: Sequence[str]) -> Callable[[Sequence[tuple[str, Picture]], Any], list[Prediction]]:
    """Answers the first class, or the last: with ``ink``, or where "worst" is asked for."""

    def answer(pictures: Sequence[tuple[str, Picture]], ask: Any) -> list[Prediction]:
        order = list(reversed(names)) if ask.ink or ask.order == "worst" else list(names)
        scores = [0.75, *([0.25 / (len(names) - 1)] * (len(names) - 1))]
        top = list(zip(order, scores, strict=True))[: ask.top]
        name = order[0] if ask.reject_below <= 0.75 else None
        return [ClassPrediction(path, name, 0.75, top) for path, _ in pictures]

    return answer


def turned(picture: Picture, prediction: Prediction, ask: Any = None) -> list[tuple[str, Picture]]:
    """The picture in negative, in the place of where a net looked."""
    return [(f"where the net looked: {EVIL}", 255 - np.broadcast_to(picture, (*picture.shape[:2], 3)))]


def found(pictures: Sequence[tuple[str, Picture]], ask: Any) -> list[Prediction]:
    """What a detector would answer: the lower right quarter, and other values."""
    answers = []
    for path, picture in pictures:
        height, width = picture.shape[:2]
        boxes = [{"box": [width / 2, height / 2, width, height], "class": EVIL, "score": 0.9}]
        answers.append(Values(path, {"boxes": boxes, "sharpness": 2.5, "blurred": False, "parts": [1, 2]}))
    return answers


def described(pictures: Sequence[tuple[str, Picture]], ask: Any) -> list[Prediction]:
    """What a net that captions would answer."""
    return [Values(path, {"caption": "a dog on a beach"}) for path, _ in pictures]


def measured(pictures: Sequence[tuple[str, Picture]], ask: Any) -> list[Prediction]:
    """One number, as the example of one's own task answers."""
    return [Values(path, {"years_old": 31.25}) for path, _ in pictures]


NETS = {
    "pets": Model(
        "classify", "a" * 64, {"classes": [EVIL, "cat", "dog"]}, Ask, classes([EVIL, "cat", "dog"]), turned
    ),
    "digits": Model("classify", "b" * 64, {"classes": DIGITS}, Ask, classes(DIGITS), turned),
    "finder": Model("detect", "c" * 64, {"classes": ["cat"]}, Nothing, found),
    "teller": Model("caption", "d" * 64, {}, Nothing, described),
    "ages": Model("estimate", "e" * 64, {}, Nothing, measured),
}

if __name__ == "__main__":
    port, token, *names = sys.argv[1:]
    sources = [Source(name, None, lambda name=name: NETS[name]) for name in names]  # type: ignore[misc]
    limits = Limits(max_pixels=PIXELS)
    sys.exit(serve(sources, limits, host="127.0.0.1", port=int(port), token=token or None, cors=()))
