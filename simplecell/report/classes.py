"""How well each class is told: precision, recall and F1, with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from markupsafe import Markup

from simplecell.metrics.classification import by_class, confusion
from simplecell.metrics.intervals import Figure
from simplecell.report.answers import Answers, share
from simplecell.report.section import Section
from simplecell.report.tables import folded, percent, table

#: So many classes stand in the open table, those told worst; the rest is folded.
_OPEN = 100
#: Where bars may begin.
_STARTS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)

_STYLE = """
.interval { width: 5.5rem; height: .75rem; margin: .15rem 0 0 auto; }
.interval .track { stroke: var(--line); stroke-width: 8; }
.interval .reach { stroke: var(--series-1); stroke-width: 8; opacity: .45; }
.interval .at { stroke: var(--ink); stroke-width: 2.5; }
"""


def section(answers: Answers, classes: Sequence[str]) -> Section:
    """The section of figures by class, the one with the lowest F1 first."""
    matrix = confusion(answers.labels, answers.probabilities)
    figures = by_class(matrix, classes)
    support = matrix.sum(axis=1)
    worst_first = np.array([figures[name]["F1"].value for name in classes])
    worst_first[support == 0] = np.inf  # nothing is known of how such a class is told
    order = np.argsort(worst_first, kind="stable").tolist()
    start = _start(figures.values())
    rows = [_row(classes[k], int(support[k]), figures[classes[k]], start) for k in order]
    headings = ["class", "pictures", "precision", "recall", "F1"]
    html = table("Figures by class", headings, rows[:_OPEN])
    if len(rows) > _OPEN:
        title = f"The other {len(rows) - _OPEN} classes"
        html += folded(title, table("Figures by class, the others", headings, rows[_OPEN:]))
    html += Markup(
        '<p class="quiet">Precision: the share right of what was taken for the class. Recall: the share of '
        "the class that is found. F1: their harmonic mean. In brackets, and as bars from {} to 100\u202f%, "
        "intervals of 95\u202f%.</p>"
    ).format(percent(start, 0))
    worst = order[0]
    found, taken = int(matrix[worst, worst]), int(matrix[:, worst].sum())
    right = f"{share(found, taken)} pictures taken for it are right" if taken else "nothing is taken for it"
    lead = (
        f"{classes[worst]} is told worst: {share(found, int(support[worst]))} of its pictures are found, "
        f"and {right}."
    )
    return Section("classes", "Classes", html, lead=lead, style=_STYLE)


def _start(figures: Iterable[Mapping[str, Figure]]) -> float:
    """Where the bars of all classes begin, so that their ends can be told apart."""
    ends = [
        one.low for each in figures for one in each.values() if np.isfinite(one.value) and one.low is not None
    ]
    return max((start for start in _STARTS if start <= min(ends, default=0.0)), default=0.0)


def _row(name: str, support: int, figures: Mapping[str, Figure], start: float) -> list[str | Markup]:
    cells = [_figure(figures[figure], start) for figure in ("precision", "recall", "F1")]
    return [name, f"{support:,}", *cells]


def _figure(figure: Figure, start: float) -> Markup:
    """``98.2 % (97.1–99.0)``, and a bar that says the same."""
    if not np.isfinite(figure.value):
        return Markup("–")
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    left, right, at = (100 * (end - start) / (1 - start) for end in (low, high, figure.value))
    return Markup(
        "{} ({:.1f}–{:.1f})"
        '<svg class="interval" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="track" d="M0 6H100"/><path class="reach" d="M{:.1f} 6H{:.1f}"/>'
        '<path class="at" d="M{:.1f} 0V12"/></svg>'
    ).format(percent(figure.value, 1), 100 * low, 100 * high, left, right, min(99.0, max(1.0, at)))
