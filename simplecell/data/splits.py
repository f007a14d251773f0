"""Sides that cannot leak: which pictures train, which validate, which test.

A side that a data set brings is kept. A side it lacks is made from its training pictures by the SHA-256 of
their bytes, ranked within each class, so the answer depends on nothing but the pictures: not on file names
or their order, not on a seed. A picture added later moves at most one other over each border of its class.

Pictures that must not be torn apart form a unit and stand on one side: equal bytes always, equal values of
the group column on request. A unit stands where its middle falls on its class, laid out from 0 to 1 in the
order of the digests: test first, then validation, then training.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simplecell.data.pictures import Pictures
from simplecell.data.sources import ALL, Source, Table
from simplecell.errors import UserError

#: A class of at least so many units has one or more on every side.
_SMALLEST_TO_DIVIDE = 3


class _Unit(NamedTuple):
    """Rows that stay together. digest: what they are ranked by; label: the class most of them have."""

    digest: bytes
    label: int
    rows: tuple[int, ...]


def divide(
    source: Source, *, validation: float = 0.1, test: float = 0.15, group: str = "", test_last: int = 0
) -> tuple[dict[str, Table], dict[str, Any]]:
    """Give every data set the sides train, validation and test; further sides stay as they are.

    validation, test: the share, in [0, 1), of the pictures at hand that a missing side gets (of all of
    them, or of the training side where there is one). group: a column whose equal values stay on one side.
    test_last: the test side is instead the last N pictures of each class by name, numbers in names counting
    as numbers; equal pictures are then not looked for across its border.

    Returns the tables and facts for the run's record: which sides were "given" and which "made", and how
    many pictures each has. Raises UserError for shares or columns that cannot be, and for a class that
    would be left without training pictures.
    """
    _check_shares(validation, test)
    given = dict(source.tables)
    name = "train" if "train" in given else ALL
    if name not in given:
        raise UserError(
            f"the data have no training side, only {', '.join(given)}",
            where=source.path,
            remedy="add a folder (or a value of the split column) named train",
        )
    if test_last and "test" in given:
        raise UserError("the data bring their own test side", where="--test-last", remedy="leave it out")
    pool = given.pop(name)
    groups = _column(pool, group) if group else None
    made = [side for side in ("validation", "test") if side not in given]
    remaining = np.arange(len(pool), dtype=np.int64)
    chosen: dict[str, NDArray[np.int64]] = {}
    if test_last:
        last = _last_by_name(pool, test_last, source.classes)
        chosen["test"] = last
        remaining = np.setdiff1d(remaining, last)
        if groups is not None:
            _check_untorn(groups, last, remaining)
    wanted = {"test": test, "validation": validation}
    shares = {side: share for side, share in wanted.items() if side in made and side not in chosen}
    units = _units(pool, remaining, groups) if any(shares.values()) else []
    sides = _sides(units, shares)
    for side in shares:
        chosen[side] = np.array(sorted(sides.get(side, [])), dtype=np.int64)
    train = np.setdiff1d(remaining, np.concatenate([remaining[:0], *chosen.values()]))
    _check_classes(pool.labels, train, source.classes)

    tables = {"train": pool.take(train)}
    for side in ("validation", "test"):
        tables[side] = pool.take(chosen[side]) if side in made else given.pop(side)
    tables |= given
    facts = {
        "given": [side for side in tables if side not in made and (side != "train" or name == "train")],
        "made": (["train"] if name == ALL else []) + made,
        "counts": {side: len(table) for side, table in tables.items()},
        "by": f"last {test_last} of each class by name, then sha256" if test_last else "sha256",
        "group": group,
    }
    return tables, facts


def folds(table: Table, k: int, group: str = "") -> list[tuple[Table, Table]]:
    """k pairs of (the rest, held out); every picture is held out once, each class spread over all folds.

    Ranked and kept together as in ``divide``. Raises UserError unless 2 <= k <= the number of units.
    """
    rows = np.arange(len(table), dtype=np.int64)
    units = _units(table, rows, _column(table, group) if group else None)
    if not 2 <= k <= len(units):
        raise UserError(
            f"{len(units)} pictures (or groups) cannot be held out in {k} folds",
            where="--folds",
            remedy=f"give a number from 2 to {max(2, len(units))}",
        )
    fold = np.empty(len(table), dtype=np.int64)
    for label, ranked in _by_class(units).items():
        for unit, middle in zip(ranked, _middles(ranked), strict=True):
            # Classes start at different folds: else those of one unit would all be held out together.
            fold[list(unit.rows)] = (int(middle * k) + label) % k
    return [(table.take(rows[fold != number]), table.take(rows[fold == number])) for number in range(k)]


def digests(pictures: Pictures) -> list[bytes]:
    """SHA-256 of every picture's bytes, in order; files are read on all cores."""
    workers = os.cpu_count() or 1
    chunk = max(1, min(256, len(pictures) // (4 * workers)))

    def of_chunk(start: int) -> list[bytes]:
        rows = range(start, min(start + chunk, len(pictures)))
        return [hashlib.sha256(pictures.content(row)).digest() for row in rows]

    with ThreadPoolExecutor(workers) as pool:
        return [digest for part in pool.map(of_chunk, range(0, len(pictures), chunk)) for digest in part]


def _check_shares(validation: float, test: float) -> None:
    for name, share in (("--validation", validation), ("--test", test)):
        if not 0 <= share < 1:
            raise UserError(f"{share} is not a share", where=name, remedy="give a fraction such as 0.1")
    if validation + test >= 1:
        raise UserError(
            f"validation ({validation}) and test ({test}) leave nothing to train on",
            where="--validation",
            remedy="give smaller shares",
        )


def _column(table: Table, name: str) -> tuple[str, ...]:
    if name in table.columns:
        return table.columns[name]
    near = difflib.get_close_matches(name, table.columns, n=1)
    have = f"the data have {', '.join(table.columns)}" if table.columns else "only a .csv or .tsv has columns"
    raise UserError(
        f"there is no column {name!r}",
        where="--group",
        remedy=f"did you mean {near[0]}" if near else have,
    )


def _units(table: Table, rows: NDArray[np.int64], groups: Sequence[str] | None) -> list[_Unit]:
    """Join rows that share a picture's bytes or a group, directly or through others."""
    chosen = rows.tolist()
    labels = table.labels[rows].tolist()
    marks = digests(table.pictures if len(rows) == len(table) else table.take(rows).pictures)
    if groups is None:
        together = _alike(marks)
    else:
        names = [groups[row] for row in chosen]
        together = _joined(len(chosen), [*_alike(marks), *_alike([name or None for name in names])])
        # Ranked by the group's name, a group stays where it is when it gains a picture.
        named = zip(names, marks, strict=True)
        marks = [hashlib.sha256(name.encode()).digest() if name else mark for name, mark in named]
    return [
        _Unit(
            min([marks[place] for place in places]),
            _commonest([labels[place] for place in places]),
            tuple([chosen[place] for place in places]),
        )
        for places in together
    ]


def _alike(values: Sequence[Hashable]) -> list[list[int]]:
    """Places of equal values; None is like nothing else."""
    places: dict[Hashable, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(place if value is None else value, []).append(place)
    return list(places.values())


def _joined(count: int, sets: list[list[int]]) -> list[list[int]]:
    """The connected parts of 0 … count-1, where the members of each set are connected (union-find)."""
    owner = list(range(count))

    def root(place: int) -> int:
        while owner[place] != place:
            owner[place] = owner[owner[place]]
            place = owner[place]
        return place

    for members in sets:
        for place in members[1:]:
            owner[root(place)] = root(members[0])
    return _alike([root(place) for place in range(count)])


def _commonest(labels: list[int]) -> int:
    if len(labels) == 1:
        return labels[0]
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], label))


def _by_class(units: list[_Unit]) -> dict[int, list[_Unit]]:
    """Units by class, ranked by digest."""
    ranked: dict[int, list[_Unit]] = {}
    for unit in sorted(units, key=lambda unit: unit.digest):
        ranked.setdefault(unit.label, []).append(unit)
    return ranked


def _middles(ranked: list[_Unit]) -> NDArray[np.float64]:
    """Where each unit's middle lies when the pictures of the class are laid out from 0 to 1."""
    sizes = np.array([len(unit.rows) for unit in ranked], dtype=np.float64)
    return np.asarray((np.cumsum(sizes) - sizes / 2) / sizes.sum(), dtype=np.float64)


def _sides(units: list[_Unit], shares: Mapping[str, float]) -> dict[str, list[int]]:
    """Rows of each side that is made; what is on none of them trains."""
    sides: dict[str, list[int]] = defaultdict(list)
    for ranked in _by_class(units).values():
        middles = _middles(ranked)
        borders = np.searchsorted(middles, np.cumsum(list(shares.values()))).tolist()
        if len(ranked) >= _SMALLEST_TO_DIVIDE:
            least = np.cumsum([share > 0 for share in shares.values()]).tolist()
            borders = [max(border, count) for border, count in zip(borders, least, strict=True)]
            most = [len(ranked) - 1 - (least[-1] - count) for count in least]
            borders = [min(border, count) for border, count in zip(borders, most, strict=True)]
        borders = [min(border, len(ranked) - 1) for border in borders]  # one always trains
        start = 0
        for side, border in zip(shares, borders, strict=True):
            sides[side] += [row for unit in ranked[start:border] for row in unit.rows]
            start = max(start, border)
    return sides


def _last_by_name(table: Table, count: int, classes: Sequence[str]) -> NDArray[np.int64]:
    if count < 0:
        raise UserError(
            f"{count} is not a number of pictures", where="--test-last", remedy="give one from 1 on"
        )
    last: list[int] = []
    for label in np.unique(table.labels).tolist():
        rows = sorted(
            np.flatnonzero(table.labels == label).tolist(), key=lambda row: _natural(table.ids[row])
        )
        if len(rows) <= count:
            raise UserError(
                f"class {classes[label]!r} has {len(rows)} pictures, so none would be left to train on",
                where="--test-last",
                remedy="give a smaller number",
            )
        last += rows[-count:]
    return np.array(sorted(last), dtype=np.int64)


def _natural(name: str) -> tuple[list[str | int], str]:
    """Sort key by which cat.9.jpg stands before cat.10.jpg: text and numbers take turns."""
    pieces = re.split(r"([0-9]+)", name)
    return [int(piece) if place % 2 else piece for place, piece in enumerate(pieces)], name


def _check_untorn(groups: Sequence[str], last: NDArray[np.int64], rest: NDArray[np.int64]) -> None:
    torn = {groups[row] for row in last.tolist()} & {groups[row] for row in rest.tolist()}
    if torn:
        raise UserError(
            f"--test-last would tear {len(torn)} group(s) apart, {min(torn)!r} among them",
            where="--group",
            remedy="use one of the two",
        )


def _check_classes(labels: NDArray[np.int64], train: NDArray[np.int64], classes: Sequence[str]) -> None:
    """Groups that span classes may take the last training picture from one of them."""
    lost = np.setdiff1d(labels, labels[train])
    if len(lost):
        raise UserError(
            f"class {classes[int(lost[0])]!r} would be left without training pictures, "
            "since all of them are kept together with test or validation pictures",
            where="--group",
            remedy="group by another column or give smaller shares",
        )
