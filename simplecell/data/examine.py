"""Look at every picture of a data set and compare it with all others: the findings that ``review`` judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from simplecell.data.leaks import leaks, repeats
from simplecell.data.prepare import Prepared, prepare
from simplecell.data.review import Pair, Review, Side, review
from simplecell.data.sources import Source, Table
from simplecell.telling import tell


def examine(source: Source) -> Review:
    """The review of a data set. Every picture is decoded, unless the cache has seen it already."""
    looked = {}
    for name, table in source.tables.items():
        looked[name] = prepare(table, tell=partial(tell, f"looking at {name}"))
    rows = {name: _whole_rows(source.tables[name], prepared) for name, prepared in looked.items()}
    sides = {name: _side(source.tables[name], looked[name], rows[name]) for name in looked}
    pairs = list(_pairs(looked, rows))
    return review(str(source.path), source.format, source.classes, sides, pairs, source.notes)


def _whole_rows(table: Table, prepared: Prepared) -> NDArray[np.int64]:
    """Where in the table each picture stands that is not broken: int64, one for each row of ``prepared``."""
    broken = {found.id for found in prepared.broken}
    return np.array([row for row, name in enumerate(table.ids) if name not in broken], dtype=np.int64)


def _side(table: Table, prepared: Prepared, whole: NDArray[np.int64]) -> Side:
    sizes = np.zeros((len(table), 3), dtype=np.int64)
    sizes[whole] = prepared.shapes
    places = {name: row for row, name in enumerate(table.ids)}
    broken = {places[found.id]: found.sentence for found in prepared.broken}
    return Side(table.ids, table.labels, sizes, broken)


def _pairs(looked: Mapping[str, Prepared], rows: Mapping[str, NDArray[np.int64]]) -> Iterator[Pair]:
    """Each picture with its closest earlier one on its side, and with its closest on every later side."""
    crossed = list(combinations(looked, 2))
    steps = len(looked) + len(crossed)
    for done, name in enumerate(looked):
        tell("comparing sides", done, steps)
        for later, earlier, kind in repeats(looked[name]):
            yield Pair((name, int(rows[name][earlier])), (name, int(rows[name][later])), kind)
    for done, (first, second) in enumerate(crossed, len(looked)):
        tell("comparing sides", done, steps)
        for a, b, kind in leaks(looked[first], looked[second]):
            yield Pair((first, int(rows[first][a])), (second, int(rows[second][b])), kind)
    tell("comparing sides", steps, steps)
