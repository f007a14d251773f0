"""What tests of a classifier's sections share: answers of our own making, and the page of a section."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from simplecell.report.answers import Answers
from simplecell.report.page import render
from simplecell.report.section import Section
from tests.report.pages import Page, requests

#: Names that end elements, begin scripts and close strings, if one lets them.
EVIL = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b", "</td></table>"]


def pictures(places: NDArray[np.int64], channels: int = 1) -> NDArray[np.uint8]:
    """12 × 12, of the grey level of their place."""
    level = (np.asarray(places) % 250).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (len(level), 12, 12, channels)).copy()


def answers(
    labels: Sequence[int], said: Sequence[int], scores: Sequence[float] | None = None, classes: int = 3
) -> Answers:
    """Answers that say so with those scores (0.9); what is left is shared by the other classes."""
    count = len(labels)
    score = np.full(count, 0.9) if scores is None else np.asarray(scores, float)
    probabilities = np.repeat(((1 - score) / (classes - 1))[:, None], classes, axis=1)
    probabilities[np.arange(count), list(said)] = score
    ids = [f"test/{k:03}.png" for k in range(count)]
    return Answers(ids, np.array(labels, np.int64), probabilities, pictures)


def drawn(seed: int, count: int, classes: int, right: float) -> Answers:
    """Answers of which about that share is right, to labels and with scores at random."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    said = np.where(generator.uniform(size=count) < right, labels, generator.integers(0, classes, count))
    return answers(labels.tolist(), said.tolist(), generator.uniform(0.6, 1, count).tolist(), classes)


def on_page(*sections: Section) -> Page:
    """The page with those sections; it must be well made, and ask for nothing beyond itself."""
    text = render(title="t", kind="Report", heading="h", about="", hero=Markup(""), sections=list(sections))
    page = Page(text)
    assert page.faults == []
    assert requests(text) == []
    return page


def data_of(page: Page, within: str) -> Any:
    """The JSON of the script that has this in it."""
    (text,) = [script for script in page.scripts if within in script and script.lstrip().startswith("{")]
    return json.loads(text)


def plain(text: str) -> str:
    """With spaces of every kind as single plain ones."""
    return re.sub(r"\s+", " ", text)
