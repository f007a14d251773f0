"""The parts that charts are made of: scales, axes, lines, bars, marks and words, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

#: Series that can be told apart; more are drawn, but repeat dash, mark and colour.
STYLES = 6

#: Size of the words in a chart, and the mean width of a character as a share of it (enough for almost any).
_FONT, _CHARACTER = 12.5, 0.58
#: Characters of a name that has its place beside a chart.
_NAME = 18


@dataclass(frozen=True)
class Scale:
    """Where values lie between two ends, as shares of 0 … 1; ``log``: by their logarithms."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """0 at ``low``, 1 at ``high``."""
        low, high, value = (_log(v) if self.log else v for v in (self.low, self.high, value))
        return (value - low) / (high - low)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values within the scale, about ``count`` of them."""
        if self.log and self.high / self.low >= 10:
            return _log_ticks(self.low, self.high, count)
        # One more than asked for: the ends that ``scale_of`` rounds to are then ticks as well.
        step = _round_step((self.high - self.low) / (count + 1))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def scale_of(values: Sequence[float], *, log: bool = False, zero: bool = False) -> Scale:
    """The scale that values need, widened to round ends; ``zero``: with 0 in it."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if log:
        return Scale(low / 1.1, high * 1.1, True)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:  # a flat line lies in the middle; of nothing but noughts the scale begins there
        room = abs(low) / 10 or 0.5
        low, high = (low, high + 1.0) if zero else (low - room, high + room)
    step = _round_step((high - low) / 5)
    return Scale(
        float(f"{math.floor(low / step + 1e-9) * step:.12g}"),
        float(f"{math.ceil(high / step - 1e-9) * step:.12g}"),
    )


def _log(value: float) -> float:
    return math.log10(max(value, 1e-300))


def _round_step(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten, with a half step between them where they are few; over at least one decade."""
    exponents = range(math.floor(_log(low)), math.ceil(_log(high)) + 1)
    for multiples in ((1,), (1, 3)):
        ticks = [float(f"{m}e{e}") for e in exponents for m in multiples]
        inside = [t for t in ticks if low <= t <= high]
        if len(inside) >= 3:
            break
    return inside[:: -(-len(inside) // (count + 1))]


@dataclass(frozen=True)
class Axes:
    """A frame of ``width`` × ``height`` units with two scales; ``across`` and ``up`` place a value in it."""

    x: Scale
    y: Scale
    width: float = 400
    height: float = 250
    left: float = 52
    right: float = 16
    top: float = 26
    bottom: float = 42

    def across(self, value: float) -> float:
        """The x coordinate of a value."""
        return self.left + self.x.share(value) * (self.width - self.left - self.right)

    def up(self, value: float) -> float:
        """The y coordinate of a value; it grows downwards, as SVG has it."""
        return self.height - self.bottom - self.y.share(value) * (self.height - self.top - self.bottom)

    def frame(self, x: str, y: str, *, x_percent: bool = False, y_percent: bool = False) -> Markup:
        """Grid lines, ticks and the names of the axes. percent: values are shares, told in per cent."""
        end, base = self.width - self.right, self.height - self.bottom
        parts = []
        for value in self.y.ticks():
            at = self.up(value)
            parts.append(line(self.left, at, end, at, "grid"))
            parts.append(text(self.left - 7, at + 4, tick_words(value, y_percent), "tick", "end"))
        for value in self.x.ticks():
            at = self.across(value)
            parts.append(line(at, base, at, base + 4, "axis"))
            parts.append(text(at, base + 18, tick_words(value, x_percent), "tick", "middle"))
        parts.append(line(self.left, base, end, base, "axis"))
        parts.append(text(end, self.height - 5, x, "name", "end"))
        parts.append(text(4, 13, y, "name"))
        return Markup("").join(parts)


def tick_words(value: float, as_percent: bool) -> str:
    """A tick's value, short."""
    if as_percent:
        return f"{100 * value:.4g}%"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line of a class: grid, axis, whisker, even."""
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(
        x1, y1, x2, y2, kind
    )


def text(x: float, y: float, words: str, kind: str = "label", anchor: str = "start") -> Markup:
    """Words with their base line at y. kind: label, tick, name or value."""
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}" text-anchor="{}">{}</text>').format(
        x, y, kind, anchor, words
    )


def bar(x: float, y: float, width: float, height: float, style: int = 0, told: str = "") -> Markup:
    """A bar of the style of a series; ``told`` shows when it is pointed at."""
    title = Markup("<title>{}</title>").format(told) if told else Markup("")
    return Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="bar s{}">{}</rect>'
    ).format(x, y, max(width, 0.0), height, style % STYLES + 1, title)


def marker(style: int, x: float, y: float, told: str = "", size: float = 3.2) -> Markup:
    """The mark of a series at a point: circle, square, triangle, diamond, or these hollow."""
    s = size
    shapes = (
        f"M{x - s:.1f} {y:.1f}a{s} {s} 0 1 0 {2 * s} 0a{s} {s} 0 1 0 {-2 * s} 0z",
        f"M{x - s:.1f} {y - s:.1f}h{2 * s}v{2 * s}h{-2 * s}z",
        f"M{x:.1f} {y - 1.3 * s:.1f}l{1.2 * s:.2f} {2.2 * s:.2f}h{-2.4 * s:.2f}z",
        f"M{x:.1f} {y - 1.4 * s:.1f}l{1.4 * s:.2f} {1.4 * s:.2f}l{-1.4 * s:.2f} {1.4 * s:.2f}"
        f"l{-1.4 * s:.2f} {-1.4 * s:.2f}z",
    )
    number = style % STYLES
    hollow = " hollow" if number >= len(shapes) else ""
    title = Markup("<title>{}</title>").format(told) if told else Markup("")
    return Markup('<path d="{}" class="mark s{}{}">{}</path>').format(
        shapes[number % len(shapes)], number + 1, hollow, title
    )


def svg(width: float, height: float, body: Markup, *, title: str, description: str) -> Markup:
    """What was drawn, as a picture with a name for screen readers.

    title: the name. description: what is seen, in a sentence.
    """
    return Markup('<svg viewBox="0 0 {:g} {:g}" role="img" aria-label="{}"><desc>{}</desc>{}</svg>').format(
        width, height, f"{title}. {description}", description, body
    )


def short(name: str) -> str:
    """A name that fits beside a chart; its ends say most."""
    return name if len(name) <= _NAME else f"{name[: _NAME - 8]}…{name[-7:]}"


def width_of(words: str) -> float:
    """The room that words take, estimated."""
    return _FONT * _CHARACTER * len(words)
