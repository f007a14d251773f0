"""Addressed randomness: published vectors, uniformity, independence."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simplecell.data.addressed import Address, hashes, key, permutation, seed32, splitmix64

GOLDEN = 0x9E3779B97F4A7C15


def chi_square(counts: np.ndarray, expected: float) -> float:
    """How many deviations a chi-square statistic lies from its mean (normal for many cells)."""
    freedom = counts.size - 1
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return (statistic - freedom) / math.sqrt(2 * freedom)


def address(count: int, seed: int = 1, epoch: int = 0) -> Address:
    return Address(seed, epoch, np.arange(count), np.arange(count))


@pytest.mark.parametrize(
    ("seed", "outputs"),
    [
        # The reference generator's first five outputs (Vigna's splitmix64.c; Rosetta Code lists them).
        (
            1234567,
            [
                6457827717110365317,
                3203168211198807973,
                9817491932198370423,
                4593380528125082431,
                16408922859458223821,
            ],
        ),
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]),
    ],
)
def test_splitmix64_gives_the_published_numbers(seed: int, outputs: list[int]) -> None:
    counters = np.array([(seed + i * GOLDEN) % 2**64 for i in range(len(outputs))], dtype=np.uint64)
    assert splitmix64(counters).tolist() == outputs


def test_splitmix64_flips_half_of_the_bits_when_one_bit_changes() -> None:
    counters = np.arange(2000, dtype=np.uint64)
    for bit in range(64):
        changed = splitmix64(counters) ^ splitmix64(counters ^ np.uint64(1 << bit))
        share = np.unpackbits(changed.view(np.uint8)).mean()
        assert share == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(64 * 2000))


def test_parts_of_a_key_do_not_run_into_one_another() -> None:
    keys = [
        key("a", 1),
        key("a1"),
        key("a", "1"),
        key("a", -1),
        key(1, "a"),
        key("a", "", 1),
        key("", "a", 1),
    ]
    assert len(set(keys)) == len(keys)


def test_keys_of_neighbouring_addresses_do_not_collide() -> None:
    keys = {key(seed, epoch, draw) for seed in range(60) for epoch in range(60) for draw in ("flip", "crop")}
    assert len(keys) == 60 * 60 * 2


def test_a_seed_has_32_bits_of_the_key() -> None:
    assert seed32("stage", 3) == key("stage", 3) % 2**32


@given(st.integers(0, 300), st.integers(-(2**63), 2**63), st.text(max_size=8))
def test_a_permutation_holds_every_number_once(count: int, seed: int, name: str) -> None:
    assert sorted(permutation(count, seed, name).tolist()) == list(range(count))


def test_every_order_of_a_permutation_is_equally_likely() -> None:
    counts = np.zeros((5, 5, 5, 5, 5))
    for seed in range(24_000):
        counts[tuple(permutation(5, seed, "order"))] += 1
    assert abs(chi_square(counts[counts > 0], 24_000 / 120)) < 5
    assert (counts > 0).sum() == 120


def test_orders_of_two_epochs_have_nothing_in_common() -> None:
    first, second = permutation(10_000, 7, 0), permutation(10_000, 7, 1)
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(10_000)
    assert (first == second).sum() < 12  # one is expected


def test_hashes_of_a_longer_list_begin_with_those_of_a_shorter() -> None:
    assert (hashes(100, "x")[:10] == hashes(10, "x")).all()


def test_uniform_numbers_lie_in_the_unit_interval_and_fill_it_evenly() -> None:
    numbers = address(100_000).uniform("draw", 3)
    assert numbers.shape == (100_000, 3)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    for column in numbers.T:
        counts, _ = np.histogram(column, bins=256, range=(0, 1))
        assert abs(chi_square(counts, 100_000 / 256)) < 5


def test_the_largest_hash_stays_below_one() -> None:
    assert (np.uint64(2**64 - 1) >> np.uint64(11)) * 2.0**-53 < 1


def test_columns_draws_epochs_seeds_and_neighbours_are_independent() -> None:
    count = 100_000
    base = address(count).uniform("draw", 4)
    others = {
        "column": base[:, 1],
        "a later column": base[:, 3],
        "draw": address(count).uniform("draw2")[:, 0],
        "epoch": address(count, epoch=1).uniform("draw")[:, 0],
        "seed": address(count, seed=2).uniform("draw")[:, 0],
        "next position": np.roll(base[:, 0], 1),
        "next position's next column": np.roll(base[:, 1], 1),
    }
    for name, other in others.items():
        grid, _, _ = np.histogram2d(base[:, 0], other, bins=16, range=[[0, 1], [0, 1]])
        assert abs(chi_square(grid, count / 256)) < 5, name


def test_a_number_depends_on_its_position_and_on_nothing_else_of_the_batch() -> None:
    whole = Address(3, 2, np.array([5, 99, 0, 7]), np.array([1, 0, 3, 2]))
    for row in range(4):
        assert (whole.take(slice(row, row + 1)).uniform("x", 3) == whole.uniform("x", 3)[row]).all()
    assert (whole.uniform("x", 5)[:, :3] == whole.uniform("x", 3)).all()
    assert len(whole.take(np.array([1, 2]))) == 2


def test_positions_beyond_32_bits_differ() -> None:
    near, far = (Address(1, 0, np.array([at]), np.array([0])) for at in (3, 3 + 2**33))
    assert near.uniform("x") != far.uniform("x")


@given(st.integers(-50, 50), st.integers(1, 40))
def test_integers_stay_in_their_range(low: int, span: int) -> None:
    numbers = address(200).integers("n", low, low + span, 2)
    assert numbers.dtype == np.int64
    assert numbers.min() >= low
    assert numbers.max() < low + span


def test_integers_are_equally_likely() -> None:
    counts = np.bincount(address(50_000).integers("n", 0, 7)[:, 0], minlength=7)
    assert ((counts - 50_000 / 7) ** 2 / (50_000 / 7)).sum() < 27.9  # 99.99 % point for six degrees


def test_turns_alternate_from_epoch_to_epoch_and_begin_by_chance() -> None:
    positions, examples = np.arange(4000), np.random.default_rng(0).permutation(4000)
    turns = [Address(5, epoch, positions, examples).alternating("flip") for epoch in range(4)]
    assert turns[0].dtype == np.bool_
    assert turns[0].mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(4000))
    for before, after in pairwise(turns):
        assert (after == ~before).all()
    elsewhere = Address(5, 0, positions[::-1], examples).alternating("flip")
    assert (elsewhere == turns[0]).all()  # it is the example's turn, wherever in the epoch it stands
