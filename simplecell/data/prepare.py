"""One look at every picture before training starts, and the cache filled on the way.

A picture is decoded once. While it is in memory it is checked, fitted, and reduced to what later questions
need: a digest of its pixels, a thumbnail, its size, and the sums behind the data's mean and deviation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simplecell.data import filling, looks
from simplecell.data.augment import Augmentation
from simplecell.data.cache import Pack
from simplecell.data.filling import Plan
from simplecell.data.geometry import Geometry
from simplecell.data.leaks import Leak, leaks
from simplecell.data.loading import ArrayRows, PictureExamples, Rows, Tell, in_order
from simplecell.data.looks import Looks
from simplecell.data.pictures import ArrayPictures
from simplecell.data.sources import Table
from simplecell.errors import UserError

#: Pictures of an array that a thread handles at a time.
_CHUNK = 4096


class Broken(NamedTuple):
    """A picture that cannot be read: its id, what is wrong with it (a clause), and the whole sentence."""

    id: str
    fault: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Prepared:
    """The whole pictures of a table and what was seen of them.

    table: without the broken pictures, which ``broken`` has.
    looks: of each picture of the table.
    rows, fitted, full, sizes: as in ``PictureExamples``.
    kept: in words, where pictures come from in later epochs.
    """

    table: Table
    broken: tuple[Broken, ...]
    looks: Looks
    rows: NDArray[np.int64]
    fitted: Rows
    full: Rows
    sizes: NDArray[np.int64]
    kept: str

    def __len__(self) -> int:
        return len(self.table)

    @property
    def digests(self) -> NDArray[np.uint8]:
        """uint8, N × 16, of shape and pixels: equal pictures have equal ones."""
        return self.looks.digests

    @property
    def thumbnails(self) -> NDArray[np.uint8]:
        """uint8, N × 16 × 16, grey."""
        return self.looks.thumbnails

    @property
    def shapes(self) -> NDArray[np.int64]:
        """int64, N × 3: height, width, channels as decoded."""
        return self.looks.shapes

    def take(self, indices: NDArray[np.int64]) -> Prepared:
        """Some of the pictures, in that order."""
        return replace(
            self, table=self.table.take(indices), looks=self.looks.take(indices), rows=self.rows[indices]
        )


def prepare(
    table: Table, geometry: Geometry | None = None, *, crops: bool = False, tell: Tell | None = None
) -> Prepared:
    """Look at all pictures of a table; they are decoded unless the cache knows them.

    geometry: what to fit them to; None to look only, and keep no pixels.
    crops: keep pictures to cut random crops from, rather than fitted ones.
    tell: called with the number of pictures done and in all.

    Broken pictures are left out and listed (``refuse_broken`` turns them into an error). Raises UserError
    when the cache cannot be written.
    """
    tell = tell or _tell_nobody
    pictures = table.pictures
    if isinstance(pictures, ArrayPictures) and _keeps(geometry, pictures.array):
        return _prepare_array(table, pictures.array, tell)
    plan = Plan(geometry, 2 * max(geometry.height, geometry.width) if geometry and crops else 0)
    pack = filling.pack(pictures, plan, tell)
    tell(len(table), len(table))
    return _prepared(table, pack, plan)


def refuse_broken(broken: Sequence[Broken]) -> None:
    """Raise UserError if there are broken pictures: how many, and what is wrong with the first three."""
    if not broken:
        return
    first = ", ".join(f"{one.id} ({one.fault})" for one in broken[:3])
    more = ", …" if len(broken) > 3 else ""
    raise UserError(
        f"{len(broken)} {'pictures are' if len(broken) > 1 else 'picture is'} broken: {first}{more}",
        remedy="restore what is broken, or pass --skip-broken to leave it out",
    )


def mean_and_deviation(seen: Looks) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, from 0 to 1, over the pixels that ``sums`` were taken of.

    They are whole numbers, so the result does not depend on the order or on threads. A channel that never
    changes has deviation 1, so that it may be divided by.
    """
    count = int(seen.pixels.sum())
    totals, squares = seen.sums.sum(axis=0).tolist()
    # count² times the variance; Python's whole numbers do not overflow.
    spreads = [count * square - total * total for total, square in zip(totals, squares, strict=True)]
    mean = [total / count / 255 for total in totals]
    return mean, [sqrt(spread) / count / 255 if spread else 1.0 for spread in spreads]


def prepare_splits(
    tables: Mapping[str, Table],
    made: set[str],
    geometry: Geometry,
    augmentation: Augmentation | None,
    *,
    skip_broken: bool = False,
    drop_leaks: bool = False,
    tell: Tell | None = None,
) -> tuple[dict[str, PictureExamples], dict[str, Any]]:
    """Look at all sides of a data set and make examples of them.

    tables: by side. made: the sides that were divided off by us, not by the data's
    makers. Training pictures that are also on such a side are dropped from training; those that are also
    on a side of the data's own only with ``drop_leaks``.
    augmentation: what is done to the training side.

    Returns the examples by side and the facts, JSON values: by side "pictures", "kept", "broken" and
    "sizes" (least, median and greatest "height" and "width"), and where there is a training side its
    "leaks", "mean" and "deviation" (by channel, from 0 to 1).
    Raises UserError for broken pictures unless ``skip_broken``, and for a side of which none is left.
    """
    total = sum(map(len, tables.values()))
    sides: dict[str, Prepared] = {}
    done = 0
    for side, table in tables.items():
        crops = side == "train" and augmentation is not None and augmentation.crops
        sides[side] = prepare(table, geometry, crops=crops, tell=_continued(tell, done, total))
        done += len(table)
    broken = {side: prepared.broken for side, prepared in sides.items()}
    if not skip_broken:
        refuse_broken([one for some in broken.values() for one in some])
    facts: dict[str, Any] = {
        "broken": {
            side: {"count": len(some), "first": [list(one) for one in some[:20]]}
            for side, some in broken.items()
        }
    }
    if "train" in sides:
        sides["train"], facts["leaks"] = drop_leaks_from_training(sides, made, drop_leaks=drop_leaks)
    for side, prepared in sides.items():
        if len(tables[side]) and not len(prepared):
            raise UserError(
                "no picture is left: each is broken or stands on another side too",
                where=f"side {side!r}",
                remedy="see which by `simplecell data check`",
            )
    if "train" in sides:
        facts["mean"], facts["deviation"] = mean_and_deviation(sides["train"].looks)
    facts["pictures"] = {side: len(prepared) for side, prepared in sides.items()}
    facts["kept"] = {side: prepared.kept for side, prepared in sides.items()}
    facts["sizes"] = {side: _extent(prepared.shapes) for side, prepared in sides.items() if len(prepared)}
    examples = {
        side: _examples(prepared, geometry, augmentation if side == "train" else None)
        for side, prepared in sides.items()
    }
    return examples, facts


def _extent(shapes: NDArray[np.int64]) -> dict[str, list[float]]:
    """Least, median and greatest height and width of pictures of these shapes, N × 3."""
    ends = np.quantile(shapes[:, :2], [0, 0.5, 1], axis=0, method="nearest").T.tolist()
    return dict(zip(("height", "width"), ends, strict=True))


def prepare_one(
    table: Table, geometry: Geometry, *, skip_broken: bool = False, tell: Tell | None = None
) -> PictureExamples:
    """Look at a table by itself and make examples of it, as they are: for evaluation on other data.

    Raises UserError for broken pictures unless ``skip_broken``.
    """
    prepared = prepare(table, geometry, tell=tell)
    if not skip_broken:
        refuse_broken(prepared.broken)
    return _examples(prepared, geometry, None)


def drop_leaks_from_training(
    sides: Mapping[str, Prepared], made: set[str], *, drop_leaks: bool
) -> tuple[Prepared, dict[str, Any]]:
    """The training side without what leaks, and facts by other side: how many training pictures are
    "equal" and "near" to one there, whether they were "dropped", and the "first" 20 pairs of ids."""
    train = sides["train"]
    stays = np.ones(len(train), bool)
    facts = {}
    for side in ("validation", "test"):
        if side not in sides:
            continue
        found = leaks(train, sides[side])
        dropped = drop_leaks or side in made
        if dropped:
            stays[[leak.first for leak in found]] = False
        facts[side] = _leak_facts(train, sides[side], found, dropped)
    return (train if stays.all() else train.take(np.flatnonzero(stays))), facts


def _leak_facts(train: Prepared, other: Prepared, found: list[Leak], dropped: bool) -> dict[str, Any]:
    kinds = [leak.kind for leak in found]
    return {
        "equal": kinds.count("equal"),
        "near": kinds.count("near"),
        "dropped": dropped,
        "first": [[train.table.ids[a], other.table.ids[b], kind] for a, b, kind in found[:20]],
    }


def _continued(tell: Tell | None, before: int, total: int) -> Tell | None:
    return None if tell is None else lambda done, _: tell(before + done, total)


def _examples(prepared: Prepared, geometry: Geometry, augmentation: Augmentation | None) -> PictureExamples:
    return PictureExamples(
        ids=prepared.table.ids,
        labels=prepared.table.labels,
        geometry=geometry,
        rows=prepared.rows,
        fitted=prepared.fitted,
        full=prepared.full,
        sizes=prepared.sizes,
        augmentation=augmentation,
    )


def _tell_nobody(done: int, total: int) -> None:
    pass


def _keeps(geometry: Geometry | None, array: NDArray[np.uint8]) -> bool:
    height, width, channels = array.shape[1:]
    return geometry is None or geometry.keeps(height, width, channels)


def _prepare_array(table: Table, array: NDArray[np.uint8], tell: Tell) -> Prepared:
    """The short way for decoded pictures that fit as they are: the array is what is kept."""
    count = len(array)

    def look(start: int) -> Looks:
        part = array[start : start + _CHUNK]
        return looks.look(part, part)

    parts = []
    for part in in_order(look, range(0, count, _CHUNK)):
        parts.append(part)
        tell(sum(map(len, parts)), count)
    seen = looks.join(parts, array.shape[3])
    held = ArrayRows(array)
    return Prepared(table, (), seen, np.arange(count), held, held, seen.shapes[:, :2], "in memory")


def _prepared(table: Table, pack: Pack, plan: Plan) -> Prepared:
    places = pack.arrays["broken"]
    complaints = [(place, filling.complaint(table.pictures, place)) for place in places.tolist()]
    broken = tuple(
        Broken(table.ids[place], error.what, str(error)) for place, error in complaints if error is not None
    )
    if broken:
        table = table.take(np.setdiff1d(np.arange(len(table)), places))
    seen = Looks(**{name: pack.arrays[name] for name in (field.name for field in fields(Looks))})
    fitted, full, kept = filling.rows(table.pictures, pack, plan, table.ids)
    sizes = pack.arrays["kept"][:, :2]
    return Prepared(table, broken, seen, np.arange(len(table)), fitted, full, sizes, kept)
