"""Numbers in words, and tables that a screen reader and a phone can read."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from markupsafe import Markup, escape

#: A space that neither breaks nor stretches, between a number and its unit.
_THIN = "\u202f"
_NONE = "–"

#: Figures that are shares, by the last word of their names: they read best in per cent.
_SHARES = ("accuracy", "precision", "recall", "F1")


def number(value: float | None, digits: int = 4) -> str:
    """A number for eyes: whole ones in full, others to some significant digits; – for none."""
    if value is None or not math.isfinite(value):
        return _NONE
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(share: float | None, decimals: int = 2) -> str:
    """A share of 0 … 1 in per cent."""
    if share is None or not math.isfinite(share):
        return _NONE
    return f"{100 * share:.{decimals}f}{_THIN}%"


def is_share(name: str) -> bool:
    """Whether the figure of that name is told in per cent."""
    return name.rpartition(" ")[2] in _SHARES


def figure_value(name: str, value: float | None) -> str:
    """The value of a figure, in per cent where it is a share."""
    if is_share(name):
        return percent(value)
    return _NONE if value is None or not math.isfinite(value) else f"{value:.4f}"


def interval(name: str, figure: Mapping[str, float | None]) -> str:
    """The interval of a figure, ``low – high``; – where it has none."""
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None:
        return _NONE
    return f"{figure_value(name, low).removesuffix(f'{_THIN}%')} – {figure_value(name, high)}"


def setting_value(value: bool | int | float | str) -> str:
    """The value of a setting; – for an empty one."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, 6)
    return str(value) if value != "" else _NONE


def size(count: float) -> str:
    """Bytes in the unit that fits, by powers of 1000."""
    prefixes = ["", "k", "M", "G", "T"]
    while abs(count) >= 1000 and len(prefixes) > 1:
        count /= 1000
        prefixes.pop(0)
    return f"{count:.3g}{_THIN}{prefixes[0]}B"


def quantity(count: float, unit: str = "") -> str:
    """A large number in words: 11.7 million."""
    for scale, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(count) >= scale:
            return f"{count / scale:.3g} {word}" + (f" {unit}" if unit else "")
    return f"{count:,.0f}" + (f" {unit}" if unit else "")


def duration(seconds: float) -> str:
    """Seconds in the units a person would use."""
    if seconds < 100:
        return f"{seconds:.3g}{_THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{_THIN}h {minutes:02}{_THIN}min" if hours else f"{minutes}{_THIN}min {rest:02}{_THIN}s"


def table(
    caption: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Markup]],
    *,
    words: Collection[str] = (),
) -> Markup:
    """A table that scrolls inside itself where it is wider or longer than the screen.

    caption: for screen readers, since a heading beside the table says the same. rows: the first cell of each
    is its heading. words: the headings of columns that hold text; the others hold numbers, aligned by their
    digits. Text is escaped, Markup is not.
    """
    kinds = [Markup("") if name in words else Markup(' class="number"') for name in headings[1:]]
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(kind, name)
        for kind, name in zip([Markup(""), *kinds], headings, strict=True)
    )
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>\n').format(
            row[0],
            Markup("").join(
                Markup("<td{}>{}</td>").format(kind, cell) for kind, cell in zip(kinds, row[1:], strict=True)
            ),
        )
        for row in rows
    )
    # What scrolls must be reachable by keyboard, and then wants a name.
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="{}"><table>'
        '<caption class="unseen">{}</caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody></table></div>'
    ).format(caption, caption, head, body)


def pairs(items: Iterable[tuple[str, str | Markup]]) -> Markup:
    """A list of names and what they are."""
    inner = Markup("\n").join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(k, v) for k, v in items)
    return Markup('<dl class="pairs">\n{}\n</dl>').format(inner)


def folded(summary: str, inner: Markup, *, open: bool = False) -> Markup:
    """What is not read by everyone, behind a line that opens it."""
    return Markup("<details{}><summary>{}</summary>\n{}</details>").format(
        Markup(" open" if open else ""), summary, inner
    )


def items(lines: Iterable[str | Markup]) -> Markup:
    """A plain list."""
    return Markup("<ul>\n{}\n</ul>").format(
        Markup("\n").join(Markup("<li>{}</li>").format(line) for line in lines)
    )


def paragraph(text: str | Markup, *, quiet: bool = False) -> Markup:
    """One paragraph."""
    return Markup("<p{}>{}</p>").format(Markup(' class="quiet"' if quiet else ""), escape(text))
