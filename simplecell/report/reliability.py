"""Whether scores can be believed: the reliability diagram, and what leaving unsure answers out gains."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from simplecell.metrics.classification import Bin, calibration_error, coverage, reliability, tempered
from simplecell.metrics.intervals import Figure
from simplecell.report.answers import Answers
from simplecell.report.charts import figure
from simplecell.report.drawing import Axes, Scale, bar, line, marker, svg, text
from simplecell.report.section import Section
from simplecell.report.tables import paragraph, percent, table

#: As the expected calibration error is usually taken (Guo et al. 2017).
_BINS = 15
#: Bars of the histogram of scores.
_BARS = 20
#: Scores below which an answer may be held back (``predict --reject-below``).
_THRESHOLDS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def section(answers: Answers, temperature: float, *, fitted: bool) -> Section:
    """The section on calibration.

    temperature: what the net's logits are divided by; the answers are those after it. fitted: whether there
    was a validation side to fit it on.
    """
    labels, after = answers.labels, answers.probabilities
    series = {"with it": after} if fitted else {"scores": after}
    if fitted:  # what the net said before can be computed from what it says now
        series["without"] = tempered(after, 1 / temperature)
    errors = {name: calibration_error(labels, chances, _BINS) for name, chances in series.items()}
    by_mass = {
        name: calibration_error(labels, chances, _BINS, equal="mass") for name, chances in series.items()
    }
    rows = [["ECE, equal widths", *map(_words, errors.values())]]
    rows.append(["ECE, equal counts", *map(_words, by_mass.values())])
    headings = ["error", f"temperature {temperature:.3g}", "temperature 1"] if fitted else ["error", "value"]
    bins = {name: reliability(labels, chances, _BINS) for name, chances in series.items()}
    parts = [
        Markup('<div class="charts">{}{}</div>').format(_diagram(bins), _histogram(answers)),
        table("Expected calibration error", headings, rows),
        paragraph(
            f"The expected calibration error (ECE): the mean distance of score and share right over {_BINS} "
            "ranges of scores, of equal width or with equally many pictures.",
            quiet=True,
        ),
        _coverage(answers),
    ]
    return Section(
        "reliability",
        "Reliability",
        Markup("\n").join(parts),
        lead=_lead(answers, temperature, errors, fitted),
    )


def _lead(answers: Answers, temperature: float, errors: dict[str, Figure], fitted: bool) -> str:
    accuracy = float((answers.said == answers.labels).mean())
    sure = float(answers.score.mean())
    gap = sure - accuracy
    verdict = (
        "as sure as it is right"
        if abs(gap) < 0.005
        else f"{'surer' if gap > 0 else 'less sure'} than it is right by {percent(abs(gap), 1)}"
    )
    told = (
        f"On average the net is {verdict}: its mean score is {percent(sure, 1)}, "
        f"and {percent(accuracy, 1)} of its answers are right."
    )
    if not fitted:
        return f"{told} No temperature was fitted, for there was no validation side."
    after, before = errors["with it"].value, errors["without"].value
    return (
        f"{told} A temperature of {temperature:.3g}, fitted on the validation side, takes the calibration "
        f"error from {before:.4f} to {after:.4f}."
    )


def _words(value: Figure) -> str:
    sure = "" if value.low is None or value.high is None else f" ({value.low:.4f}–{value.high:.4f})"
    return f"{value.value:.4f}{sure}"


def _diagram(bins: dict[str, list[Bin]]) -> Markup:
    """Accuracy over score, a mark a range, with whiskers for the scores that the net gives now."""
    axes = Axes(Scale(0, 1), Scale(0, 1), width=400, height=330)
    parts = [axes.frame("score", "share right", x_percent=True, y_percent=True)]
    parts.append(line(axes.across(0), axes.up(0), axes.across(1), axes.up(1), "even"))
    for style, ranges in reversed(list(enumerate(bins.values()))):
        for one in ranges:
            across = axes.across(one.confidence)
            told = f"{percent(one.accuracy.value, 1)} right of {one.count:,} at {percent(one.confidence, 1)}"
            if style == 0 and one.accuracy.low is not None and one.accuracy.high is not None:
                parts.append(
                    line(across, axes.up(one.accuracy.low), across, axes.up(one.accuracy.high), "whisker")
                )
            parts.append(marker(style, across, axes.up(one.accuracy.value), told, 4.0))
    for style, name in enumerate(bins):
        y = axes.up(0.05) - 18 * (len(bins) - 1 - style)
        parts.append(marker(style, axes.across(0.5), y - 4, "", 4.0))
        words = {"with it": "with the temperature", "without": "at temperature 1"}.get(name, name)
        parts.append(text(axes.across(0.5) + 10, y, words, f"label s{style + 1}"))
    description = (
        "Each mark is a range of scores: where it lies on the broken line, such scores are right as often as "
        "they say; below it the net is too sure. Lines through the marks are intervals of 95\u202f%."
    )
    title = "How often a score is right"
    rows = [
        [
            f"{name}: {one.low:.3f}–{one.high:.3f}",
            f"{one.count:,}",
            percent(one.confidence),
            percent(one.accuracy.value),
        ]
        for name, ranges in bins.items()
        for one in ranges
    ]
    numbers = table(title, ["scores", "pictures", "mean score", "share right"], rows)
    drawing = svg(axes.width, axes.height, Markup("").join(parts), title=title, description=description)
    return figure(title, drawing, numbers, description=description)


def _histogram(answers: Answers) -> Markup:
    """How scores are distributed, of right answers and of wrong ones, each as shares of their number."""
    edges = np.linspace(0, 1, _BARS + 1)
    right = answers.said == answers.labels
    kinds = {"right answers": answers.score[right], "wrong answers": answers.score[~right]}
    counts = {name: np.histogram(scores, edges)[0] for name, scores in kinds.items()}
    shares = {name: count / max(1, count.sum()) for name, count in counts.items()}
    most = max(float(each.max()) for each in shares.values())
    axes = Axes(Scale(0, 1), Scale(0, most), width=400, height=330)
    parts = [axes.frame("score", "share of the answers", x_percent=True, y_percent=True)]
    wide = (axes.across(edges[1]) - axes.across(0) - 3) / 2
    for style, (name, each) in enumerate(shares.items()):
        for k in np.flatnonzero(each).tolist():
            x, y = axes.across(edges[k]) + 1 + style * (wide + 1), axes.up(each[k])
            told = f"{counts[name][k]:,} {name} at {edges[k]:.0%}–{edges[k + 1]:.0%}"
            parts.append(bar(x, y, wide, axes.up(0) - y, style, told))
        y = axes.top + 14 + 18 * style
        parts.append(bar(axes.left + 11, y - 10, 11, 11, style))
        parts.append(text(axes.left + 28, y, name, f"label s{style + 1}"))
    title = "How sure it is"
    description = "How scores are distributed: a net that knows when it is wrong has low scores there."
    rows = [
        [f"{edges[k]:.0%}–{edges[k + 1]:.0%}", *(f"{count[k]:,}" for count in counts.values())]
        for k in range(_BARS)
    ]
    drawing = svg(axes.width, axes.height, Markup("").join(parts), title=title, description=description)
    return figure(title, drawing, table(title, ["scores", *counts], rows), description=description)


def _coverage(answers: Answers) -> Markup:
    """What is answered, and how well, where unsure answers are held back."""
    found = coverage(answers.labels, answers.probabilities, _THRESHOLDS)
    rows = [
        [f"{threshold:g}", percent(answered.value), _share(accuracy)]
        for threshold, (answered, accuracy) in zip(_THRESHOLDS, found, strict=True)
    ]
    shown = table(
        "What is left when unsure answers are held back",
        ["score at least", "answered", "right of these"],
        rows,
    )
    return Markup(
        "<h3>Holding back unsure answers</h3>"
        "<p>With <code>predict --reject-below</code> a picture whose best score is lower gets no class.</p>{}"
    ).format(shown)


def _share(value: Figure) -> str:
    if not np.isfinite(value.value) or value.low is None or value.high is None:
        return "–"
    return f"{percent(value.value)} ({100 * value.low:.2f}–{100 * value.high:.2f})"
