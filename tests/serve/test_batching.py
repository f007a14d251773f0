"""What goes to the net together, without a socket: the batcher in an event loop of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplecell.predictions import Prediction
from simplecell.serve.batching import Asked, Batcher
from simplecell.serve.limits import Limits
from simplecell.serve.log import Log
from simplecell.serve.metrics import Metrics
from simplecell.serve.model import Model
from simplecell.serve.problem import Problem
from simplecell.serve.worker import Decoder
from tests.serve.serving import MODEL, Ask, Held, level, png

PNGS = [png(k) for k in range(64)]


class Counting:
    """A net that keeps what it was given at once, and with which options."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[str], Any]] = []

    def __call__(self, pairs: Sequence[tuple[str, Any]], ask: Any) -> list[Prediction]:
        self.batches.append(([path for path, _ in pairs], ask))
        return level(pairs, ask)

    @property
    def sizes(self) -> list[int]:
        return [len(paths) for paths, _ in self.batches]


def batcher(connections: int = 1000, **limits: Any) -> Batcher:
    """connections: how many could bring a picture."""
    known = Limits(**limits)
    return Batcher("net", known, Decoder(2, known.max_pixels), Metrics(), Log(), lambda: connections)


def model(answer: Callable[..., Sequence[Prediction]]) -> Model:
    return replace(MODEL, answer=answer)


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(30):
            return await main()

    return asyncio.run(bounded())


async def levels(asked: Asked) -> list[int]:
    await asked.done
    return [answer[0].values["level"] for answer in asked.answers if answer]  # type: ignore[attr-defined]


def one(k: int) -> list[tuple[str, bytes]]:
    return [(str(k), PNGS[k])]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2), st.booleans()), min_size=1, max_size=12),
    st.integers(1, 8),
)
def test_each_request_gets_its_answers_and_no_batch_is_too_large_or_mixed(
    requests: list[tuple[int, int, bool]], most: int
) -> None:
    """Whatever the requests: so many pictures each, an option, and whether they shall be shown."""
    net = Counting()
    shown: list[str] = []

    def show(picture: Any, prediction: Prediction, ask: Any) -> Any:
        shown.append(prediction.path)
        return [("x", picture)]

    async def main() -> list[list[int]]:
        queue, served = batcher(batch_size=most, queue=1000), replace(MODEL, answer=net, show=show)
        asked = [
            queue.submit(served, Ask(plus=100 * plus), wanted, [(f"{r}", PNGS[k]) for k in range(count)])
            for r, (count, plus, wanted) in enumerate(requests)
        ]
        found = await asyncio.gather(*map(levels, asked))
        assert queue.waiting == 0
        return list(found)

    for (count, plus, _), found in zip(requests, run(main), strict=True):
        assert found == [k + 100 * plus for k in range(count)]
    assert max(net.sizes) <= most
    for paths, ask in net.batches:
        assert {100 * requests[int(path)][1] for path in paths} == {ask.plus}
        assert len({requests[int(path)][2] for path in paths}) == 1
    assert len(shown) == sum(count for count, _, wanted in requests if wanted)


def test_pictures_that_come_within_the_bound_go_together() -> None:
    net = Counting()

    async def main() -> None:
        queue, served = batcher(gather=300.0), model(net)
        asked = []
        for k in range(10):
            asked.append(queue.submit(served, Ask(), False, one(k)))
            await asyncio.sleep(0.001)
        assert await asyncio.gather(*map(levels, asked)) == [[k] for k in range(10)]

    run(main)
    assert net.sizes == [10]


def test_a_full_batch_waits_for_nobody() -> None:
    async def main() -> None:
        queue, served = batcher(gather=60_000.0, batch_size=4), model(Counting())
        await asyncio.gather(*[levels(queue.submit(served, Ask(), False, one(k))) for k in range(4)])

    run(main)  # a minute's wait would not end in time


def test_where_nobody_else_could_come_nobody_is_waited_for() -> None:
    async def main() -> None:
        queue, served = batcher(connections=2, gather=60_000.0), model(Counting())
        await asyncio.gather(*[levels(queue.submit(served, Ask(), False, one(k))) for k in range(2)])

    run(main)


def test_a_picture_waits_no_longer_than_the_bound() -> None:
    """The net is given it when the bound has passed, though others might still come."""

    async def main() -> None:
        queue, served = batcher(gather=50.0), model(Counting())
        began = time.monotonic()
        assert await levels(queue.submit(served, Ask(), False, one(3))) == [3]
        assert time.monotonic() - began >= 0.045  # it did wait; that it did not for ever, the answer shows

    run(main)


def test_what_comes_while_the_net_works_is_one_batch() -> None:
    net = Held()

    async def main() -> None:
        queue, served = batcher(gather=0.0), model(net)
        first = queue.submit(served, Ask(), False, one(0))
        await asyncio.sleep(0.05)
        others = [queue.submit(served, Ask(), False, one(k)) for k in range(1, 20)]
        await asyncio.sleep(0.05)
        net.go.set()
        assert await asyncio.gather(*map(levels, [first, *others])) == [[k] for k in range(20)]

    run(main)
    assert [len(batch) for batch in net.batches] == [1, 19]


def test_the_oldest_picture_is_the_next() -> None:
    """Options that many ask for do not keep those from their turn that few ask for."""
    net = Held()

    async def main() -> None:
        queue, served = batcher(gather=0.0, batch_size=2), model(net)
        asked = [queue.submit(served, Ask(), False, one(0))]
        await asyncio.sleep(0.05)
        for k in range(1, 10):
            asked.append(queue.submit(served, Ask(plus=1 if k == 3 else 0), False, one(k)))
            await asyncio.sleep(0.002)
        net.go.set()
        await asyncio.gather(*map(levels, asked))

    run(main)
    assert net.batches == [["0"], ["1", "2"], ["3"], ["4", "5"], ["6", "7"], ["8", "9"]]


def test_dropped_pictures_are_not_computed_and_make_room() -> None:
    net = Held()

    async def main() -> None:
        queue, served = batcher(gather=0.0, batch_size=4, queue=8), model(net)
        first = queue.submit(served, Ask(), False, one(0))
        await asyncio.sleep(0.05)
        kept = queue.submit(served, Ask(), False, one(1))
        dropped = queue.submit(served, Ask(), False, [(f"{k}", PNGS[k]) for k in range(2, 9)])
        with pytest.raises(Problem):
            queue.submit(served, Ask(), False, one(9))
        queue.drop(dropped)
        queue.drop(dropped)  # twice is no more than once
        assert queue.waiting == 1
        last = queue.submit(served, Ask(), False, one(9))
        net.go.set()
        assert await asyncio.gather(*map(levels, [first, kept, last])) == [[0], [1], [9]]
        assert dropped.done.cancelled()

    run(main)
    assert net.batches == [["0"], ["1", "9"]]


def test_large_pictures_are_given_to_the_net_in_parts() -> None:
    """So that a batch holds no more decoded pixels than two pictures may have."""
    net = Counting()

    async def main() -> None:
        large = png(5, side=20)  # 400 pixels of 500 allowed
        queue = batcher(gather=0.0, max_pixels=500)
        asked = queue.submit(model(net), Ask(), False, [("x", large)] * 5)
        assert await levels(asked) == [5] * 5

    run(main)
    assert net.sizes == [2, 2, 1]


def test_decoding_ahead_ends_where_too_much_would_be_held() -> None:
    decoder = Decoder(1, most=64 * 64)
    noise = b"P5 64 64 255\n" + bytes(range(256)) * 16  # a PGM; larger than what is left to the net's thread
    begun = []
    for _ in range(6):
        decoding = decoder.ahead(noise, "x")
        if decoding is not None:
            decoding.result()
        begun.append(decoding)
    assert [each is not None for each in begun] == [True, True, True, False, False, False]
    for each in begun:
        decoder.release(each)
    assert decoder.ahead(noise, "x") is not None
    assert decoder.ahead(PNGS[0], "x") is None


def test_a_wrong_number_of_answers_is_a_failure() -> None:
    async def main() -> None:
        queue = batcher(gather=0.0)
        asked = queue.submit(model(lambda pairs, ask: []), Ask(), False, one(0))
        with pytest.raises(Problem) as caught:
            await asked.done
        assert caught.value.status == 500

    run(main)
