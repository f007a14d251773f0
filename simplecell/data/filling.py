"""From encoded pictures to a pack in the cache: each is decoded once, looked at, and kept as planned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simplecell.data import looks
from simplecell.data.cache import Pack, PackWriter, open_pack
from simplecell.data.decode import DECODER_VERSION
from simplecell.data.geometry import Geometry, bound, with_channels
from simplecell.data.loading import (
    ArrayRows,
    ChangedRows,
    PackedRows,
    Rows,
    Tell,
    UnchangedRows,
    in_order,
)
from simplecell.data.looks import Looks
from simplecell.data.pictures import Pictures
from simplecell.errors import UserError

#: To be raised when what is kept of a picture changes, so that older packs are not used.
_VERSION = 1

#: Pictures that a thread handles before it hands them over.
_CHUNK = 16

#: Of pictures to cut crops from, every so many-th row stands for the picture in mean and deviation. To fit
#: each just for that would add a fifth to the time of this pass, and crops are not the fitted picture either.
_EVERY = 8

_UNCACHED = "decoded anew in every epoch: the cache has no room"


@dataclass(frozen=True)
class Plan:
    """What becomes of a decoded picture: fitted to ``geometry`` or, if ``shorter`` is not 0, kept with a
    shorter side of at most so many pixels."""

    geometry: Geometry | None
    shorter: int

    @property
    def channels(self) -> int:
        return self.geometry.channels if self.geometry else 0

    def carry_out(self, picture: NDArray[np.uint8]) -> tuple[Looks, NDArray[np.uint8]]:
        """What is remembered and what is kept (uint8, H, W, C; empty for nothing)."""
        if self.geometry is None:
            return looks.look(picture[None]), picture[:0]
        if not self.shorter:
            fitted = self.geometry.fit(picture)
            return looks.look(picture[None], fitted[None]), fitted
        kept = bound(picture, self.shorter)
        some = with_channels(kept[::_EVERY], self.geometry.channels)
        return looks.look(picture[None], some[None]), kept


def pack(pictures: Pictures, plan: Plan, tell: Tell) -> Pack:
    """The pack of these pictures, from the cache or made now; without data where the cache has no room.

    Its arrays are those of ``Looks``, of the whole pictures; "kept" (int64, × 3), the shape in which each is
    kept; and "broken" (int64), the places of those that cannot be read.
    """
    name = _pack_name(pictures, plan)
    found = open_pack(name)
    if found is None or _healed(found, pictures):
        return _fill(name, pictures, plan, tell)
    return found


def _pack_name(pictures: Pictures, plan: Plan) -> str:
    """A digest of the bytes of all pictures, in their order, and of everything else a pack depends on."""

    def digest(start: int) -> bytes:
        places = range(start, min(start + _CHUNK, len(pictures)))
        return b"".join(_content_digest(pictures, place) for place in places)

    geometry = plan.geometry and plan.geometry.to_json()
    whole = hashlib.sha256(json.dumps([_VERSION, DECODER_VERSION, geometry, plan.shorter]).encode())
    for digests in in_order(digest, range(0, len(pictures), _CHUNK)):
        whole.update(digests)
    return whole.hexdigest()[:40]


def _content_digest(pictures: Pictures, place: int) -> bytes:
    try:
        return hashlib.sha256(pictures.content(place)).digest()
    except UserError:  # cannot be read; to be told when it is decoded
        return bytes(32)


def _healed(found: Pack, pictures: Pictures) -> bool:
    """Whether a picture that was broken can be read by now, as when SIMPLECELL_MAX_PIXELS was raised."""
    return any(complaint(pictures, place) is None for place in found.arrays["broken"].tolist())


def complaint(pictures: Pictures, place: int) -> UserError | None:
    """What is wrong with a picture, if anything."""
    try:
        pictures.read(place)
    except UserError as error:
        return error
    return None


def _fill(name: str, pictures: Pictures, plan: Plan, tell: Tell) -> Pack:
    """Decode all pictures and pack what the plan makes of them; without room, the pack has no data."""

    def handle(start: int) -> list[tuple[Looks, NDArray[np.uint8]] | None]:
        results: list[tuple[Looks, NDArray[np.uint8]] | None] = []
        for place in range(start, min(start + _CHUNK, len(pictures))):
            try:
                results.append(plan.carry_out(pictures.read(place)))
            except UserError:
                results.append(None)
        return results

    parts: list[Looks] = []
    kept: list[tuple[int, ...]] = []
    broken: list[int] = []
    done = 0
    with PackWriter(name) as writer:
        for results in in_order(handle, range(0, len(pictures), _CHUNK)):
            for place, result in enumerate(results, done):
                if result is None:
                    broken.append(place)
                    continue
                parts.append(result[0])
                kept.append(result[1].shape)
                writer.append(result[1])
            done += len(results)
            tell(done, len(pictures))
        seen = looks.join(parts, plan.channels)
        arrays = {"kept": np.array(kept, np.int64).reshape(-1, 3), "broken": np.array(broken, np.int64)}
        return writer.finish(seen.arrays() | arrays)


def rows(pictures: Pictures, packed: Pack, plan: Plan, names: Sequence[str]) -> tuple[Rows, Rows, str]:
    """Where fitted pictures lie, where the ones to crop from lie, and that in words.

    names: what to call each picture where it was replaced since it was packed.
    """
    geometry, shapes = plan.geometry, packed.arrays["kept"]
    if geometry is None:
        return pictures, pictures, "nothing"
    anew = UnchangedRows(pictures, packed.arrays["shapes"], names)
    ends = shapes.prod(axis=1).cumsum()
    cached = len(packed.data) == shapes.prod(axis=1).sum()
    where = f"cached ({len(packed.data) / 1e9:.2f} GB)" if cached else _UNCACHED
    if not plan.shorter:
        held = packed.data.reshape(-1, *geometry.shape)
        fitted: Rows = ArrayRows(held) if cached else ChangedRows(anew, geometry.fit)
        return fitted, fitted, where
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    full: Rows = ChangedRows(anew, partial(bound, shorter=plan.shorter))
    if cached:
        full = PackedRows(packed.data, starts, shapes)
    # Fitting starts from the full picture, so that it is the same here and in prediction.
    whole = cached and np.array_equal(shapes, packed.arrays["shapes"])
    return ChangedRows(full if whole else anew, geometry.fit), full, where
