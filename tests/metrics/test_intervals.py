"""Intervals against published values, exact distributions and properties."""

from __future__ import annotations

import json
from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simplecell.metrics.intervals import (
    Figure,
    bootstrap,
    bootstrap_counts,
    mean_and_deviation,
    over_seeds,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        # Newcombe, Two-Sided Confidence Intervals for the Single Proportion, Statistics in Medicine 1998,
        # table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes: int, total: int, low: float, high: float) -> None:
    figure = wilson(successes, total)
    assert figure.value == successes / total
    assert figure.low == pytest.approx(low, abs=5e-5)
    assert figure.high == pytest.approx(high, abs=5e-5)


@given(st.integers(1, 100_000), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilsons_ends_are_where_the_score_test_rejects(total: int, data: st.DataObject, level: float) -> None:
    successes = data.draw(st.integers(0, total))
    figure = wilson(successes, total, level)
    z = {0.8: 1.2815515655446004, 0.95: 1.959963984540054, 0.99: 2.5758293035489004}[level]
    assert figure.low is not None
    assert figure.high is not None
    assert 0 <= figure.low <= figure.value <= figure.high <= 1
    for end in (figure.low, figure.high):
        if 1e-12 < end < 1 - 1e-12:
            assert abs(figure.value - end) == pytest.approx(z * sqrt(end * (1 - end) / total), rel=1e-5)


@given(st.integers(1, 1000), st.data())
def test_wilson_is_symmetric_in_success_and_failure(total: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, total))
    one, other = wilson(successes, total), wilson(total - successes, total)
    assert one.low == pytest.approx(1 - other.high, abs=1e-12)


def test_wilson_of_nothing_says_that_nothing_is_known() -> None:
    assert wilson(0, 0).to_json() == {"value": None, "low": 0.0, "high": 1.0}


def test_wilson_refuses_more_successes_than_trials() -> None:
    with pytest.raises(ValueError, match="4 successes of 3"):
        wilson(4, 3)


def test_a_figure_becomes_plain_json() -> None:
    assert json.loads(json.dumps(Figure(0.5, 0.25).to_json(), allow_nan=False)) == {
        "value": 0.5,
        "low": 0.25,
        "high": None,
    }


def exact_quantiles(rows: list[float], levels: list[float]) -> list[float]:
    """Of the mean over all N^N resamples, each equally likely."""
    means = np.sort([np.mean(draw) for draw in product(rows, repeat=len(rows))])
    return [float(means[int(level * (len(means) - 1))]) for level in levels]


def test_the_bootstrap_of_a_mean_approaches_the_exact_distribution() -> None:
    rows = [0.0, 1.0, 3.0, 7.0, 11.0]
    figure = bootstrap(np.array(rows), resamples=40_000)
    low, high = exact_quantiles(rows, [0.025, 0.975])
    assert figure.value == pytest.approx(4.4)
    assert figure.low == pytest.approx(low, abs=0.21)  # the distribution is discrete, in steps of 0.2
    assert figure.high == pytest.approx(high, abs=0.21)


def test_the_fast_mean_equals_the_generic_one() -> None:
    rows = np.random.default_rng(3).normal(size=50)
    assert bootstrap(rows, seed=9) == bootstrap(rows, lambda drawn: float(drawn.mean()), seed=9)


def test_whole_rows_are_drawn() -> None:
    pairs = np.column_stack([np.arange(30.0), 2 * np.arange(30.0)])
    figure = bootstrap(pairs, lambda drawn: float((drawn[:, 1] - 2 * drawn[:, 0]).max()))
    assert figure == Figure(0.0, 0.0, 0.0)


def test_the_bootstrap_is_a_function_of_its_seed() -> None:
    rows = np.random.default_rng(0).normal(size=200)
    assert bootstrap(rows, seed=1) == bootstrap(rows, seed=1)
    assert bootstrap(rows, seed=1) != bootstrap(rows, seed=2)


def test_blocks_of_resamples_do_not_repeat_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=40)
    whole = bootstrap(rows, seed=1)
    monkeypatch.setattr("simplecell.metrics.intervals._BLOCK", 90)
    assert bootstrap(rows, seed=1) == whole


def test_resamples_without_the_statistic_are_left_out() -> None:
    rows = np.array([1.0, 0.0, 0.0, 0.0])

    def inverse_sum(drawn: np.ndarray) -> float:
        return float(1 / drawn.sum()) if drawn.any() else float("nan")

    figure = bootstrap(rows, inverse_sum)
    assert figure.high == 1.0
    assert bootstrap(rows, lambda _: float("nan")).low is None


def test_95_percent_of_intervals_cover_the_truth() -> None:
    generator = np.random.default_rng(11)
    covered = 0
    for trial in range(300):
        figure = bootstrap(generator.exponential(size=100), seed=trial, resamples=400)
        assert figure.low is not None
        assert figure.high is not None
        covered += figure.low <= 1.0 <= figure.high
    assert 265 <= covered <= 296  # 285 ± 3 deviations, less the few percent that skewness costs


def test_counts_are_drawn_as_their_examples_would_be() -> None:
    counts = np.array([30, 50, 20])
    examples = np.repeat([0, 1, 2], counts).astype(float)
    by_count = bootstrap_counts(counts, lambda drawn: drawn[:, :1] / 100, resamples=4000)[0]
    by_example = bootstrap(examples, lambda drawn: float((drawn == 0).mean()), resamples=4000)
    assert by_count.value == by_example.value == 0.3
    assert by_count.low == pytest.approx(by_example.low, abs=0.015)
    assert by_count.high == pytest.approx(by_example.high, abs=0.015)


def test_nothing_has_no_bootstrap() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        bootstrap(np.array([]))
    with pytest.raises(ValueError, match="at least one example"):
        bootstrap_counts(np.zeros((2, 2), np.int64), lambda drawn: drawn.sum(axis=1))
    with pytest.raises(ValueError, match="shape"):
        bootstrap(np.zeros((3, 2)))


def test_deviation_over_seeds_is_that_of_a_sample() -> None:
    assert mean_and_deviation([1.0, 2.0, 3.0, 4.0]) == (2.5, pytest.approx(sqrt(5 / 3)))
    mean, deviation = mean_and_deviation([0.5])
    assert mean == 0.5
    assert np.isnan(deviation)
    with pytest.raises(ValueError, match="no figures"):
        mean_and_deviation([])


def test_an_interval_over_seeds_is_students() -> None:
    found = over_seeds([0.940, 0.942, 0.939])
    assert found.value == pytest.approx(0.940333, abs=1e-6)
    half = 4.302653 * 0.001527525 / sqrt(3)
    assert (found.low, found.high) == (
        pytest.approx(0.940333 - half, abs=1e-5),
        pytest.approx(0.940333 + half, abs=1e-5),
    )
    assert over_seeds([0.5]) == Figure(0.5)
    with pytest.raises(ValueError, match="11 seeds"):
        over_seeds([0.5] * 11)


def test_an_interval_over_seeds_covers_the_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 5))
    covered = [f.low <= 0 <= f.high for f in map(over_seeds, draws)]  # type: ignore[operator]
    assert np.mean(covered) == pytest.approx(0.95, abs=4 * sqrt(0.95 * 0.05 / 4000))
