"""The page of ``data check``: pictures of every class, repeats side by side, what is broken; one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simplecell.data.review import Repeat, Review, Seen
    from simplecell.data.sources import Source

#: Bytes of pictures after which the page takes no more: with its text it stays below 8 MB.
BUDGET = 6_000_000
#: Pictures of a class, of all its sides together.
SHEET = 8
#: Pairs of repeated pictures that are shown.
PAIRS = 40
#: The longer side of a thumbnail, in pixels.
THUMBNAIL = 128


@dataclass(frozen=True)
class Shown:
    """A picture on the page: what it is, and its thumbnail as a data address ("" where there is none)."""

    name: str
    about: str
    image: str
    small: bool  # shown larger than it is, pixel by pixel


@dataclass(frozen=True)
class Sheet:
    """Pictures of one class."""

    label: str
    counts: str
    pictures: tuple[Shown, ...]


def write_page(path: Path, found: Review, source: Source) -> None:
    """Write the page of a review; it needs no other file and no network, and is at most 8 MB large.

    Raises UserError when it cannot be written.
    """
    from simplecell.errors import UserError
    from simplecell.run import write_atomically

    text = page_text(found, source)
    try:
        write_atomically(path, text)
    except OSError as error:
        raise UserError(
            f"the page cannot be written ({error.strerror})", where=path, remedy="choose another --page"
        ) from None


def page_text(found: Review, source: Source) -> str:
    """The page as HTML."""
    import jinja2
    from markupsafe import Markup, escape

    thumbnails = _Thumbnails(source)
    pairs = [(repeat, *_pair(repeat, thumbnails)) for repeat in found.repeats[:PAIRS]]
    sheets = _sheets(found, source, thumbnails)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("simplecell.commands"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    # A flag stays whole where a line ends, and can be told from the words around it.
    environment.filters["flags"] = lambda text: Markup(
        re.sub(r"(?<!\S)--[a-z][a-z-]*[a-z]", r"<code>\g<0></code>", str(escape(text)))
    )
    return environment.get_template("check.html").render(
        found=found,
        name=source.path.resolve().name,
        sheets=sheets,
        pairs=pairs,
        total=sum(found.total(side) for side in found.sides),
        hidden_classes=len(found.counts) - len(sheets),
        hidden_pairs=len(found.repeats) - len(pairs),
    )


class _Thumbnails:
    """Thumbnails made on demand, within the budget of the page."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rows = {
            side: {name: row for row, name in enumerate(table.ids)} for side, table in source.tables.items()
        }
        self.left = BUDGET

    def show(self, seen: Seen) -> Shown:
        """The picture as the page shows it; without a thumbnail when it cannot be read or no room is left."""
        from simplecell.errors import UserError

        about = f"{seen.label}, {seen.side}"
        if self.left <= 0:
            return Shown(seen.id, about, "", small=False)
        try:
            picture = self._source.tables[seen.side].pictures.read(self._rows[seen.side][seen.id])
        except UserError:
            return Shown(seen.id, about, "", small=False)
        height, width, _ = picture.shape
        image = _data_address(picture)
        self.left -= len(image)
        return Shown(seen.id, f"{about}, {height}×{width}", image, small=max(height, width) < THUMBNAIL // 2)


def _data_address(picture: NDArray[np.uint8]) -> str:
    """The picture (uint8, H, W, 1 or 3) as a JPEG of at most THUMBNAIL pixels a side, in a data address."""
    import base64
    import io

    from PIL import Image

    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def _pair(repeat: Repeat, thumbnails: _Thumbnails) -> tuple[Shown, Shown]:
    return thumbnails.show(repeat.first), thumbnails.show(repeat.second)


def _sheets(found: Review, source: Source, thumbnails: _Thumbnails) -> list[Sheet]:
    """A sheet for each class, until the page is full; every class gets as many pictures as the others."""
    from simplecell.data.review import Seen

    broken = {(item.picture.side, item.picture.id) for item in found.broken}
    places: dict[str, list[Seen]] = {name: [] for name in found.counts}
    for side, table in source.tables.items():
        for name, label in zip(table.ids, table.labels.tolist(), strict=True):
            if (side, name) not in broken:
                places[source.classes[label]].append(Seen(side, name, source.classes[label]))
    # 5 kB is what a photograph of this size takes; small classes leave their share to nobody.
    each = max(1, min(SHEET, BUDGET // (5_000 * max(1, len(places)))))
    sheets = []
    for label, seen in places.items():
        if thumbnails.left <= 0:
            break
        counts = ", ".join(f"{count:,} {side}" for side, count in found.counts[label].items())
        chosen = _spread_out(seen, each)
        sheets.append(Sheet(label, counts, tuple(thumbnails.show(item) for item in chosen)))
    return sheets


def _spread_out(items: Sequence[Seen], count: int) -> list[Seen]:
    """``count`` of the items at equal distances, or all of them."""
    if len(items) <= count:
        return list(items)
    return [items[(2 * number + 1) * len(items) // (2 * count)] for number in range(count)]
