"""The nets by name, each with its queue; a file that has changed takes the place of the one before.

A request belongs to the net that was there when it was accepted: its pictures that still wait when the new
one comes are answered by the old one, which is forgotten with the last of them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from simplecell.errors import UserError
from simplecell.serve import options
from simplecell.serve.batching import Batcher
from simplecell.serve.limits import Limits
from simplecell.serve.log import Log
from simplecell.serve.metrics import Metrics
from simplecell.serve.model import Model, Source
from simplecell.serve.problem import Problem
from simplecell.serve.worker import Decoder

#: Seconds between looks at the files. A file is read when it is the same at two looks, not half-written.
LOOK = 1.0

_MOST_OPTIONS = 64

_Stamp = tuple[int, int, int]


class Wanted(NamedTuple):
    """What a query asks for."""

    slot: Slot
    model: Model
    ask: Any
    show: bool


@dataclass
class Slot:
    """The net behind one name, now. loaded: the stamp of its file when it was read."""

    source: Source
    batcher: Batcher
    loaded: _Stamp | None
    model: Model


class House:
    """All nets that are served."""

    def __init__(
        self,
        sources: Sequence[Source],
        limits: Limits,
        metrics: Metrics,
        log: Log,
        connections: Callable[[], int],
    ) -> None:
        """Load them. Raises UserError where one cannot be loaded, or two have one name.

        connections: how many are open.
        """
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"two models are named {name}", remedy="give one of them another name")
        self._metrics, self._log = metrics, log
        loaded = [(source, stamp(source.file), source.load()) for source in sources]
        decoder = Decoder(min(4, os.cpu_count() or 1), limits.max_pixels)
        self.slots = {
            source.name: Slot(
                source, Batcher(source.name, limits, decoder, metrics, log, connections), before, model
            )
            for source, before, model in loaded
        }
        # Few queries are asked again and again.
        self.wanted = lru_cache(maxsize=256)(self._wanted)

    def _wanted(self, query: bytes) -> Wanted:
        """Read a query string. Raises Problem."""
        given: dict[str, str] = {}
        try:
            pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_OPTIONS)
        except ValueError:
            raise Problem(400, "The query has more options than any net takes.") from None
        for name, text in pairs:
            if name in given:
                raise Problem(400, "An option is given twice; give it once.")
            given[name] = text
        slot = self._slot(given.pop("model", None))
        try:
            show = options.boolean("show", given.pop("show", "false"))
            ask = options.ask_of(slot.model.ask, given)
        except UserError as error:
            raise Problem(400, str(error)) from None
        return Wanted(slot, slot.model, ask, show)

    def _slot(self, name: str | None) -> Slot:
        names = ", ".join(self.slots)
        if name is None:
            if len(self.slots) > 1:
                raise Problem(400, f"There are several models; name one of them by model=: {names}.")
            return next(iter(self.slots.values()))
        if name not in self.slots:
            raise Problem(404, f"There is no model of that name; there are: {names}.")
        return self.slots[name]

    async def watch(self) -> None:
        """Look at the files for ever, and load those that have changed."""
        seen = {name: slot.loaded for name, slot in self.slots.items()}
        while True:
            await asyncio.sleep(LOOK)
            for name, slot in self.slots.items():
                now = await asyncio.to_thread(stamp, slot.source.file)
                if now is not None and now != slot.loaded and now == seen[name]:
                    slot.loaded = now  # also where it cannot be loaded: until it changes again
                    await self._reload(slot)
                seen[name] = now

    async def _reload(self, slot: Slot) -> None:
        name = slot.source.name
        try:
            model = await asyncio.to_thread(slot.source.load)
        except Exception as error:  # whatever is wrong with a file, the net that is there goes on
            told = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self._log.write(f"{name}: the changed file cannot be loaded, the net before it stays: {told}")
            self._metrics.reloads.add(name, "failed")
            return
        slot.model = model
        self.wanted.cache_clear()
        self._log.write(f"{name}: loaded the changed file, {model.fingerprint[:12]}")
        self._metrics.reloads.add(name, "loaded")


def stamp(file: Path | None) -> _Stamp | None:
    """What differs once a file has been written again; None where there is none."""
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
