"""Pictures of many requests, gathered into batches for one net.

A picture waits until the net is free. If that is so already, it waits for others to join it, but no longer
than ``gather`` milliseconds, and not at all once every open connection has its request here: nobody is left
who could come. Pictures go together if the same net shall answer them with the same options, and all or none
of them shall be shown.
"""

from __future__ import annotations

import asyncio
import math
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from simplecell.data.decode import TooManyPixelsError
from simplecell.errors import UserError
from simplecell.predictions import Prediction
from simplecell.serve.limits import Limits
from simplecell.serve.log import Log
from simplecell.serve.metrics import Metrics
from simplecell.serve.model import Model, Picture
from simplecell.serve.problem import Problem, busy
from simplecell.serve.worker import Decoder, Worker

Shown = Sequence[tuple[str, Picture]]
#: An answer with the pictures that go with it, or why there is none.
Answer = tuple[Prediction, Shown] | Problem

#: How much the last batch counts in the running mean of a picture's seconds.
_LATEST = 0.2
_MOST_SECONDS = 60


class Asked:
    """A request that waits for its answers: one for each of its pictures, all of one model."""

    __slots__ = ("answers", "ask", "done", "left", "model", "show", "waiting")

    def __init__(self, model: Model, ask: Any, show: bool, pictures: int) -> None:
        self.model, self.ask, self.show = model, ask, show
        self.answers: list[tuple[Prediction, Shown] | None] = [None] * pictures
        self.left = pictures
        self.waiting: list[_Item] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, place: int, answer: Answer) -> None:
        """Note one answer. ``done`` is set with the last, or with the first problem."""
        if self.done.done():
            return
        if isinstance(answer, Problem):
            self.done.set_exception(answer)
            return
        self.answers[place] = answer
        self.left -= 1
        if not self.left:
            self.done.set_result(None)


@dataclass(eq=False, slots=True)
class _Item:
    """One picture of a request."""

    asked: Asked
    place: int
    label: str
    content: bytes
    arrived: float
    decoding: Future[Picture] | None


#: What pictures of one batch have in common.
_Key = tuple[int, Any, bool]


def _key(asked: Asked) -> _Key:
    return id(asked.model), asked.ask, asked.show


class Batcher:
    """Gathers pictures for the net behind one name. All but the net's work happens in the event loop."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        decoder: Decoder,
        metrics: Metrics,
        log: Log,
        connections: Callable[[], int],
    ) -> None:
        """connections: how many are open, and could bring a picture."""
        self.name, self._limits, self._decoder, self._metrics, self._log = name, limits, decoder, metrics, log
        self._connections = connections
        self._worker = Worker(f"net {name}")
        self._groups: dict[_Key, deque[_Item]] = {}
        self.waiting = 0
        self._requests = 0  # of which some picture waits
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._pace = 0.01  # seconds a picture

    # ---- what comes in

    def check_room(self, pictures: int) -> None:
        """Raise the 503 where so many more have no room. An empty queue has room for any request."""
        if self.waiting and self.waiting + pictures > self._limits.queue:
            seconds = min(_MOST_SECONDS, math.ceil(self.waiting * self._pace) or 1)
            raise busy("The server has as many pictures waiting as it takes; ask again soon.", seconds)

    def submit(self, model: Model, ask: Any, show: bool, pictures: Sequence[tuple[str, bytes]]) -> Asked:
        """Queue a request's pictures, each a label and a file's bytes. Raises Problem where it is full."""
        self.check_room(len(pictures))
        asked = Asked(model, ask, show, len(pictures))
        now = time.monotonic()
        group = self._groups.setdefault(_key(asked), deque())
        for place, (label, content) in enumerate(pictures):
            decoding = self._decoder.ahead(content, label)
            asked.waiting.append(_Item(asked, place, label, content, now, decoding))
        group.extend(asked.waiting)
        self.waiting += len(pictures)
        self._requests += 1
        self._consider()
        return asked

    def drop(self, asked: Asked) -> None:
        """Nobody wants the answers any more: what still waits is not computed."""
        asked.done.cancel()
        if not asked.waiting:
            return
        key = _key(asked)
        group = self._groups[key]
        for item in asked.waiting:
            group.remove(item)
            self._decoder.release(item.decoding)
        if not group:
            del self._groups[key]
        self.waiting -= len(asked.waiting)
        self._requests -= 1
        asked.waiting.clear()

    # ---- what goes to the net

    def _consider(self) -> None:
        """Give the net a batch if it is free and there is no reason to wait for more."""
        if self._busy or not self._groups:
            return
        key, group = min(self._groups.items(), key=lambda each: each[1][0].arrived)
        if len(group) < self._limits.batch_size and self._requests < self._connections():
            wait = group[0].arrived + self._limits.gather / 1000 - time.monotonic()
            if wait > 0:
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(wait, self._due)
                return
        batch = [group.popleft() for _ in range(min(len(group), self._limits.batch_size))]
        if not group:
            del self._groups[key]
        for item in batch:
            item.asked.waiting.remove(item)
            self._requests -= not item.asked.waiting
        self.waiting -= len(batch)
        self._busy = True
        began = time.monotonic()
        self._worker.run(lambda: self._answer(batch), lambda answers: self._answered(batch, answers, began))

    def _due(self) -> None:
        self._timer = None
        self._consider()

    def _answered(self, batch: list[_Item], answers: list[Answer], began: float) -> None:
        self._pace += _LATEST * ((time.monotonic() - began) / len(batch) - self._pace)
        self._metrics.batches.add(len(batch), self.name)
        self._busy = False
        for item, answer in zip(batch, answers, strict=True):
            item.asked.take(item.place, answer)
        self._metrics.pictures.add(self.name, by=sum(not isinstance(a, Problem) for a in answers))
        self._consider()

    # ---- in the net's thread

    def _answer(self, batch: list[_Item]) -> list[Answer]:
        """Decode and answer, no more than some pixels at once. Never raises."""
        answers: dict[int, Answer] = {}
        chunk: list[tuple[int, Picture]] = []
        pixels = 0
        for k, item in enumerate(batch):
            picture = self._picture(item)
            if isinstance(picture, Problem):
                answers[k] = picture
            else:
                chunk.append((k, picture))
                pixels += picture.shape[0] * picture.shape[1]
            if chunk and (pixels >= self._limits.max_pixels or k == len(batch) - 1):
                told = self._ask([batch[i] for i, _ in chunk], [each for _, each in chunk])
                answers.update(zip((i for i, _ in chunk), told, strict=True))
                chunk, pixels = [], 0
        return [answers[k] for k in range(len(batch))]

    def _picture(self, item: _Item) -> Picture | Problem:
        try:
            if item.decoding is None:
                return self._decoder.now(item.content, item.label)
            return item.decoding.result()
        except TooManyPixelsError as error:
            return Problem(413, _sentence(error, item.label))
        except UserError as error:
            return Problem(422, _sentence(error, item.label))
        except Exception:
            return self._fault()
        finally:
            self._decoder.release(item.decoding)
            item.decoding = None  # the batch goes on; the pixels need not stay as long

    def _ask(self, items: list[_Item], pictures: list[Picture]) -> list[Answer]:
        """The net's answers. Where a batch fails, each picture is asked alone, so that only its own fails."""
        asked = items[0].asked
        try:
            pairs = [(item.label, picture) for item, picture in zip(items, pictures, strict=True)]
            predictions = asked.model.answer(pairs, asked.ask)
            if len(predictions) != len(items):
                raise RuntimeError(f"{len(predictions)} answers for {len(items)} pictures")
            show = asked.model.show if asked.show else None
            return [
                (prediction, show(picture, prediction, asked.ask) if show else ())
                for picture, prediction in zip(pictures, predictions, strict=True)
            ]
        except Exception as error:
            if len(items) > 1:
                each = zip(items, pictures, strict=True)
                return [self._ask([item], [picture])[0] for item, picture in each]
            if isinstance(error, UserError):
                return [Problem(422, _sentence(error, items[0].label))]
            return [self._fault()]

    def _fault(self) -> Problem:
        self._log.write(f"{self.name}: the net failed:\n{traceback.format_exc()}")
        return Problem(500, "The net failed on this picture; the server's log tells more.")


def _sentence(error: UserError, label: str) -> str:
    """What is wrong with a picture, under the name that its sender gave it."""
    return str(UserError(error.what, where=label, remedy=error.remedy))
