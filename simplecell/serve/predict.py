"""POST /v1/predict: one request, from its bytes to its answers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from PIL import Image

from simplecell.serve import body
from simplecell.serve.batching import Asked
from simplecell.serve.house import House, Wanted
from simplecell.serve.limits import Limits
from simplecell.serve.metrics import Metrics
from simplecell.serve.model import Picture
from simplecell.serve.note import Note
from simplecell.serve.problem import Problem, busy

#: Bodies of the longest allowed that may be held at once.
_BODIES = 8
#: Seconds after which the server begins to listen whether who asked is still there. Most answers are sooner,
#: and listening costs a task.
_LISTEN_AFTER = 0.05


class Predict:
    """Reads, asks and tells; knows nothing of who may ask."""

    def __init__(self, house: House, limits: Limits, metrics: Metrics) -> None:
        self._house, self._limits, self._metrics = house, limits, metrics
        self._room = body.Room(_BODIES * limits.max_body)
        self._asked: set[Asked] = set()

    def give_up(self) -> None:
        """Tell those who still wait that there will be no answer."""
        for asked in self._asked:
            if not asked.done.done():
                asked.done.set_exception(busy("The server stopped before the answer was there.", 1))

    async def __call__(
        self, query: bytes, headers: Mapping[bytes, bytes], receive: body.Receive, note: Note
    ) -> bytes:
        """The answer's JSON. Raises Problem, or Gone where nobody waits for it."""
        wanted = self._house.wanted(query)
        asked: Asked | None = None
        try:
            wanted.slot.batcher.check_room(1)  # before a long body is read in vain
            async with asyncio.timeout(self._limits.timeout):
                content = await body.read(receive, headers, self._limits.max_body, self._room)
                try:
                    note.received = len(content)
                    pictures = await body.pictures(content, headers, self._limits.max_pictures)
                    note.pictures = len(pictures)
                    asked = wanted.slot.batcher.submit(wanted.model, wanted.ask, wanted.show, pictures)
                    self._asked.add(asked)
                    await _answered(asked, receive)
                    if wanted.show:
                        return await asyncio.to_thread(_told, wanted, asked)
                    return _told(wanted, asked)
                finally:
                    self._room.give_back(len(content))
        except TimeoutError:
            self._metrics.timeouts.add()
            if asked is None:
                raise Problem(
                    408, f"The request was not there within {self._limits.timeout:g} seconds."
                ) from None
            raise Problem(504, f"There was no answer within {self._limits.timeout:g} seconds.") from None
        except body.Gone:
            self._metrics.gone.add()
            raise
        except Problem as problem:
            if problem.status == 503:
                self._metrics.refused.add()
            raise
        finally:
            if asked is not None:
                self._asked.discard(asked)
                wanted.slot.batcher.drop(asked)


async def _answered(asked: Asked, receive: body.Receive) -> None:
    """Wait for the answers. Raises the Problem of one of them, or Gone."""
    loop = asyncio.get_running_loop()
    listening: list[asyncio.Task[None]] = []

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not asked.done.done():
            asked.done.set_exception(body.Gone())

    timer = loop.call_later(_LISTEN_AFTER, lambda: listening.append(loop.create_task(listen())))
    try:
        await asked.done
    finally:
        timer.cancel()
        for task in listening:
            task.cancel()


def _told(wanted: Wanted, asked: Asked) -> bytes:
    predictions = []
    for prediction, pictures in filter(None, asked.answers):
        told = prediction.to_json()
        if wanted.show:
            told["shown"] = [{"caption": caption, "picture": _url(picture)} for caption, picture in pictures]
        predictions.append(told)
    model = wanted.model
    answer: dict[str, Any] = {
        "model": wanted.slot.source.name,
        "task": model.task,
        "fingerprint": model.fingerprint,
        "predictions": predictions,
    }
    # JSON has no NaN; a net that answers so is broken, and that is no answer.
    return json.dumps(answer, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _url(picture: Picture) -> str:
    """A picture within JSON."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
