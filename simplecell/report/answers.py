"""What a classifier answered to pictures, and those pictures on the page: what several sections share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from simplecell.data.batches import Examples
from simplecell.report.thumbnails import data_uri

#: Gives the pictures at some places of a side: uint8, N, H, W, C.
Pictures = Callable[[NDArray[np.int64]], NDArray[np.uint8]]

#: Below so many pixels a side a picture is drawn with visible pixels when it is enlarged.
_SMALL = 64


@dataclass(frozen=True)
class Answers:
    """The answers to N examples.

    ids: of the examples. labels: int64, N, the classes they are said to be of. probabilities: float, N × K.
    pictures: of the same places.
    """

    ids: Sequence[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.floating[Any]]
    pictures: Pictures

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def said(self) -> NDArray[np.int64]:
        """The most probable class of each, the first of equal ones."""
        said: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return said

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """The probability of that class."""
        score: NDArray[np.float64] = self.probabilities.max(axis=1).astype(np.float64)
        return score

    @cached_property
    def own(self) -> NDArray[np.float64]:
        """The probability of each example's label."""
        own: NDArray[np.float64] = self.probabilities[np.arange(len(self)), self.labels].astype(np.float64)
        return own


def answers_of(examples: Examples, rows: Mapping[str, Any]) -> Answers:
    """The answers of a side: its examples, and the rows that ``measure`` of classify made of them."""
    return Answers(rows["id"], rows["label"], rows["probabilities"], pictures_of(examples))


def pictures_of(examples: Examples) -> Pictures:
    """The pictures of a side as the net sees them, before they are normalised."""

    def take(places: NDArray[np.int64]) -> NDArray[np.uint8]:
        batch: NDArray[np.uint8] = examples.batch(np.asarray(places))["picture"].permute(0, 2, 3, 1).numpy()
        return batch

    return take


def chance(probability: float) -> str:
    """A probability as people write it, without rounding it to certainty."""
    if probability > 0.999:
        return ">\u202f0.999"
    if 0 < probability < 0.001:
        return "<\u202f0.001"
    return f"{probability:.3f}" if probability > 0.99 or 0 < probability < 0.01 else f"{probability:.2f}"


def share(part: int, whole: int) -> str:
    """``12 of 980``."""
    return f"{part:,} of {whole:,}"


def image(picture: NDArray[np.uint8], name: str, side: int = 160) -> Markup:
    """A picture as an img; name: what a screen reader calls it."""
    small = Markup(' class="pixels"') if max(picture.shape[:2]) <= _SMALL else ""
    return Markup('<img src="{}" alt="{}" loading="lazy"{}>').format(data_uri(picture, side), name, small)


def captioned(images: Sequence[Markup], *lines: str | Markup) -> Markup:
    """A figure of one picture or more, with lines under it."""
    words = Markup("<br>").join(lines)
    return Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(Markup("").join(images), words)


def gallery(figures: Sequence[Markup]) -> Markup:
    """Figures beside each other."""
    return Markup('<div class="pictures">\n{}\n</div>').format(Markup("\n").join(figures))
