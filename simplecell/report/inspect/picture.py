"""What a computer sees of a picture: a table of numbers for each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from simplecell.errors import UserError
from simplecell.report.charts import lines
from simplecell.report.page import render
from simplecell.report.section import Section
from simplecell.report.tables import number, pairs, size, table
from simplecell.report.thumbnails import data_uri

#: Values of a bar of the histograms: 64 bars for 256 values.
BIN = 4
#: Pixels of the longer side of a picture on the page, and of the enlarged patch.
_SIDE, _ENLARGED = 640, 320

_STYLE = """
.seen { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; align-items: flex-start; }
.seen figure { margin: 0; flex: 1 1 16rem; max-width: 26rem; min-width: 0; }
.seen img { display: block; width: 100%; border-radius: 4px; }
.seen figcaption { margin-top: .35rem; color: var(--quiet); font-size: .875rem; }
"""


@dataclass(frozen=True)
class Channel:
    """One channel of a picture: extremes, mean, deviation; and how often each of 0 … 255 is there."""

    name: str
    least: int
    most: int
    mean: float
    deviation: float
    counts: NDArray[np.int64]

    @property
    def bars(self) -> NDArray[np.int64]:
        """The counts in bars of BIN values."""
        bars: NDArray[np.int64] = self.counts.reshape(-1, BIN).sum(1)
        return bars


@dataclass(frozen=True)
class Seen:
    """A picture as numbers.

    name: of its file. stored: bytes of the file. pixels: uint8, H, W, C. at: column and row of the patch's
    upper left pixel. patch: uint8, h, w, C.
    """

    name: str
    stored: int
    pixels: NDArray[np.uint8]
    at: tuple[int, int]
    patch: NDArray[np.uint8]
    channels: tuple[Channel, ...]

    @property
    def told_size(self) -> str:
        height, width, channels = self.pixels.shape
        return f"{width} × {height} pixels, {channels} channel{'s' if channels > 1 else ''}"

    def to_json(self) -> dict[str, Any]:
        """All of it but the pixels beyond the patch; values 0 … 255, rows first."""
        height, width, channels = self.pixels.shape
        return {
            "kind": "picture",
            "file": self.name,
            "width": width,
            "height": height,
            "channels": channels,
            "bytes_of_file": self.stored,
            "bytes_of_pixels": int(self.pixels.size),
            "statistics": {
                c.name: {
                    "least": c.least,
                    "most": c.most,
                    "mean": c.mean,
                    "deviation": c.deviation,
                    "histogram": c.counts.tolist(),
                }
                for c in self.channels
            },
            "patch": {"x": self.at[0], "y": self.at[1], "values": self.patch.tolist()},
        }


def see(pixels: NDArray[np.uint8], name: str, stored: int, at: tuple[int, int] | None, zoom: int) -> Seen:
    """The numbers of a picture, uint8, H, W, C with C 1 or 3.

    at: column and row where the patch begins; in the middle where it is None. zoom: the patch's side; a
    picture that is smaller is shown whole. Raises UserError where ``at`` is outside the picture.
    """
    height, width, count = pixels.shape
    rows, columns = min(zoom, height), min(zoom, width)
    x, y = at if at is not None else ((width - columns) // 2, (height - rows) // 2)
    if not (0 <= x < width and 0 <= y < height):
        raise UserError(
            f"there is no pixel {x},{y} in a picture of {width} × {height}",
            where="--at",
            remedy=f"give a column of 0 to {width - 1} and a row of 0 to {height - 1}",
        )
    x, y = min(x, width - columns), min(y, height - rows)
    names = ("grey",) if count == 1 else ("red", "green", "blue")
    channels = tuple(_channel(names[k], pixels[..., k]) for k in range(count))
    return Seen(name, stored, pixels, (x, y), pixels[y : y + rows, x : x + columns], channels)


def _channel(name: str, values: NDArray[np.uint8]) -> Channel:
    counts = np.bincount(values.ravel(), minlength=256).astype(np.int64)
    # From the counts: a picture of a hundred million pixels is not copied into floats.
    levels = np.arange(256)
    mean = float(counts @ levels / counts.sum())
    deviation = float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))
    there = np.flatnonzero(counts)
    return Channel(name, int(there[0]), int(there[-1]), mean, deviation, counts)


def page(seen: Seen) -> str:
    """The page of a picture as HTML."""
    height, width, channels = seen.pixels.shape
    return render(
        title=f"{seen.name} as numbers",
        kind="Inspect",
        heading=seen.name,
        about=seen.told_size,
        hero=Markup(
            '<p class="hero"><strong>{:,}</strong> <span class="quiet">numbers of 0 to 255</span></p>'
        ).format(height * width * channels),
        sections=[_picture(seen), _patch(seen), _apart(seen), _histograms(seen)],
    )


def _picture(seen: Seen) -> Section:
    facts = pairs(
        [
            ("width", f"{seen.pixels.shape[1]:,} pixels"),
            ("height", f"{seen.pixels.shape[0]:,} pixels"),
            ("channels", ", ".join(c.name for c in seen.channels)),
            ("the file", size(seen.stored)),
            ("as numbers of a byte", size(seen.pixels.size)),
            ("as 32-bit floats", size(4 * seen.pixels.size)),
        ]
    )
    shown = _figure(_marked(seen), _SIDE, "The picture", "The framed patch is shown below as numbers.")
    kept = seen.pixels.size / max(1, seen.stored)
    lead = f"{seen.told_size}: {size(seen.pixels.size)} of numbers, {kept:.1f} times the bytes of its file."
    return Section(
        "picture", "Picture", Markup('<div class="seen">{}</div>{}').format(shown, facts), lead, _STYLE
    )


def _marked(seen: Seen) -> NDArray[np.uint8]:
    """The picture, in colour, with a frame around the patch: light within dark, to be seen on anything."""
    picture = np.repeat(seen.pixels, 3, axis=2) if seen.pixels.shape[2] == 1 else seen.pixels.copy()
    height, width, _ = picture.shape
    thick = max(1, round(max(height, width) / _SIDE * 2))
    (x, y), (rows, columns, _) = seen.at, seen.patch.shape
    for colour, grown in ((0, 2 * thick), (255, thick)):
        top, left = max(0, y - grown), max(0, x - grown)
        bottom, right = min(height, y + rows + grown), min(width, x + columns + grown)
        picture[top:bottom, left:right] = colour
    picture[y : y + rows, x : x + columns] = seen.patch
    return picture


def _patch(seen: Seen) -> Section:
    (x, y), (rows, columns, _) = seen.at, seen.patch.shape
    enlarged = seen.patch.repeat(max(1, _ENLARGED // max(rows, columns)), 0)
    enlarged = enlarged.repeat(max(1, _ENLARGED // max(rows, columns)), 1)
    tables = Markup("\n").join(
        Markup("<h3>{}</h3>{}").format(
            channel.name.capitalize(),
            table(
                f"Values of {channel.name}",
                ["row", *(f"{x + column}" for column in range(columns))],
                [[f"{y + row}", *(str(v) for v in seen.patch[row, :, k])] for row in range(rows)],
            ),
        )
        for k, channel in enumerate(seen.channels)
    )
    shown = _figure(enlarged, _ENLARGED, "The patch, enlarged", "Each square is a pixel.")
    lead = (
        f"{columns} × {rows} pixels from column {x}, row {y}: this, and nothing else, is what a net is given."
    )
    return Section(
        "patch", "Patch", Markup('<div class="seen">{}</div>{}').format(shown, tables), lead, _STYLE
    )


def _apart(seen: Seen) -> Section:
    figures = Markup("\n").join(
        _figure(
            np.ascontiguousarray(seen.pixels[..., k : k + 1]),
            _SIDE // 2,
            f"The channel {c.name}",
            f"{c.name}: {c.least} to {c.most}, mean {number(c.mean)}, deviation {number(c.deviation)}",
        )
        for k, c in enumerate(seen.channels)
    )
    brightest = max(seen.channels, key=lambda c: c.mean)
    lead = (
        "A grey picture has one channel."
        if len(seen.channels) == 1
        else f"Each channel is a grey picture of its own; {brightest.name} is the lightest here, with a mean "
        f"of {number(brightest.mean)}."
    )
    return Section(
        "channels", "Channels apart", Markup('<div class="seen">{}</div>').format(figures), lead, _STYLE
    )


def _histograms(seen: Seen) -> Section:
    total = seen.pixels.shape[0] * seen.pixels.shape[1]
    series = {
        c.name: [(BIN * k + BIN / 2, float(n) / total) for k, n in enumerate(c.bars.tolist())]
        for c in seen.channels
    }
    chart = lines(
        series,
        title=f"Share of pixels by value, in steps of {BIN}",
        x="value",
        y="share of pixels",
        description=f"{_most(seen.channels)}.",
        percent_y=True,
    )
    ends = sum(int(c.counts[0] + c.counts[255]) for c in seen.channels) / seen.pixels.size
    lead = f"{100 * ends:.1f} % of the values are 0 or 255, where a camera can tell no more."
    return Section("histograms", "Histograms", Markup('<div class="charts">{}</div>').format(chart), lead)


def _most(channels: Sequence[Channel]) -> str:
    tops = [(c.name, int(c.bars.argmax()) * BIN) for c in channels]
    return "The most common values: " + "; ".join(f"{n} {low} to {low + BIN - 1}" for n, low in tops)


def _figure(picture: NDArray[np.uint8], side: int, name: str, caption: str) -> Markup:
    small = Markup(' class="pixels"') if max(picture.shape[:2]) <= side // 2 else ""
    return Markup('<figure><img src="{}" alt="{}"{}><figcaption>{}</figcaption></figure>').format(
        data_uri(picture, side, quality=80), name, small, caption
    )
