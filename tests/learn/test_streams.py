"""Which examples a step sees, and the thread that makes batches ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from simplecell.data.addressed import Address
from simplecell.learn.stages import Learn, Stream
from simplecell.learn.streams import Order, all_batches, batches, orders

CPU = torch.device("cpu")


@dataclass
class Rows:
    """Examples that are their row numbers, and note the addresses they were asked with."""

    count: int
    addresses: list[Address | None] = field(default_factory=list)
    breaks_at: int = -1

    @property
    def ids(self) -> list[str]:
        return [str(k) for k in range(self.count)]

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: Any, address: Address | None = None) -> dict[str, Any]:
        self.addresses.append(address)
        if self.breaks_at in indices:
            raise ValueError(f"row {self.breaks_at} is broken")
        return {"id": [str(k) for k in indices], "row": torch.from_numpy(np.array(indices))}


def order(examples: Rows, batch_size: int, how: Any = "shuffled", augment: bool = True) -> Order:
    return Order(Stream("train", lambda: examples, batch_size, how, augment), examples, seed=5)


def rows(made: Order, first: int, last: int) -> list[int]:
    return [row for k in range(first, last) for row in made.batch(k)["row"].tolist()]


@pytest.fixture(autouse=True)
def no_thread_outlives_a_test() -> Iterator[None]:
    yield
    assert not any(t.name.startswith("batches") for t in threading.enumerate())


# ---- order


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 3))
def test_an_epoch_has_each_example_at_most_once_and_leaves_out_less_than_a_batch(
    count: int, batch_size: int, epoch: int
) -> None:
    made = order(Rows(count), batch_size)
    each = made.batches_an_epoch
    seen = rows(made, epoch * each, (epoch + 1) * each)
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(count))
    assert count - len(seen) < made.batch_size


def test_epochs_have_orders_of_their_own() -> None:
    made = order(Rows(32), 8)
    first, second = rows(made, 0, 4), rows(made, 4, 8)
    assert sorted(first) == sorted(second) == list(range(32))
    assert first != second != list(range(32))


def test_what_is_left_over_is_another_in_each_epoch() -> None:
    made = order(Rows(9), 4)
    left = {(set(range(9)) - set(rows(made, 2 * epoch, 2 * epoch + 2))).pop() for epoch in range(40)}
    assert left == set(range(9))


def test_a_batch_is_a_function_of_its_number() -> None:
    """However one comes to it: from the start, from the middle, or back from a later epoch."""
    straight = [rows(order(Rows(10), 3), k, k + 1) for k in range(9)]
    jumping = order(Rows(10), 3)
    for k in (8, 0, 4, 3, 7, 1, 6, 2, 5):
        assert rows(jumping, k, k + 1) == straight[k]


def test_sequential_is_as_they_stand_in_each_epoch() -> None:
    made = order(Rows(7), 3, "sequential")
    assert rows(made, 0, 4) == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


def test_weights_draw_in_proportion_and_with_replacement() -> None:
    weights = np.array([0.0, 1.0, 2.0, 0.0, 5.0, 0.0])
    made = order(Rows(6), 6, weights)
    drawn = np.bincount(rows(made, 0, 4000), minlength=6)
    assert drawn[weights == 0].sum() == 0
    expected = 24_000 * weights / weights.sum()
    # Pearson's statistic with 2 degrees of freedom; 13.8 is passed once in a thousand.
    seen = weights > 0
    assert ((drawn[seen] - expected[seen]) ** 2 / expected[seen]).sum() < 13.8


def test_weights_draw_anew_in_each_epoch_and_again_the_same() -> None:
    weights = np.arange(1.0, 21.0)
    made = order(Rows(20), 5, weights)
    first, second = rows(made, 0, 4), rows(made, 4, 8)
    assert first != second
    assert rows(order(Rows(20), 5, weights), 4, 8) == second


def test_the_address_counts_positions_of_the_epoch() -> None:
    examples = Rows(10)
    made = order(examples, 3)
    rows(made, 0, 4)
    addresses = [a for a in examples.addresses if a is not None]
    assert [(a.seed, a.epoch, a.positions.tolist()) for a in addresses] == [
        (5, 0, [0, 1, 2]),
        (5, 0, [3, 4, 5]),
        (5, 0, [6, 7, 8]),
        (5, 1, [0, 1, 2]),
    ]


def test_a_stream_that_is_not_augmented_has_no_address() -> None:
    examples = Rows(4)
    rows(order(examples, 2, augment=False), 0, 2)
    assert examples.addresses == [None, None]


def test_streams_and_stages_have_seeds_of_their_own() -> None:
    def stage(name: str) -> Learn:
        return Learn(name, [Stream(s, lambda: Rows(50), 50) for s in ("a", "b")], [], 1.0)

    seen = [rows(o, 0, 1) for name in ("one", "two") for o in orders(stage(name), 7)]
    assert len({tuple(s) for s in seen}) == 4


# ---- batches made ahead


def test_one_stream_gives_its_batches_and_several_a_mapping() -> None:
    a, b = order(Rows(8), 4), order(Rows(6), 2)
    alone = [batch["row"].tolist() for batch in batches([a], 1, 5, CPU)]
    assert alone == [a.batch(k)["row"].tolist() for k in range(1, 5)]
    b.stream = Stream("other", b.stream.source, 2)
    both = list(batches([a, b], 0, 5, CPU))
    assert all(set(batch) == {"train", "other"} for batch in both)
    # The second stream is shorter and begins its own epochs.
    assert [batch["other"]["row"].tolist() for batch in both] == [
        b.batch(k)["row"].tolist() for k in range(5)
    ]


def test_all_batches_have_every_example_once_in_its_order() -> None:
    examples = Rows(11)
    made = [batch["row"].tolist() for batch in all_batches(examples, 4, CPU)]
    assert made == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert set(examples.addresses) == {None}
    assert list(all_batches(Rows(0), 4, CPU)) == []


def test_a_failure_comes_out_at_its_batch_and_not_before() -> None:
    examples = Rows(40, breaks_at=9)
    made = batches([order(examples, 2, "sequential")], 0, 20, CPU)
    assert [next(made)["row"].tolist() for _ in range(4)] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    with pytest.raises(ValueError, match="row 9 is broken"):
        next(made)
    assert next(made, None) is None


def test_closing_early_ends_the_thread_and_makes_no_more() -> None:
    examples = Rows(1000)
    made = batches([order(examples, 1)], 0, 1000, CPU)
    next(made)
    made.close()
    assert len(examples.addresses) <= 4


def test_batches_are_made_while_the_last_one_is_in_use() -> None:
    """The thread goes on to the third batch before anyone asks for the second, and no further."""
    reached = threading.Event()

    class Watched(Rows):
        def batch(self, indices: Any, address: Address | None = None) -> dict[str, Any]:
            assert indices[0] <= 3, "too far ahead"
            if indices[0] == 2:
                reached.set()
            return super().batch(indices, address)

    made = batches([order(Watched(100), 1, "sequential")], 0, 100, CPU)
    next(made)
    assert reached.wait(30)
    made.close()


def test_no_batches_are_no_fault() -> None:
    assert list(batches([order(Rows(4), 2)], 3, 3, CPU)) == []
